// Where a launch puts a gradient, and plain copies between views, which may be slices of wider
// tensors. Not copies between devices: see Memory.
#pragma once
#include "core/device.h"
#include "core/hd.h"
#include "core/tensor.h"

namespace darknet {

// Adds to, or overwrites, what a GradientSlot points to. Overwriting never uses the old value,
// which may be NaN.
struct Sink {
  View<float> to;
  bool add = true;
  DN_HD void put(std::int64_t pixel, std::int64_t channel, float value) const {
    float& at = to.at(pixel, channel);
    at = add ? at + value : value;
  }
};

// to = from; equal shapes.
void copy_pixels(const Stream&, View<const float> from, View<float> to);
// to += from, or to = from; equal shapes.
void put_pixels(const Stream&, View<const float> from, const Sink&);

}  // namespace darknet
