// Varifocal loss for targets q that are an IoU (Zhang et al., CVPR 2021, eq. 2):
//   VFL(p, q) = -q (q log p + (1 - q) log(1 - p))   where q > 0
//               -alpha p^gamma log(1 - p)           where q = 0
// Only background is discounted; an object counts by its IoU. The minimum is at p = q.
#pragma once
#include <string_view>
#include "cfg/section.h"
#include "losses/cross_entropy.h"
#include "losses/focal.h"
#include "losses/traits.h"

namespace darknet::losses {

struct Varifocal {
  static constexpr std::string_view name = "varifocal";
  static constexpr LossTraits traits{.mirrored = false};
  float alpha = .75f, gamma = 2;
  template <class V>
  void fields(V&& v) {
    v("alpha", alpha, Reals{0, 1}, "weight of the background; the foreground has its IoU");
    v("gamma", gamma, Reals{0, 8}, "how strongly easy background is discounted");
  }
  template <class F>
  DN_HD void focusing(F f) {
    f(gamma);
  }
  template <class T>
  DN_HD T value(T x, T t, bool positive) const {
    return t > 0 ? t * CrossEntropy{}.value(x, t, positive)
                 : T(alpha) * Focal{gamma, -1}.value(x, T(0), false);
  }
  template <class T>
  DN_HD T gradient(T x, T t, bool positive) const {
    return t > 0 ? t * CrossEntropy{}.gradient(x, t, positive)
                 : T(alpha) * Focal{gamma, -1}.gradient(x, T(0), false);
  }
};

}  // namespace darknet::losses
