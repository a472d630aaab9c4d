// Poly-1 of focal loss (Leng et al., "PolyLoss", ICLR 2022): focal loss with another weight of the
// leading term of its expansion in 1 - p_t,
//   -alpha_t ((1 - p_t)^gamma log p_t - epsilon (1 - p_t)^(gamma + 1)).
// The paper's formula has no alpha. Here alpha_t weighs both terms, so that the loss is positive
// for every epsilon >= -1; some public ports weigh the first alone.
#pragma once
#include <string_view>
#include "cfg/section.h"
#include "losses/logit.h"
#include "losses/shared_keys.h"
#include "losses/traits.h"

namespace darknet::losses {

struct Poly1 {
  static constexpr std::string_view name = "poly1";
  static constexpr LossTraits traits{.for_soft_targets = "quality_focal"};
  float gamma = 2, alpha = -1, epsilon = 1;
  template <class V>
  void fields(V&& v) {
    gamma_field(v, gamma);
    alpha_field(v, alpha);
    v("epsilon", epsilon, Reals{-1, 10},
      "added to the weight of the leading term; 0: focal, -1: without that term");
  }
  template <class F>
  DN_HD void focusing(F f) {
    f(gamma);
  }
  // With h = -log p_t - q, q = 1 - p_t, the loss is q^gamma ((1 + epsilon) q + h), a sum without
  // cancellation.
  template <class T>
  DN_HD T value(T x, T t, bool positive) const {
    const auto s = target_parts(x, t);
    return alpha_weight<T>(alpha, positive) * power_of_log(s.log_qt, T(gamma)) *
           ((1 + T(epsilon)) * s.qt + higher_terms(s));
  }
  template <class T>
  DN_HD T gradient(T x, T t, bool positive) const {
    const auto s = target_parts(x, t);
    const T dz = -alpha_weight<T>(alpha, positive) * power_of_log(s.log_qt, T(gamma)) *
                 (s.qt * (s.qt + (1 + T(epsilon)) * (T(gamma) + 1) * s.pt) +
                  T(gamma) * s.pt * higher_terms(s));
    return t > T(.5) ? dz : -dz;
  }

 private:
  // h. For small q by -log(1 - q) = 2 atanh(r) with r = q / (2 - q); relative error below 1e-9.
  template <class T>
  DN_HD static T higher_terms(const TargetParts<T>& s) {
    if (!(s.qt < T(.3))) return -s.log_pt - s.qt;
    const T r = s.qt / (2 - s.qt), r2 = r * r;
    T sum = 0;
    for (int n = 13; n >= 3; n -= 2) sum = sum * r2 + T(1) / T(n);
    return s.qt * r + 2 * r * r2 * sum;
  }
};

}  // namespace darknet::losses
