#include "eval/lift_off.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/index.h"

namespace darknet {
namespace {

void require_curve(std::span<const CurveValue> curve, const LiftOffRule& rule) {
  if (!(rule.fraction > 0 && rule.fraction <= 1))
    fail("lift-off at ", rule.fraction, " of the way: expected above 0, at most 1");
  if (rule.window < 1 || rule.window % 2 == 0)
    fail("lift-off with a window of ", rule.window, ": expected an odd number");
  for (std::size_t i = 0; i < curve.size(); ++i) {
    if (!std::isfinite(curve[i].value))
      fail("lift-off: the value at iteration ", curve[i].iteration, " is ", curve[i].value);
    if (i > 0 && !(curve[i].iteration > curve[i - 1].iteration))
      fail("lift-off: iteration ", curve[i].iteration, " follows ", curve[i - 1].iteration);
  }
}

double mean_between(std::span<const CurveValue> curve, std::int64_t first, std::int64_t last) {
  double sum = 0;
  for (std::int64_t i = first; i <= last; ++i) sum += curve[to_size(i)].value;
  return sum / static_cast<double>(last - first + 1);
}

double smoothed(std::span<const CurveValue> curve, std::int64_t at, std::int64_t window) {
  const std::int64_t half = std::min({window / 2, at, std::ssize(curve) - 1 - at});
  return mean_between(curve, at - half, at + half);
}

}  // namespace

std::optional<double> lift_off(std::span<const CurveValue> curve, const LiftOffRule& rule) {
  require_curve(curve, rule);
  if (curve.empty()) return std::nullopt;
  const auto n = std::ssize(curve);
  const double start = rule.start.value_or(curve.front().value);
  const double end = mean_between(curve, n - std::max<std::int64_t>(1, n / 10), n - 1);
  if (end == start) return std::nullopt;
  for (std::int64_t i = 0; i < n; ++i)
    if ((smoothed(curve, i, rule.window) - start) / (end - start) >= rule.fraction)
      return curve[to_size(i)].iteration;
  return std::nullopt;
}

}  // namespace darknet
