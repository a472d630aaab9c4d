// The images of a training run that cannot be read, as all ranks know them.
#pragma once
#include <cstdint>
#include <set>
#include <span>

#include "core/ranks.h"

namespace darknet {

class UnreadableImages {
 public:
  // A collective: adds what this rank has met since the last call, by the places in the list, and
  // what the others have. Returns how many there are; one that several ranks met counts once.
  std::int64_t add(Ranks&, std::span<const std::int64_t> met);

 private:
  std::set<std::int64_t> images_;
};

}  // namespace darknet
