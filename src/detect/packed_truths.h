// The ground truths of some images as a pass takes them (detect/box.h, Truths), still in host
// memory: places for equally many in each image.
#pragma once
#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "detect/box.h"

namespace darknet {

struct PackedTruths {
  std::vector<Truth> truths;  // `capacity` for each image
  std::vector<std::int32_t> counts;
  std::int64_t left_out = 0;  // beyond the capacity
};

inline PackedTruths pack_truths(std::span<const std::vector<Truth>> images, std::int64_t capacity) {
  PackedTruths p;
  p.truths.resize(images.size() * static_cast<std::size_t>(capacity));
  auto to = p.truths.begin();
  for (const std::vector<Truth>& image : images) {
    const auto there = std::ssize(image), n = std::min<std::int64_t>(capacity, there);
    std::copy_n(image.begin(), n, to);
    p.counts.push_back(static_cast<std::int32_t>(n));
    p.left_out += there - n;
    to += capacity;
  }
  return p;
}

}  // namespace darknet
