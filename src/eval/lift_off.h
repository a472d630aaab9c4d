// When a curve of a training run lifts off: the iteration from which a loss or an average precision
// has gone a good part of its way. A figure of speed that does not depend on the last digits.
#pragma once
#include <cstdint>
#include <optional>
#include <span>

namespace darknet {

struct CurveValue {
  double iteration = 0;
  double value = 0;
};

struct LiftOffRule {
  double fraction = .5;         // of the way, above 0 and at most 1
  std::int64_t window = 1;      // values that are averaged, odd; 1: none
  std::optional<double> start;  // where the way begins: 0 for an average precision; none: see below
};

// The first iteration of the curve at which (s(i) - start) / (end - start) >= fraction, where s is
// the mean of `window` values around i (fewer at the ends, the same number on both sides), `end`
// the mean of the last tenth of the values (at least one), and `start`, where the rule has none,
// the first value (with symmetric windows s is that there). Rising and falling curves alike;
// iterations ascend; nothing is interpolated. None for an empty curve, and for one that ends where
// it starts, which has no way to go. A curve that ends lower than the rule's start is taken as a
// falling one. Throws where a value is not finite, and where iterations do not ascend.
std::optional<double> lift_off(std::span<const CurveValue> curve, const LiftOffRule& = {});

}  // namespace darknet
