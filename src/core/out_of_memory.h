// Memory that the system did not give, with what it was for. Not an Error: the input may be sound,
// and training must not skip an image for it.
#pragma once
#include <new>
#include <stdexcept>
#include <string>
#include <utility>

#include "core/error.h"

namespace darknet {

// A device's own memory: which device, how much was asked for and how much there is.
class DeviceOutOfMemory : public Error {
 public:
  using Error::Error;
};

// For a tensor of the host, or of any device where its shape is too large for any memory.
class HostOutOfMemory : public Error {
 public:
  using Error::Error;
};

class OutOfMemory : public std::bad_alloc {
 public:
  explicit OutOfMemory(std::string purpose) : what_("out of memory for " + std::move(purpose)) {}
  const char* what() const noexcept override { return what_.c_str(); }

 private:
  std::string what_;
};

// f(); where memory runs out, OutOfMemory with purpose().
template <class Purpose, class F>
auto with_memory_for(Purpose purpose, F f) -> decltype(f()) {
  try {
    return f();
  } catch (const OutOfMemory&) {  // the innermost says it best
    throw;
  } catch (const std::bad_alloc&) {
    throw OutOfMemory(purpose());
  } catch (const std::length_error&) {  // a size beyond every memory
    throw OutOfMemory(purpose());
  }
}

}  // namespace darknet
