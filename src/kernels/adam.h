// Adam (Kingma and Ba, ICLR 2015) on the mean gradient g / B + decay w of the step's B images.
#pragma once
#include <string_view>
#include "core/math.h"
#include "kernels/update_element.h"

namespace darknet::optimizers {

struct Adam {
  static constexpr std::string_view name = "adam";
  static constexpr std::string_view states[] = {"first", "second"};
  float b1 = .9f, b2 = .999f, epsilon = 1e-6f;
  template <class V>
  void fields(V&& v) {
    v("B1", b1, TrainingOnly{Reals{0, .999999f}}, "Adam's first decay rate");
    v("B2", b2, TrainingOnly{Reals{0, .999999f}}, "Adam's second decay rate");
    v("eps", epsilon, TrainingOnly{Reals{0, 1}}, "Adam's epsilon");
  }

  struct Step {  // factors against the moments' bias towards their start at zero
    float first, second;
  };
  DN_HD Step step(std::int64_t updates) const {
    const auto t = static_cast<float>(updates);
    return {1 / (1 - math::pow(b1, t)), 1 / (1 - math::pow(b2, t))};
  }
  DN_HD void update(const Step& s, const UpdateElement& e, float& weight, float& first,
                    float& second) const {
    const float g = e.gradient / e.images + e.decay * weight;
    const float m = b1 * first + (1 - b1) * g;
    const float v = b2 * second + (1 - b2) * g * g;
    first = m;
    second = v;
    weight -= e.rate * (m * s.first) / (math::sqrt(v * s.second) + epsilon);
  }
};

}  // namespace darknet::optimizers
