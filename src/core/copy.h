// Copies between views, which may be slices of wider tensors and of other element types. Not copies
// between devices: see Memory. Launches; they are in core/ because plans need them too.
#pragma once
#include "core/device.h"
#include "core/tensor.h"

namespace darknet {

// to = from; equal shapes, and any two element types but u8, which both have or neither (CPU).
void copy_pixels(const Stream&, const TensorView& from, const TensorView& to);
// to += from, or to = from; the same.
void put_pixels(const Stream&, const TensorView& from, const TensorView& to, bool add);

}  // namespace darknet
