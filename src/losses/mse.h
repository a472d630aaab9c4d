// Squared error through the sigmoid, (p - t)^2 / 2: the objectness of [region] in the living
// Darknets and of heads with new_coords.
#pragma once
#include <string_view>
#include "losses/logit.h"

namespace darknet::losses {

struct Mse {
  static constexpr std::string_view name = "mse";
  template <class V>
  void fields(V&&) {}
  template <class T>
  DN_HD T value(T x, T t, bool) const {
    const T d = math::sigmoid(x) - t;
    return d * d / 2;
  }
  template <class T>
  DN_HD T gradient(T x, T t, bool) const {
    const auto l = logit_parts(x);
    return (l.p - t) * l.p * l.q;
  }
};

}  // namespace darknet::losses
