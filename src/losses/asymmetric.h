// Asymmetric loss (Ben-Baruch et al., ICCV 2021): focal loss with a gamma for each side and, for
// negatives, a probability shifted by a margin m, p_m = max(p - m, 0),
//   L+ = -(1 - p)^gamma_pos log p          L- = -p_m^gamma_neg log(1 - p_m).
// Background below the margin has no gradient; background near p = 1, which may be an object that
// nobody labelled, has little.
#pragma once
#include <string_view>
#include "cfg/section.h"
#include "losses/focal.h"
#include "losses/logit.h"
#include "losses/traits.h"

namespace darknet::losses {

struct Asymmetric {
  static constexpr std::string_view name = "asymmetric";
  static constexpr LossTraits traits{
      .for_soft_targets = "quality_focal",
      .no_automatic_prior = "which has no gradient for background below its margin",
      .mirrored = false};
  float gamma_pos = 0, gamma_neg = 4, margin = .05f;
  template <class V>
  void fields(V&& v) {
    v("gamma_pos", gamma_pos, Reals{0, 8},
      "how strongly objects that are classified well are discounted");
    v("gamma_neg", gamma_neg, Reals{0, 8}, "how strongly easy background is discounted");
    v("margin", margin, Reals{0, .9f}, "background below this probability has no loss");
  }
  template <class F>
  DN_HD void focusing(F f) {
    f(gamma_pos), f(gamma_neg);
  }
  template <class T>
  DN_HD T value(T x, T t, bool positive) const {
    if (t > T(.5)) return Focal{gamma_pos, -1}.value(x, t, positive);
    if (margin == 0) return Focal{gamma_neg, -1}.value(x, t, positive);
    const Shifted<T> s = shifted(x);
    if (s.pm <= 0) return 0;
    return -power_of_log(math::log(s.pm), T(gamma_neg)) * s.log_qm;
  }
  template <class T>
  DN_HD T gradient(T x, T t, bool positive) const {
    if (t > T(.5)) return Focal{gamma_pos, -1}.gradient(x, t, positive);
    if (margin == 0) return Focal{gamma_neg, -1}.gradient(x, t, positive);
    const Shifted<T> s = shifted(x);
    if (s.pm <= 0) return 0;
    return s.l.p * s.l.q * power_of_log(math::log(s.pm), T(gamma_neg)) *
           (1 / s.qm - T(gamma_neg) * s.log_qm / s.pm);
  }

 private:
  template <class T>
  struct Shifted {  // p_m, 1 - p_m and its logarithm
    LogitParts<T> l;
    T pm, qm, log_qm;
  };
  template <class T>
  DN_HD Shifted<T> shifted(T x) const {
    const auto l = logit_parts(x);
    const T pm = l.p - T(margin), qm = l.q + T(margin);
    return {l, pm, qm, pm < T(.5) ? math::log1p(-pm) : math::log(qm)};
  }
};

}  // namespace darknet::losses
