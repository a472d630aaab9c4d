// The pieces of every loss on a logit x with p = sigmoid(x), in forms that stay finite for every
// finite x. Forms of p alone lose 1 - p from x = 16.6 on (docs/loss-math.md, Stable forms).
#pragma once
#include "core/hd.h"
#include "core/math.h"

namespace darknet::losses {

// e^x of x <= 0 and log(1 + e) of e in [0, 1], for loops over logits: without tables, branches or
// calls, so that they vectorise; both pass NaN on. Relative errors below 4e-7 and 3e-7 where the
// result is a normal number; below, e^x ends at 0 as floats do.
[[gnu::always_inline]] DN_HD inline float exp_of_negative(float x) {
  const float root = math::fast_exp(x / 2);
  return root * root;
}
[[gnu::always_inline]] DN_HD inline double exp_of_negative(double x) { return math::exp(x); }

// 2 atanh(s) with s = e / (2 + e) <= 1/3, by its series.
[[gnu::always_inline]] DN_HD inline float log1p_of_fraction(float e) {
  const float s = e / (2 + e), z = s * s;
  float sum = 1.f / 13;
  sum = sum * z + 1.f / 11;
  sum = sum * z + 1.f / 9;
  sum = sum * z + 1.f / 7;
  sum = sum * z + 1.f / 5;
  sum = sum * z + 1.f / 3;
  return 2 * s * (sum * z + 1);
}
[[gnu::always_inline]] DN_HD inline double log1p_of_fraction(double e) { return math::log1p(e); }

template <class T>
struct LogitParts {
  T p, q;          // p and 1 - p, each without cancellation
  T log_p, log_q;  // their logarithms
};

template <class T>
[[gnu::always_inline]] DN_HD inline LogitParts<T> logit_parts(T x) {
  const T e = exp_of_negative(-math::abs(x)), l = log1p_of_fraction(e);
  const T big = 1 / (1 + e), small = e / (1 + e);
  return {x >= 0 ? big : small, x >= 0 ? small : big, -(math::max(-x, T(0)) + l),
          -(math::max(x, T(0)) + l)};
}

// The same seen from the target t in {0, 1}: p_t, 1 - p_t and their logarithms.
template <class T>
struct TargetParts {
  T pt, qt, log_pt, log_qt;
};
template <class T>
[[gnu::always_inline]] DN_HD inline TargetParts<T> target_parts(T x, T t) {
  const auto l = logit_parts(x);
  return t > T(.5) ? TargetParts<T>{l.p, l.q, l.log_p, l.log_q}
                   : TargetParts<T>{l.q, l.p, l.log_q, l.log_p};
}

// A power of a number in [0, 1] that is known by its logarithm; 0^0 = 1.
template <class T>
[[gnu::always_inline]] DN_HD inline T power_of_log(T log_base, T exponent) {
  const T power = exp_of_negative(exponent * log_base);  // no branch: it vectorises
  return exponent == 0 ? T(1) : power;
}

// alpha_t: the weight of an anchor by its state; alpha < 0 is off.
template <class T>
DN_HD T alpha_weight(float alpha, bool positive) {
  return alpha < 0 ? T(1) : positive ? T(alpha) : 1 - T(alpha);
}

}  // namespace darknet::losses
