// The one exception type of the library. C++17.
#pragma once
#include <stdexcept>

#include "darknet/export.h"

namespace darknet {

// what() is one plain sentence (UTF-8) that names the file, and the line where there is one: a file
// that is missing or damaged, a cfg that no network can be made from, weights of another network, a
// device that this machine lacks, memory that ran out.
class DARKNET_EXPORT Exception : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
  Exception(const Exception&) = default;
  Exception& operator=(const Exception&) = default;
  ~Exception() override;
};

}  // namespace darknet
