// Whether one of two variants of an experiment is better: statistics of paired differences, over
// seeds and over images. Pure functions of numbers; what the variants are is not known here.
#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace darknet {

struct Interval {
  double low = 0, high = 0;
};

// Differences b - a of runs that share their seed. With fewer than two there is no spread: the
// interval is then unbounded and p is 1.
struct PairedStatistics {
  std::int64_t pairs = 0;
  double mean = 0;
  double deviation = 0;  // sample standard deviation of the differences
  Interval confidence;   // 95 % of the mean, Student's t with pairs - 1 degrees of freedom
  double p_value = 1;    // two-sided, exact: every assignment of signs is as likely (<= 20 pairs)
};
PairedStatistics paired_statistics(std::span<const double> differences);

// The quantile of Student's t: P(|T| <= t) = confidence.
double student_t(double confidence, std::int64_t degrees_of_freedom);

// 95 % interval of a statistic of a sample of `size` images when these are drawn anew with
// replacement (percentile bootstrap): what another test set of this kind might have said of the
// same networks. `statistic` is given the indices drawn; the same seed gives the same interval.
Interval bootstrap(std::int64_t size, int resamples, std::uint64_t seed,
                   const std::function<double(std::span<const std::int64_t>)>& statistic);

}  // namespace darknet
