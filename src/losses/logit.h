// The pieces of every loss on a logit x with p = sigmoid(x), in forms that stay finite for every
// finite x. Forms of p alone lose 1 - p from x = 16.6 on (docs/loss-math.md, Stable forms).
#pragma once
#include "core/hd.h"
#include "core/math.h"

namespace darknet::losses {

template <class T>
struct LogitParts {
  T p, q;          // p and 1 - p, each without cancellation
  T log_p, log_q;  // their logarithms
};

template <class T>
DN_HD LogitParts<T> logit_parts(T x) {
  const T e = math::exp(-math::abs(x)), l = math::log1p(e), big = 1 / (1 + e), small = e / (1 + e);
  return {x >= 0 ? big : small, x >= 0 ? small : big, -(math::max(-x, T(0)) + l),
          -(math::max(x, T(0)) + l)};
}

// The same seen from the target t in {0, 1}: p_t, 1 - p_t and their logarithms.
template <class T>
struct TargetParts {
  T pt, qt, log_pt, log_qt;
};
template <class T>
DN_HD TargetParts<T> target_parts(T x, T t) {
  const auto l = logit_parts(x);
  return t > T(.5) ? TargetParts<T>{l.p, l.q, l.log_p, l.log_q}
                   : TargetParts<T>{l.q, l.p, l.log_q, l.log_p};
}

// A power of a number in [0, 1] that is known by its logarithm; 0^0 = 1.
template <class T>
DN_HD T power_of_log(T log_base, T exponent) {
  return exponent == 0 ? T(1) : math::exp(exponent * log_base);
}

// alpha_t: the weight of an anchor by its state; alpha < 0 is off.
template <class T>
DN_HD T alpha_weight(float alpha, bool positive) {
  return alpha < 0 ? T(1) : positive ? T(alpha) : 1 - T(alpha);
}

}  // namespace darknet::losses
