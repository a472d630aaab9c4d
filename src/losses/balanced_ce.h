// Alpha-balanced cross-entropy, -alpha_t log p_t (Lin et al., ICCV 2017, eq. 3).
#pragma once
#include <string_view>
#include "losses/cross_entropy.h"
#include "losses/shared_keys.h"
#include "losses/traits.h"

namespace darknet::losses {

struct BalancedCrossEntropy {
  static constexpr std::string_view name = "balanced_ce";
  static constexpr LossTraits traits{};
  float alpha = .75f;
  template <class V>
  void fields(V&& v) {
    alpha_field(v, alpha);
  }
  template <class T>
  DN_HD T value(T x, T t, bool positive) const {
    return alpha_weight<T>(alpha, positive) * CrossEntropy{}.value(x, t, positive);
  }
  template <class T>
  DN_HD T gradient(T x, T t, bool positive) const {
    return alpha_weight<T>(alpha, positive) * CrossEntropy{}.gradient(x, t, positive);
  }
};

}  // namespace darknet::losses
