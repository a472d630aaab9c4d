// Where a launch puts a gradient, and plain copies between views, which may be slices of wider
// tensors. Not copies between devices: see Memory.
#pragma once
#include "core/device.h"
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

// to = from; equal shapes, and any two element types.
void copy_pixels(const Stream&, const TensorView& from, const TensorView& to);
// to += from, or to = from; the same.
void put_pixels(const Stream&, const TensorView& from, const TensorView& to, bool add);

}  // namespace darknet
