// Picks the instance of a launch that has an activation in it, outside of the loop.
#pragma once
#include "core/activation.h"
#include "core/tensor.h"

namespace darknet {

// launch(f, T{}) with the functor f of `a` and the element type T that `t` names.
template <class Launch>
void with_functor(const Activation& a, DType t, Launch launch) {
  with_element(t, [&](auto element) { std::visit([&](auto f) { launch(f, element); }, a); });
}

}  // namespace darknet
