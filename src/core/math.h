// Elementary functions that resolve alike on the host and on the device, for float and for double
// (tests differentiate loss and box formulas in double).
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>
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
DN_HD inline float floor(float x) { return floorf(x); }
DN_HD inline double floor(double x) { return ::floor(x); }

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

// exp, sigmoid and tanh for loops over elements: without tables, branches or calls, so that they
// vectorise; scalar and vector code are bitwise identical. Relative error of fast_exp below 2e-7;
// it saturates at e^-60 and e^60 (further out, compilers that split the clamped cases off compute
// on denormals, which costs 100 cycles each) and passes NaN on. Polynomials: Cephes (Moshier), expf
// and tanhf.
[[gnu::always_inline]] DN_HD inline float fast_exp(float x) {
  x = clamp(x, -60.f, 60.f);
  constexpr float kRound = 12582912;  // 1.5 * 2^23: adding it rounds to the nearest integer
  const float shifted = x * 1.44269504f + kRound, n = shifted - kRound;
  const float r = (x - n * .693359375f) + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1;
  std::int32_t bits = 0;
  std::memcpy(&bits, &shifted, sizeof bits);
  bits = static_cast<std::int32_t>((static_cast<std::uint32_t>(bits) - 0x4B400000u + 127u) << 23);
  float power = 0;
  std::memcpy(&power, &bits, sizeof power);
  return p * power;
}
[[gnu::always_inline]] DN_HD inline double fast_exp(double x) { return ::exp(x); }

template <class T>
[[gnu::always_inline]] DN_HD inline T fast_sigmoid(T x) {
  return 1 / (1 + fast_exp(-x));
}

[[gnu::always_inline]] DN_HD inline float fast_tanh(float x) {
  const float a = abs(x), z = x * x;
  float p = -5.70498872745e-3f;
  p = p * z + 2.06390887954e-2f;
  p = p * z - 5.37397155531e-2f;
  p = p * z + 1.33314422036e-1f;
  p = p * z - 3.33332819422e-1f;
  const float near = p * z * x + x, e = fast_exp(2 * a);
  const float far = 1 - 2 / (e + 1);
  return a < .625f ? near : x < 0 ? -far : far;
}
[[gnu::always_inline]] DN_HD inline double fast_tanh(double x) { return ::tanh(x); }

}  // namespace darknet::math
