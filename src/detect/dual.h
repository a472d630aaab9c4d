// Forward-mode automatic differentiation with N derivatives: a number that carries its gradient.
// For the handful of variables of a box; not a general tool.
#pragma once
#include "core/hd.h"
#include "core/math.h"

namespace darknet {

template <class T, int N>
struct Dual {
  T v = 0;
  T d[N] = {};

  Dual() = default;
  DN_HD Dual(T value) : v(value) {}  // NOLINT: constants mix with variables
  DN_HD static Dual variable(T value, int index) {
    Dual x(value);
    x.d[index] = 1;
    return x;
  }
  // f(x) with f'(x) = slope.
  DN_HD Dual chain(T value, T slope) const {
    Dual r(value);
    for (int i = 0; i < N; ++i) r.d[i] = slope * d[i];
    return r;
  }
  DN_HD friend Dual operator+(const Dual& a, const Dual& b) {
    Dual r(a.v + b.v);
    for (int i = 0; i < N; ++i) r.d[i] = a.d[i] + b.d[i];
    return r;
  }
  DN_HD friend Dual operator-(const Dual& a) { return a.chain(-a.v, -1); }
  DN_HD friend Dual operator-(const Dual& a, const Dual& b) { return a + (-b); }
  DN_HD friend Dual operator*(const Dual& a, const Dual& b) {
    Dual r(a.v * b.v);
    for (int i = 0; i < N; ++i) r.d[i] = a.d[i] * b.v + a.v * b.d[i];
    return r;
  }
  DN_HD friend Dual operator/(const Dual& a, const Dual& b) {
    Dual r(a.v / b.v);
    for (int i = 0; i < N; ++i) r.d[i] = (a.d[i] - r.v * b.d[i]) / b.v;
    return r;
  }
  DN_HD friend bool operator<(const Dual& a, const Dual& b) { return a.v < b.v; }
  DN_HD friend bool operator>(const Dual& a, const Dual& b) { return a.v > b.v; }
};

// Found by the argument's namespace; the others call math::atan.
template <class T, int N>
DN_HD Dual<T, N> atan(const Dual<T, N>& x) {
  return x.chain(math::atan(x.v), 1 / (1 + x.v * x.v));
}

}  // namespace darknet
