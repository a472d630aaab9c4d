// Binary cross-entropy of a logit x against a target t in [0, 1]: -t log p - (1 - t) log(1 - p).
#pragma once
#include <string_view>
#include "losses/logit.h"
#include "losses/traits.h"

namespace darknet::losses {

struct CrossEntropy {
  static constexpr std::string_view name = "ce";
  static constexpr LossTraits traits{};
  template <class V>
  void fields(V&&) {}
  template <class T>
  DN_HD T value(T x, T t, bool) const {
    const auto l = logit_parts(x);
    return -(t * l.log_p + (1 - t) * l.log_q);
  }
  // Written without p - t, so that focal at gamma 0 equals it bit for bit.
  template <class T>
  DN_HD T gradient(T x, T t, bool) const {
    const auto l = logit_parts(x);
    return (1 - t) * l.p - t * l.q;
  }
};

}  // namespace darknet::losses
