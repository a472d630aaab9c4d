// Equalized focal loss of class scores (Li et al., CVPR 2022, arXiv 2201.02593): focal loss with a
// gamma of its own for every class j, which is larger the less gradient the class's objects give,
//   gamma_j = gamma_b + s (1 - g_j),      EFL_j = gamma_j / gamma_b * FL with gamma_j,
// where g_j in [0, 1] is the sum of |gradient| of class j's positives over that of its negatives,
// accumulated over the training run (kernels/class_gradients.h). gamma_j is a constant in the
// gradient.
#pragma once
#include <concepts>
#include <string_view>
#include "cfg/section.h"
#include "losses/focal.h"
#include "losses/traits.h"

namespace darknet::losses {

// g of the accumulated gradients of a class. 1 while it has no negative ones: the loss is then
// focal loss.
DN_HD inline float positive_negative_ratio(double positive, double negative) {
  return negative > positive ? static_cast<float>(positive / negative) : 1;
}

struct EqualizedFocal {
  static constexpr std::string_view name = "equalized_focal";
  static constexpr LossTraits traits = Focal::traits;
  float gamma = 2, alpha = .25f, scale_factor = 8;
  template <class V>
  void fields(V&& v) {
    v("gamma", gamma, Reals{.1f, 8}, "gamma_b: the focusing of a class without imbalance");
    v("alpha", alpha, Reals{-1, 1}, "weight of the true class, the others get 1 - alpha; -1: none");
    v("scale_factor", scale_factor, Reals{0, 100},
      "s: how much more a class is focused whose objects contribute little gradient");
  }

  struct OfClass {
    Focal focal;
    float weight;
    template <class T>
    DN_HD T value(T x, T t, bool positive) const {
      return T(weight) * focal.value(x, t, positive);
    }
    template <class T>
    DN_HD T gradient(T x, T t, bool positive) const {
      return T(weight) * focal.gradient(x, t, positive);
    }
  };
  // The loss on one logit of a class with this g.
  DN_HD OfClass of_class(float ratio) const {
    const float own = gamma + scale_factor * (1 - ratio);
    return {{own, alpha}, own / gamma};
  }
};

// Losses that are another one for every class, by the class's g.
template <class L>
concept DiffersByClass = requires(const L loss) {
  loss.of_class(1.f);
};

}  // namespace darknet::losses
