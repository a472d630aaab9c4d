// The backward pass of a layer whose gradient is computed element by element.
#pragma once
#include "core/for_each.h"
#include "kernels/copy.h"
#include "nn/layer.h"

namespace darknet {

// Calls make(Sink<T>) with the gradient of an input, T being its element type, and the functor that
// it returns for every element. Does nothing where that gradient is not needed.
template <class Make>
void put_gradient_by_pixel(const Pass& pass, const GradientSlot& slot, const Make& make) {
  if (!slot.view) return;
  with_element(slot.view.dtype, [&](auto element) {
    using T = decltype(element);
    for_each_pixel(pass.stream, slot.view.shape, make(Sink<T>{slot.view.as<T>(), slot.add}));
  });
}

}  // namespace darknet
