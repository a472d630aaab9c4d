// Where a launch puts a gradient; and the copies of core/copy.h.
#pragma once
#include "core/copy.h"
#include "core/hd.h"
#include "core/tensor.h"

namespace darknet {

// Adds to, or overwrites, what a GradientSlot points to. Overwriting never uses the old value,
// which may be NaN.
template <class T>
struct Sink {
  View<T> to;
  bool add = true;
  DN_HD void put(std::int64_t pixel, std::int64_t channel, float value) const {
    T& at = to.at(pixel, channel);
    at = add ? at + value : value;
  }
};

}  // namespace darknet
