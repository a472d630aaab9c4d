// Elementary functions that resolve alike on the host and on the device, for float and for double
// (tests differentiate loss and box formulas in double).
#pragma once
#include <cmath>
#include "core/hd.h"

namespace darknet::math {

DN_HD inline float exp(float x) { return expf(x); }
DN_HD inline double exp(double x) { return ::exp(x); }
DN_HD inline float log(float x) { return logf(x); }
DN_HD inline double log(double x) { return ::log(x); }
DN_HD inline float log1p(float x) { return log1pf(x); }
DN_HD inline double log1p(double x) { return ::log1p(x); }
DN_HD inline float sqrt(float x) { return sqrtf(x); }
DN_HD inline double sqrt(double x) { return ::sqrt(x); }
DN_HD inline float tanh(float x) { return tanhf(x); }
DN_HD inline double tanh(double x) { return ::tanh(x); }
DN_HD inline float atan(float x) { return atanf(x); }
DN_HD inline double atan(double x) { return ::atan(x); }
DN_HD inline float pow(float x, float y) { return powf(x, y); }
DN_HD inline double pow(double x, double y) { return ::pow(x, y); }

template <class T>
DN_HD constexpr T abs(T x) {
  return x < 0 ? -x : x;
}
template <class T>
DN_HD constexpr T min(T a, T b) {
  return b < a ? b : a;
}
template <class T>
DN_HD constexpr T max(T a, T b) {
  return a < b ? b : a;
}
template <class T>
DN_HD constexpr T clamp(T x, T lo, T hi) {
  return x < lo ? lo : hi < x ? hi : x;
}

// 1 / (1 + exp(-x)), without overflow at either end.
template <class T>
DN_HD T sigmoid(T x) {
  const T e = exp(-abs(x));
  return x >= 0 ? 1 / (1 + e) : e / (1 + e);
}

// log(1 + exp(x)), without overflow at either end.
template <class T>
DN_HD T softplus(T x) {
  return max(x, T(0)) + log1p(exp(-abs(x)));
}

}  // namespace darknet::math
