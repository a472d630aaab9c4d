// A sample of numbers, such as one figure of the runs of one variant: its mean, its spread and the
// interval of its mean. Values that are not finite are refused with an Error: a run that diverged
// is no number (eval/paired.h has RunOutcome for it).
#pragma once
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

namespace darknet {

inline constexpr double kConfidence = .95;

struct Interval {
  double low = 0, high = 0;
  bool contains(double value) const { return low <= value && value <= high; }
  double width() const { return high - low; }
};
inline constexpr Interval kUnbounded{-std::numeric_limits<double>::infinity(),
                                     std::numeric_limits<double>::infinity()};

// In the unit of the values. Without values the mean is 0; with fewer than two the deviation is 0
// and the interval unbounded.
struct SampleSummary {
  std::vector<double> values;  // as given
  double mean = 0;
  double deviation = 0;  // sample standard deviation, divided by n - 1
  Interval confidence;   // of the mean: mean +- t(n - 1) deviation / sqrt(n), if values are normal
};
SampleSummary summarize(std::span<const double> values, double confidence = kConfidence);

double mean_of(std::span<const double> values);                    // of at least one
double deviation_of(std::span<const double> values, double mean);  // of at least two
double standard_error(double deviation, std::int64_t size);        // deviation / sqrt(size)
Interval interval_around(double centre, double margin);
// Throws where a value is not finite; `what` names them in the message.
void require_finite(std::span<const double> values, const char* what);

// Where the true standard deviation lies if values are normal: sqrt((n - 1) s^2 / chi^2). Unbounded
// above with fewer than two values. Three values leave .52 to 6.3 times what they show.
Interval deviation_interval(double deviation, std::int64_t size, double confidence = kConfidence);

// Between the (1 - confidence) / 2 and (1 + confidence) / 2 quantiles of values (at least one) that
// were drawn by resampling; the nearest rank, not interpolated.
Interval percentile_interval(std::vector<double> values, double confidence = kConfidence);

// Spearman's rank correlation: Pearson's of the ranks, equal values sharing the mean of theirs. -1
// to 1; NaN where it does not exist (fewer than two pairs, or one side all equal). Throws where the
// sides differ in length.
double rank_correlation(std::span<const double> x, std::span<const double> y);

}  // namespace darknet
