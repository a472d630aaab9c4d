// Whether one of two variants of an experiment is better: statistics of paired differences, over
// seeds and over images. Pure functions of numbers; what the variants are is not known here. What
// may be claimed from them is in eval/verdict.h.
#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "eval/distributions.h"
#include "eval/sample.h"

namespace darknet {

// What one run gave: a figure, or nothing because the run diverged or has not been made yet.
class RunOutcome {
 public:
  static RunOutcome finished(double value);  // throws where it is not finite
  static RunOutcome diverged() { return RunOutcome(State::diverged); }
  static RunOutcome missing() { return RunOutcome(State::missing); }
  bool has_finished() const { return state_ == State::finished; }
  bool has_diverged() const { return state_ == State::diverged; }
  double value() const;  // throws where the run has not finished

 private:
  enum class State : std::uint8_t { finished, diverged, missing };
  explicit RunOutcome(State state, double value = 0) : state_(state), value_(value) {}
  State state_;
  double value_;
};

// Differences variant - baseline of the runs that share a seed. A pair of which either run diverged
// or is missing has no difference: it is left out and counted.
struct PairedRuns {
  std::vector<double> differences;  // of the pairs that finished, in the order of the seeds
  std::int64_t baseline_diverged = 0, variant_diverged = 0;  // runs; both may be of one pair
  std::int64_t left_out = 0;                                 // pairs, for either reason
  bool any_diverged() const { return baseline_diverged + variant_diverged > 0; }
};
// One outcome per seed on each side, in the same order; throws where their numbers differ.
PairedRuns pair_runs(std::span<const RunOutcome> baseline, std::span<const RunOutcome> variant);

// Differences b - a of runs that share their seed. With fewer than two there is no spread: the
// interval is then unbounded and both p are 1. Throws where a difference is not finite.
struct PairedStatistics {
  std::int64_t pairs = 0;
  double mean = 0;
  double deviation = 0;  // sample standard deviation of the differences
  Interval confidence;   // 95 % of the mean, Student's t with pairs - 1 degrees of freedom
  double p_value = 1;    // two-sided, exact: every assignment of signs is as likely (<= 20 pairs)
  // Two-sided, Student's paired t-test. It does not exist where all differences are equal: then it
  // is the p of the signs, 2 / 2^pairs (1 where all are 0), not the 0 that the formula tends to.
  double t_p_value = 1;
  bool all_equal = false;  // the differences, to 1e-9 of the largest
};
PairedStatistics paired_statistics(std::span<const double> differences);

// The smallest p_value that so many pairs can give, all differences having one sign: 2 / 2^pairs,
// and 1 without pairs. .25 for 3 pairs, .031 for 6.
double smallest_sign_flip_p(std::int64_t pairs);

// (mean - expected) / standard error; infinite where there is no spread, 0 for fewer than 2 pairs.
double t_statistic(const PairedStatistics&, double expected = 0);

// Two one-sided t-tests (Schuirmann 1987): the p of the claim that the mean difference lies within
// -margin to margin, the larger of the two. It is below alpha exactly where the interval of
// confidence 1 - 2 alpha lies within. 1 with fewer than two pairs; margin > 0.
double equivalence_p_value(const PairedStatistics&, double margin);

// Holm's step-down adjustment (1979) of the p-values of one family of tests, in the order given:
// claiming all those at or below alpha is wrong in the family at most so often, whatever the
// dependence of the tests. max over j <= i of min(1, (m - j + 1) p_(j)), p_(j) the j-th smallest.
// Throws where a p is not in 0..1.
std::vector<double> holm_adjusted(std::span<const double> p_values);

// 95 % interval of a statistic of a sample of `size` images when these are drawn anew with
// replacement (percentile bootstrap): what another test set of this kind might have said of the
// same networks. `statistic` is given the indices drawn; the same seed gives the same interval.
Interval bootstrap(std::int64_t size, int resamples, std::uint64_t seed,
                   const std::function<double(std::span<const std::int64_t>)>& statistic);

}  // namespace darknet
