#include "eval/paired.h"

#include <algorithm>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <limits>

#include "core/index.h"
#include "core/rng.h"

namespace darknet {
namespace {

constexpr double kConfidence = .95;
constexpr std::int64_t kMaxExactPairs = 20;  // 2^20 assignments of signs

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

// The share of the 2^n assignments of signs whose sum lies at least as far from 0.
double sign_flip_p(std::span<const double> values) {
  const auto n = std::ssize(values);
  double observed = 0, magnitude = 0;
  for (const double v : values) observed += v, magnitude += std::abs(v);
  const double min = std::abs(observed) - 1e-12 * magnitude;
  std::int64_t as_far = 0;
  const std::int64_t all = std::int64_t{1} << n;
  for (std::int64_t signs = 0; signs < all; ++signs) {
    double sum = 0;
    for (std::int64_t i = 0; i < n; ++i)
      sum += (signs >> i & 1) ? values[to_size(i)] : -values[to_size(i)];
    as_far += std::abs(sum) >= min;
  }
  return static_cast<double>(as_far) / static_cast<double>(all);
}

}  // namespace

double student_t(double confidence, std::int64_t degrees_of_freedom) {
  const boost::math::students_t distribution(static_cast<double>(degrees_of_freedom));
  return boost::math::quantile(boost::math::complement(distribution, (1 - confidence) / 2));
}

PairedStatistics paired_statistics(std::span<const double> differences) {
  PairedStatistics s;
  s.pairs = std::ssize(differences);
  const double unbounded = std::numeric_limits<double>::infinity();
  s.confidence = {-unbounded, unbounded};
  if (s.pairs == 0) return s;
  s.mean = mean_of(differences);
  if (s.pairs == 1) return s;
  s.deviation = deviation_of(differences, s.mean);
  const double margin =
      student_t(kConfidence, s.pairs - 1) * s.deviation / std::sqrt(static_cast<double>(s.pairs));
  s.confidence = {s.mean - margin, s.mean + margin};
  // Beyond that the interval says it all.
  s.p_value = s.pairs <= kMaxExactPairs ? sign_flip_p(differences)
                                        : std::numeric_limits<double>::quiet_NaN();
  return s;
}

Interval bootstrap(std::int64_t size, int resamples, std::uint64_t seed,
                   const std::function<double(std::span<const std::int64_t>)>& statistic) {
  std::vector<double> values;
  std::vector<std::int64_t> drawn(to_size(size));
  for (int k = 0; k < resamples; ++k) {
    Rng rng(seed, static_cast<std::uint64_t>(k));
    for (std::int64_t& i : drawn) i = rng.below(size);
    values.push_back(statistic(drawn));
  }
  std::sort(values.begin(), values.end());
  const auto at = [&](double share) {
    return values[static_cast<std::size_t>(
        std::lround(share * static_cast<double>(values.size() - 1)))];
  };
  return {at((1 - kConfidence) / 2), at((1 + kConfidence) / 2)};
}

}  // namespace darknet
