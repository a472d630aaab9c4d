#include "eval/paired.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "core/error.h"
#include "core/index.h"
#include "core/rng.h"

namespace darknet {
namespace {

constexpr std::int64_t kMaxExactPairs = 20;  // 2^20 assignments of signs

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

// Differences of floating-point numbers that are equal on paper are not to the last bit.
bool all_equal(std::span<const double> values) {
  const auto [min, max] = std::minmax_element(values.begin(), values.end());
  return *max - *min <= 1e-9 * std::max(std::abs(*min), std::abs(*max));
}

double two_sided_t_p(const PairedStatistics& s) {
  if (s.all_equal) return s.mean == 0 ? 1 : smallest_sign_flip_p(s.pairs);
  return std::min(1.,
                  2 * student_t_tail(std::abs(t_statistic(s)), static_cast<double>(s.pairs - 1)));
}

// The p of the claim that the mean lies above `bound`.
double above_p(const PairedStatistics& s, double bound) {
  if (s.all_equal) return s.mean > bound ? smallest_sign_flip_p(s.pairs) / 2 : 1;
  return student_t_tail(t_statistic(s, bound), static_cast<double>(s.pairs - 1));
}

}  // namespace

RunOutcome RunOutcome::finished(double value) {
  require_finite(std::span(&value, 1), "the result of a run that did not diverge");
  return RunOutcome(State::finished, value);
}

double RunOutcome::value() const {
  if (!has_finished()) fail("a run that diverged or is missing has no result");
  return value_;
}

PairedRuns pair_runs(std::span<const RunOutcome> baseline, std::span<const RunOutcome> variant) {
  if (baseline.size() != variant.size())
    fail("paired runs: ", baseline.size(), " of the baseline and ", variant.size(),
         " of the variant, expected one of each per seed");
  PairedRuns pairs;
  for (std::size_t i = 0; i < baseline.size(); ++i) {
    const bool left_out = !baseline[i].has_finished() || !variant[i].has_finished();
    pairs.baseline_diverged += baseline[i].has_diverged();
    pairs.variant_diverged += variant[i].has_diverged();
    pairs.left_out += left_out;
    if (!left_out) pairs.differences.push_back(variant[i].value() - baseline[i].value());
  }
  return pairs;
}

PairedStatistics paired_statistics(std::span<const double> differences) {
  const SampleSummary sample = summarize(differences);
  PairedStatistics s{.pairs = std::ssize(differences),
                     .mean = sample.mean,
                     .deviation = sample.deviation,
                     .confidence = sample.confidence};
  if (s.pairs < 2) return s;
  s.all_equal = all_equal(differences);
  s.t_p_value = two_sided_t_p(s);
  // Beyond that the interval says it all.
  s.p_value = s.pairs <= kMaxExactPairs ? sign_flip_p(differences)
                                        : std::numeric_limits<double>::quiet_NaN();
  return s;
}

double smallest_sign_flip_p(std::int64_t pairs) {
  if (pairs < 0) fail(pairs, " pairs: expected none or more");
  return pairs == 0 ? 1 : std::ldexp(2., static_cast<int>(-std::min<std::int64_t>(pairs, 1000)));
}

double t_statistic(const PairedStatistics& s, double expected) {
  if (s.pairs < 2 || s.mean == expected) return 0;
  return (s.mean - expected) / standard_error(s.all_equal ? 0 : s.deviation, s.pairs);
}

double equivalence_p_value(const PairedStatistics& s, double margin) {
  if (!(margin > 0)) fail("an equivalence margin of ", margin, ": expected more than 0");
  if (s.pairs < 2) return 1;
  PairedStatistics mirrored = s;
  mirrored.mean = -s.mean;
  return std::max(above_p(s, -margin), above_p(mirrored, -margin));
}

std::vector<double> holm_adjusted(std::span<const double> p_values) {
  for (const double p : p_values)
    if (!(p >= 0 && p <= 1)) fail("a p-value of ", p, ": expected 0 to 1");
  std::vector<std::size_t> order(p_values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return p_values[a] < p_values[b]; });
  std::vector<double> adjusted(p_values.size());
  double largest = 0;
  for (std::size_t j = 0; j < order.size(); ++j) {
    const double here = static_cast<double>(order.size() - j) * p_values[order[j]];
    largest = std::max(largest, std::min(1., here));
    adjusted[order[j]] = largest;
  }
  return adjusted;
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
  return percentile_interval(std::move(values));
}

}  // namespace darknet
