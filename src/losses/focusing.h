// The exponents by which a loss discounts easy examples, which obj_gamma_ramp raises from 0 to
// their values in the first iterations, so that training begins with a loss that discounts nothing.
#pragma once
#include <concepts>
#include <cstdint>
#include "core/hd.h"

namespace darknet::losses {

struct ScaleExponent {
  float share;
  DN_HD void operator()(float& exponent) const { exponent *= share; }
};

// A loss with such exponents, which are valid down to 0, has a member template focusing(f) that
// calls f(exponent) of each.
template <class L>
concept Focusing = requires(L loss) {
  loss.focusing(ScaleExponent{1});
};

template <Focusing L>
DN_HD L with_focusing(L loss, float share) {
  loss.focusing(ScaleExponent{share});
  return loss;
}

// 0 at iteration 1, 1 from iteration `over` + 1 on.
DN_HD inline float ramp_share(std::int64_t iteration, std::int64_t over) {
  return iteration > over ? 1.f
         : iteration < 2  ? 0.f
                          : static_cast<float>(iteration - 1) / static_cast<float>(over);
}

}  // namespace darknet::losses
