// How many seeds an experiment of paired runs needs, and what so many can show: the power of the
// paired t-test. Differences and their deviation are in one unit of your choice (points of mAP).
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "eval/sample.h"

namespace darknet {

struct PowerGoal {
  double power = .8;   // the chance that a true difference of this size is shown
  double alpha = .05;  // two-sided; for the smallest p of m tests under Holm take alpha / m
};

// The chance that the two-sided paired t-test shows a true mean difference when single differences
// deviate by `deviation` (> 0): P(|T| > t), T noncentral with shift difference sqrt(n) / deviation
// and n - 1 degrees of freedom (Cohen 1988; the figures of G*Power). 0 with fewer than 2 pairs.
double paired_power(std::int64_t pairs, double difference, double deviation, double alpha = .05);

inline constexpr std::int64_t kMaxPlannedPairs = 1'000'000;
// The fewest pairs with this power, at least 2; none where more than kMaxPlannedPairs were needed.
// Throws where difference or deviation is not above 0 (a deviation of 0 needs 2 pairs).
std::optional<std::int64_t> pairs_needed(double difference, double deviation,
                                         const PowerGoal& = {});

// The smallest true difference that so many pairs show with this power; infinite below 2 pairs.
double detectable_difference(std::int64_t pairs, double deviation, const PowerGoal& = {});

struct PowerRow {
  double difference = 0;
  std::optional<std::int64_t> pairs;  // at the deviation seen
  // At the ends of the 95 % interval of the deviation: a few seeds say little about it.
  std::optional<std::int64_t> at_low, at_high;
};
struct PowerTable {
  double deviation = 0;
  Interval deviation_interval;
  std::int64_t seen = 0;       // pairs that gave the deviation
  double detectable = 0;       // by as many pairs
  std::vector<PowerRow> rows;  // one per difference asked for
};
// Of what `seen` pairs showed. With fewer than two there is no deviation: no row has pairs.
PowerTable power_table(double deviation, std::int64_t seen, std::span<const double> differences,
                       const PowerGoal& = {});

}  // namespace darknet
