// SGD with momentum, Darknet's: with B images in the whole step,
//   v = momentum v + g + decay B w,   w -= rate / B v.
#pragma once
#include <string_view>
#include "kernels/update_element.h"

namespace darknet::optimizers {

struct Sgd {
  static constexpr std::string_view name = "sgd";
  static constexpr std::string_view states[] = {"first"};
  float momentum = .9f;
  template <class V>
  void fields(V&& v) {
    v("momentum", momentum, TrainingOnly{Reals{0, 1}}, "of SGD");
  }

  struct Step {};
  DN_HD Step step(std::int64_t) const { return {}; }
  DN_HD void update(const Step&, const UpdateElement& e, float& weight, float& v) const {
    v = momentum * v + e.gradient + e.decay * e.images * weight;
    weight -= e.rate / e.images * v;
  }
};

}  // namespace darknet::optimizers
