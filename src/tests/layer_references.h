// What the samples of layers share: references in plain loops.
#pragma once
#include <cmath>
#include <string>
#include <variant>
#include <vector>

#include "core/activation.h"
#include "tests/layer_harness.h"

namespace darknet::testing_layers {

using Hosts = std::vector<Host>;
using Values = std::vector<double>;

// A reference from a formula for one element.
template <class F>
auto each(F f) {
  return [f](const Hosts& in, const Hosts& p, const Shape& out) {
    Values v;
    for (std::int64_t n = 0; n < out.n; ++n)
      for (std::int64_t y = 0; y < out.h; ++y)
        for (std::int64_t x = 0; x < out.w; ++x)
          for (std::int64_t c = 0; c < out.c; ++c) v.push_back(f(in, p, n, y, x, c));
    return v;
  };
}

inline double activated(const std::string& name, double x) {
  return std::visit([&](auto f) { return static_cast<double>(f.value(x)); },
                    *value_of<Activation>(name));
}

inline void activate_all(Values& v, const std::string& name) {
  for (double& x : v) x = activated(name, x);
}

// Parameters: bias, scale, rolling mean, rolling variance. By the batch's statistics.
inline void normalise(Values& v, const Shape& s, const Host& bias, const Host& scale) {
  const std::int64_t n = s.pixels();
  for (std::int64_t c = 0; c < s.c; ++c) {
    double mean = 0, variance = 0;
    for (std::int64_t p = 0; p < n; ++p) mean += v[p * s.c + c] / n;
    for (std::int64_t p = 0; p < n; ++p) variance += std::pow(v[p * s.c + c] - mean, 2);
    variance = n > 1 ? variance / (n - 1) : 0;
    for (std::int64_t p = 0; p < n; ++p) {
      double& x = v[p * s.c + c];
      x = (x - mean) / std::sqrt(variance + 1e-5) * scale.v[c] + bias.v[c];
    }
  }
}

}  // namespace darknet::testing_layers
