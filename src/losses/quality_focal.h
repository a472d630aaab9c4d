// Quality focal loss, |p - t|^gamma CE(p, t), for soft targets t in [0, 1] (Li et al., NeurIPS
// 2020). Its minimum is at p = t; for hard targets it equals focal without alpha.
#pragma once
#include <optional>
#include <string_view>
#include "cfg/section.h"
#include "losses/cross_entropy.h"
#include "losses/shared_keys.h"
#include "losses/traits.h"

namespace darknet::losses {

struct QualityFocal {
  static constexpr std::string_view name = "quality_focal";
  static constexpr LossTraits traits{};
  float gamma = 2, alpha = -1;
  template <class V>
  void fields(V&& v) {
    v("gamma", gamma, Reals{0, 8},
      "how strongly anchors near their target are discounted; 0 or >= 1");
    alpha_field(v, alpha);
  }
  std::optional<KeyError> error() const {
    if (!(gamma > 0 && gamma < 1)) return std::nullopt;
    return KeyError{"gamma",
                    "needs 0 or at least 1: between them its gradient is infinite at p = t"};
  }
  template <class T>
  DN_HD T value(T x, T t, bool positive) const {
    const T d = math::abs(CrossEntropy{}.gradient(x, t, positive));
    return alpha_weight<T>(alpha, positive) * power(d, T(gamma)) *
           CrossEntropy{}.value(x, t, positive);
  }
  template <class T>
  DN_HD T gradient(T x, T t, bool positive) const {
    const auto l = logit_parts(x);
    const T signed_d = (1 - t) * l.p - t * l.q, d = math::abs(signed_d);
    T g = power(d, T(gamma)) * signed_d;
    if (gamma > 0)
      g += T(gamma) * power(d, T(gamma) - 1) * (signed_d < 0 ? T(-1) : T(1)) * l.p * l.q *
           CrossEntropy{}.value(x, t, positive);
    return alpha_weight<T>(alpha, positive) * g;
  }

 private:
  template <class T>
  DN_HD static T power(T base, T exponent) {  // 0^0 = 1
    return exponent == 0 ? T(1) : base == 0 ? T(0) : math::exp(exponent * math::log(base));
  }
};

}  // namespace darknet::losses
