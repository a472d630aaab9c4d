// Focal loss: cross-entropy that down-weights examples that are classified well already,
//   FL(p_t) = -alpha_t (1 - p_t)^gamma log p_t        (Lin et al., ICCV 2017, eq. 5; eq. 4 without
//   alpha)
// for hard targets t in {0, 1}. Computed from log-probabilities, so that no power of a difference
// is formed; its derivative is bounded for every gamma >= 0.
#pragma once
#include <string_view>
#include "losses/logit.h"
#include "losses/shared_keys.h"
#include "losses/traits.h"

namespace darknet::losses {

struct Focal {
  static constexpr std::string_view name = "focal";
  static constexpr LossTraits traits{.for_soft_targets = "quality_focal"};
  float gamma = 2, alpha = .25f;
  template <class V>
  void fields(V&& v) {
    gamma_field(v, gamma);
    alpha_field(v, alpha);
  }
  template <class F>
  DN_HD void focusing(F f) {
    f(gamma);
  }
  template <class T>
  DN_HD T value(T x, T t, bool positive) const {
    const auto s = target_parts(x, t);
    return -alpha_weight<T>(alpha, positive) * power_of_log(s.log_qt, T(gamma)) * s.log_pt;
  }
  template <class T>
  DN_HD T gradient(T x, T t, bool positive) const {
    const auto s = target_parts(x, t);
    const T dz = alpha_weight<T>(alpha, positive) * power_of_log(s.log_qt, T(gamma)) *
                 (T(gamma) * s.pt * s.log_pt - s.qt);
    return t > T(.5) ? dz : -dz;
  }
};

}  // namespace darknet::losses
