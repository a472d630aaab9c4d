#include "eval/power.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "eval/distributions.h"

namespace darknet {
namespace {

// The numerator of the noncentral t is at least the shift less 8, its denominator hardly above 10:
// from here on the power is 1, and Boost's series would be long.
constexpr double kCertain = 40;

void require_positive(double value, const char* what) {
  if (!(value > 0 && std::isfinite(value))) fail(what, " of ", value, ": expected more than 0");
}
void require_goal(const PowerGoal& goal) {
  if (!(goal.power > goal.alpha && goal.power < 1 && goal.alpha > 0))
    fail("a power of ", goal.power, " at alpha ", goal.alpha, ": expected 0 < alpha < power < 1");
}

// As a multiple of the deviation.
double power_of(std::int64_t pairs, double effect, double alpha) {
  const auto degrees = static_cast<double>(pairs - 1);
  const double shift = effect * std::sqrt(static_cast<double>(pairs));
  const double critical = student_t(1 - alpha, degrees);
  if (shift > kCertain * std::max(1., critical)) return 1;
  return noncentral_t_tail(critical, degrees, shift) + noncentral_t_tail(critical, degrees, -shift);
}

std::optional<std::int64_t> pairs_for(double difference, double deviation, const PowerGoal& goal) {
  if (!std::isfinite(deviation)) return std::nullopt;
  return pairs_needed(difference, deviation, goal);
}

}  // namespace

double paired_power(std::int64_t pairs, double difference, double deviation, double alpha) {
  require_positive(deviation, "a deviation");
  if (!std::isfinite(difference)) fail("a difference of ", difference, ": expected a number");
  return pairs < 2 ? 0 : power_of(pairs, std::abs(difference) / deviation, alpha);
}

std::optional<std::int64_t> pairs_needed(double difference, double deviation,
                                         const PowerGoal& goal) {
  require_positive(difference, "a difference");
  require_goal(goal);
  if (deviation == 0) return 2;
  require_positive(deviation, "a deviation");
  const auto enough = [&](std::int64_t n) {
    return power_of(n, difference / deviation, goal.alpha) >= goal.power;
  };
  if (enough(2)) return 2;
  std::int64_t low = 2, high = 4;
  for (; high < kMaxPlannedPairs && !enough(high); high *= 2) low = high;
  high = std::min(high, kMaxPlannedPairs);
  if (!enough(high)) return std::nullopt;
  while (high - low > 1) {
    const std::int64_t middle = (low + high) / 2;
    (enough(middle) ? high : low) = middle;
  }
  return high;
}

double detectable_difference(std::int64_t pairs, double deviation, const PowerGoal& goal) {
  require_goal(goal);
  if (pairs < 2) return kUnbounded.high;
  if (deviation == 0) return 0;
  require_positive(deviation, "a deviation");
  double low = 0, high = 1;
  while (power_of(pairs, high, goal.alpha) < goal.power) low = high, high *= 2;
  while (high - low > 1e-9 * high) {
    const double middle = (low + high) / 2;
    (power_of(pairs, middle, goal.alpha) < goal.power ? low : high) = middle;
  }
  return high * deviation;
}

PowerTable power_table(double deviation, std::int64_t seen, std::span<const double> differences,
                       const PowerGoal& goal) {
  PowerTable table{.deviation = deviation,
                   .deviation_interval = deviation_interval(deviation, seen),
                   .seen = seen,
                   .detectable = detectable_difference(seen, deviation, goal)};
  for (const double d : differences) {
    PowerRow row{.difference = d};
    if (seen >= 2) {
      row.pairs = pairs_for(d, deviation, goal);
      row.at_low = pairs_for(d, table.deviation_interval.low, goal);
      row.at_high = pairs_for(d, table.deviation_interval.high, goal);
    }
    table.rows.push_back(row);
  }
  return table;
}

}  // namespace darknet
