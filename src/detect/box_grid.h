// A grid of cells over the image, so that a box is compared with those near it alone: boxes that
// overlap have a cell in common, and of many thousand few have.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>

#include "core/index.h"
#include "detect/box.h"

namespace darknet {

class BoxGrid {
 public:
  // For so many boxes; they are in fractions of the image.
  explicit BoxGrid(std::size_t boxes)
      : side_(std::clamp(static_cast<int>(std::sqrt(static_cast<double>(boxes) / kBoxesOfACell)),
                         kMinSide, kMaxSide)) {}

  std::size_t cells() const { return to_size(side_) * to_size(side_); }
  // Whether `visit` says yes for any cell that the box covers.
  template <class Visit>
  bool any_cell(const Box& box, const Visit& visit) const {
    const int left = cell_of(box.left()), right = cell_of(box.right());
    const int top = cell_of(box.top()), bottom = cell_of(box.bottom());
    for (int y = top; y <= bottom; ++y)
      for (int x = left; x <= right; ++x)
        if (visit(to_size(y * side_ + x))) return true;
    return false;
  }

 private:
  static constexpr int kMinSide = 8, kMaxSide = 128;
  static constexpr double kBoxesOfACell = 16;

  int cell_of(float fraction) const {  // what lies outside belongs to the cells at the border
    const float bounded = fraction > 0 ? std::min(fraction, 1.f) : 0;
    return std::min(static_cast<int>(bounded * static_cast<float>(side_)), side_ - 1);
  }

  int side_;
};

}  // namespace darknet
