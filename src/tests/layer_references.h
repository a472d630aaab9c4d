// What the samples of layers share: references in plain loops.
#pragma once
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

}  // namespace darknet::testing_layers
