// Which box of this frame is which of the last: the assignment with the largest sum of overlaps
// (LEMON's network simplex).
#pragma once
#include <cstddef>
#include <span>
#include <vector>

#include "core/index.h"
#include "detect/box.h"

namespace darknet {

inline constexpr std::size_t kUnmatched = to_size(-1);

// For each detection the index of its box in `known`, or kUnmatched. Only boxes of one class and an
// IoU of at least `min` are paired, each once.
std::vector<std::size_t> associate(std::span<const Detection> detections,
                                   std::span<const Detection> known, float min);

}  // namespace darknet
