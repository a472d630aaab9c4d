// Looking at an experiment more than once, say after each seed: p-values and intervals that hold at
// all planned looks together. The plain 95 % interval does not: read after each of 2 to 10 seeds,
// it misses the true difference at one look or another in about one experiment of five.
//
// Method: O'Brien and Fleming's boundaries (Biometrics 35, 1979), which spend little on early looks
// - |z| = c z_alpha / sqrt(n / N) of the normal distribution - carried over to Student's t by the
// significance levels (Pocock, Biometrika 64, 1977): the t of a look is compared with the quantile
// of t that has the normal boundary's level. Looks of so few runs are far from normal, so the
// factor c is not O'Brien and Fleming's table but simulated for these very looks: the t of normal
// differences depends on nothing else. Its error is added on the safe side.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "eval/paired.h"

namespace darknet {

class SequentialPlan {
 public:
  // `looks`: at how many pairs the result is read, ascending, from 2, to 500 at most; the last is
  // where the experiment ends. Planned before the first is seen: a look that was not planned, or
  // one after the last, is worth nothing. Takes 50,000 simulated experiments; the same looks give
  // the same plan.
  explicit SequentialPlan(std::vector<std::int64_t> looks, double confidence = kConfidence);
  // A look after each pair from `first` to `last`.
  static SequentialPlan after_each(std::int64_t first, std::int64_t last);

  const std::vector<std::int64_t>& looks() const { return looks_; }
  double level() const { return confidence_; }
  bool planned(std::int64_t pairs) const;
  // The first look after so many pairs; 0 where none is left.
  std::int64_t next_look(std::int64_t pairs) const;

  // The interval of the mean difference; all those of the plan together contain the truth with the
  // plan's confidence. Unbounded where no look is planned at so many pairs.
  Interval confidence(const PairedStatistics&) const;
  // Two-sided p of the mean being `expected`. Under that hypothesis one at or below alpha is seen
  // at any of the looks with probability alpha at most, so these can be adjusted by Holm as plain
  // ones. At least .00002; 1 where no look is planned at so many pairs.
  double p_value(const PairedStatistics&, double expected = 0) const;
  // How many times wider the interval of this look is than the plain one: the price of looking. Of
  // looks after each of 2 to 10 pairs: 3.7 at 4, 1.5 at 7, 1.14 at 10; of looks at 4 and 8: 2.3 and
  // 1.04.
  double widening(std::int64_t pairs) const;

 private:
  double boundary(std::int64_t pairs) const;  // of |t|, before the factor
  double p_of_ratio(double) const;

  std::vector<std::int64_t> looks_;
  std::vector<double> boundaries_;  // by look
  std::vector<double> ratios_;  // of the simulated experiments, largest |t| / boundary, ascending
  double factor_ = 1;           // c
  double confidence_;
};

}  // namespace darknet
