// FL*, which discounts what is classified well by a steeper and shifted sigmoid,
//   FL*(x_t) = -log sigmoid(gamma x_t + beta) / gamma      (Lin et al., ICCV 2017, appendix A)
// with x_t = x for positives and -x for negatives.
#pragma once
#include <string_view>
#include "cfg/section.h"
#include "losses/logit.h"
#include "losses/traits.h"

namespace darknet::losses {

struct FocalStar {
  static constexpr std::string_view name = "focal_star";
  static constexpr LossTraits traits{.for_soft_targets = "quality_focal"};
  float gamma = 2, beta = 1;
  template <class V>
  void fields(V&& v) {
    v("gamma", gamma, Reals{.1f, 8}, "steepness: 1, with beta 0, is cross-entropy");
    v("beta", beta, Reals{-8, 8}, "shift: how early an anchor counts as classified well");
  }
  // The line that it approaches for hard errors is divided by gamma before it can overflow.
  template <class T>
  DN_HD T value(T x, T t, bool) const {
    const T z = own_logit(x, t), y = T(gamma) * z + T(beta);
    return math::max(-(z + T(beta) / T(gamma)), T(0)) +
           log1p_of_fraction(exp_of_negative(-math::abs(y))) / T(gamma);
  }
  template <class T>
  DN_HD T gradient(T x, T t, bool) const {
    const T q = math::sigmoid(-(T(gamma) * own_logit(x, t) + T(beta)));
    return t > T(.5) ? -q : q;
  }

 private:
  template <class T>
  DN_HD static T own_logit(T x, T t) {
    return t > T(.5) ? x : -x;
  }
};

}  // namespace darknet::losses
