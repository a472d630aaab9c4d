#include "eval/sample.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.h"
#include "core/index.h"
#include "eval/distributions.h"

namespace darknet {
namespace {

// From 1; equal values share the mean of the ranks that they take.
std::vector<double> mean_ranks(std::span<const double> values) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return values[a] < values[b]; });
  std::vector<double> ranks(values.size());
  for (std::size_t first = 0, last = 0; first < order.size(); first = last) {
    while (last < order.size() && values[order[last]] == values[order[first]]) ++last;
    for (std::size_t i = first; i < last; ++i)
      ranks[order[i]] = static_cast<double>(first + 1 + last) / 2;
  }
  return ranks;
}

double correlation(std::span<const double> x, std::span<const double> y) {
  const double mean_x = mean_of(x), mean_y = mean_of(y);
  double xy = 0, xx = 0, yy = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    xy += (x[i] - mean_x) * (y[i] - mean_y);
    xx += (x[i] - mean_x) * (x[i] - mean_x);
    yy += (y[i] - mean_y) * (y[i] - mean_y);
  }
  return xy / std::sqrt(xx * yy);  // 0 / 0 where one side is all equal
}

}  // namespace

double mean_of(std::span<const double> values) {
  double sum = 0;
  for (const double v : values) sum += v;
  return sum / static_cast<double>(values.size());
}

double deviation_of(std::span<const double> values, double mean) {
  double squares = 0;
  for (const double v : values) squares += (v - mean) * (v - mean);
  return std::sqrt(squares / static_cast<double>(values.size() - 1));
}

double standard_error(double deviation, std::int64_t size) {
  return deviation / std::sqrt(static_cast<double>(size));
}

Interval interval_around(double centre, double margin) {
  return {centre - margin, centre + margin};
}

void require_finite(std::span<const double> values, const char* what) {
  for (std::size_t i = 0; i < values.size(); ++i)
    if (!std::isfinite(values[i]))
      fail(what, ": value ", i + 1, " of ", values.size(), " is ", values[i],
           ", expected a finite number");
}

SampleSummary summarize(std::span<const double> values, double confidence) {
  require_finite(values, "a sample");
  SampleSummary s{.values = {values.begin(), values.end()}, .confidence = kUnbounded};
  const auto n = std::ssize(values);
  if (n > 0) s.mean = mean_of(values);
  if (n < 2) return s;
  s.deviation = deviation_of(values, s.mean);
  const double margin = student_t(confidence, static_cast<double>(n - 1)) * s.deviation /
                        std::sqrt(static_cast<double>(n));
  s.confidence = interval_around(s.mean, margin);
  return s;
}

Interval deviation_interval(double deviation, std::int64_t size, double confidence) {
  if (size < 2) return {0, kUnbounded.high};
  const auto degrees = static_cast<double>(size - 1);
  const auto bound = [&](double share) {
    return deviation * std::sqrt(degrees / chi_squared_quantile(share, degrees));
  };
  return {bound((1 + confidence) / 2), bound((1 - confidence) / 2)};
}

Interval percentile_interval(std::vector<double> values, double confidence) {
  if (values.empty()) fail("a percentile interval of no values");
  std::sort(values.begin(), values.end());
  const auto at = [&](double share) {
    return values[static_cast<std::size_t>(
        std::lround(share * static_cast<double>(values.size() - 1)))];
  };
  return {at((1 - confidence) / 2), at((1 + confidence) / 2)};
}

double rank_correlation(std::span<const double> x, std::span<const double> y) {
  if (x.size() != y.size())
    fail("a rank correlation of ", x.size(), " and ", y.size(), " values: expected pairs");
  require_finite(x, "a rank correlation");
  require_finite(y, "a rank correlation");
  if (x.size() < 2) return std::numeric_limits<double>::quiet_NaN();
  return correlation(mean_ranks(x), mean_ranks(y));
}

}  // namespace darknet
