// Looking at an experiment after each seed: how often intervals miss the truth at some look.
#include "eval/sequential.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "core/error.h"
#include "core/index.h"
#include "eval/normal_numbers.h"

namespace darknet {
namespace {

// Of a growing sample.
struct RunningSample {
  double sum = 0, squares = 0;
  std::int64_t size = 0;
  void add(double x) { sum += x, squares += x * x, ++size; }
  PairedStatistics statistics() const {
    const auto n = static_cast<double>(size);
    const double mean = sum / n;
    return {
        .pairs = size, .mean = mean, .deviation = std::sqrt((squares - n * mean * mean) / (n - 1))};
  }
};

// The share of experiments of which an interval misses the true difference at any look.
template <class Confidence>
double missed_at_any_look(const std::vector<std::int64_t>& looks, const Confidence& confidence) {
  constexpr int kExperiments = 100'000;  // the share's standard error is then .0007
  constexpr double kTruth = .7;
  int missed = 0;
  for (int i = 0; i < kExperiments; ++i) {
    NormalNumbers normal(77, static_cast<std::uint64_t>(i));
    RunningSample sample;
    bool inside = true;
    for (const std::int64_t n : looks) {
      while (sample.size < n) sample.add(kTruth + 2 * normal.next());
      inside &= confidence(sample.statistics()).contains(kTruth);
    }
    missed += !inside;
  }
  return static_cast<double>(missed) / kExperiments;
}

Interval plain(const PairedStatistics& s) {
  static const std::vector<double> quantiles = [] {  // of Student's t: Boost takes its time
    std::vector<double> t{0, 0};
    for (int n = 2; n <= 20; ++n) t.push_back(student_t(kConfidence, n - 1));
    return t;
  }();
  return interval_around(s.mean,
                         quantiles[to_size(s.pairs)] * standard_error(s.deviation, s.pairs));
}

TEST(Sequential, IntervalsHoldAtAllLooksTogether) {
  const SequentialPlan plan = SequentialPlan::after_each(2, 10);
  const double sequential = missed_at_any_look(
      plan.looks(), [&](const PairedStatistics& s) { return plan.confidence(s); });
  EXPECT_LE(sequential, .05);
  EXPECT_GE(sequential, .04);  // nor are they wider than they must be
  const double of_plain = missed_at_any_look(plan.looks(), plain);
  EXPECT_GE(of_plain, .15);
}

// Of a family of four differences that are not there, Holm's adjustment of the plan's p-values
// claims one at any look in at most one experiment of twenty.
TEST(Sequential, PValuesCanBeAdjustedByHolm) {
  const SequentialPlan plan({4, 6, 8});
  constexpr int kExperiments = 4000;
  int claimed = 0;
  for (int i = 0; i < kExperiments; ++i) {
    NormalNumbers normal(5, static_cast<std::uint64_t>(i));
    std::array<RunningSample, 4> variants;
    bool any = false;
    for (const std::int64_t n : plan.looks()) {
      std::vector<double> p;
      for (RunningSample& differences : variants) {
        while (differences.size < n) differences.add(normal.next());
        p.push_back(plan.p_value(differences.statistics()));
      }
      for (const double adjusted : holm_adjusted(p)) any |= adjusted <= .05;
    }
    claimed += any;
  }
  EXPECT_LE(claimed, kExperiments / 20);
  EXPECT_GE(claimed, kExperiments / 50);
}

TEST(Sequential, IntervalAndPSayTheSame) {
  const SequentialPlan plan({3, 5, 8});
  for (double mean = .1; mean < 4; mean += .1) {
    const PairedStatistics s{.pairs = 5, .mean = mean, .deviation = 1};
    EXPECT_EQ(plan.p_value(s) > .05, plan.confidence(s).contains(0)) << mean;
    EXPECT_NEAR(plan.confidence(s).width() / (2 * student_t(.95, 4) / std::sqrt(5.)),
                plan.widening(5), 1e-12);
  }
}

// O'Brien and Fleming's constants for the normal distribution (Jennison and Turnbull 2000, table
// 2.3): 2.024 for 4 equally spaced looks, over 1.960. So many pairs to a look make
// Student's t nearly normal.
TEST(Sequential, OfLargeSamplesTheLastLookHasOBrienAndFlemingsConstant) {
  const SequentialPlan plan({100, 200, 300, 400});
  EXPECT_NEAR(plan.widening(400), 2.024 / 1.960, .015);
  EXPECT_GT(plan.widening(100), 1.9);
}

TEST(Sequential, OneLookIsThePlainInterval) {
  const SequentialPlan plan({6});
  EXPECT_NEAR(plan.widening(6), 1, .03);  // the simulation's error, on the safe side
  EXPECT_GE(plan.widening(6), 1);
  const PairedStatistics s{.pairs = 6, .mean = 1, .deviation = 1};
  EXPECT_NEAR(plan.p_value(s), 2 * student_t_tail(std::sqrt(6.), 5), .005);
}

TEST(Sequential, LooksThatWereNotPlannedAreWorthNothing) {
  const SequentialPlan plan({3, 6});
  const std::array five{1., 1.1, 1.2, 1., 1.1};
  const PairedStatistics s = paired_statistics(five);
  EXPECT_FALSE(plan.planned(5));
  EXPECT_EQ(plan.p_value(s), 1);
  EXPECT_TRUE(std::isinf(plan.confidence(s).high));
  EXPECT_EQ(plan.next_look(5), 6);
  EXPECT_EQ(plan.next_look(2), 3);
  EXPECT_EQ(plan.next_look(6), 0);
  EXPECT_THROW(plan.widening(5), Error);
  EXPECT_THROW(SequentialPlan({}), Error);
  EXPECT_THROW(SequentialPlan({1, 2}), Error);
  EXPECT_THROW(SequentialPlan({4, 4}), Error);
  EXPECT_THROW(SequentialPlan({4, 501}), Error);
}

TEST(Sequential, EqualDifferencesAreNoProof) {
  const SequentialPlan plan = SequentialPlan::after_each(3, 6);
  EXPECT_DOUBLE_EQ(plan.p_value(paired_statistics(std::array{1., 1., 1.})), .25);
  EXPECT_DOUBLE_EQ(plan.p_value(paired_statistics(std::array{0., 0., 0.})), 1);
}

}  // namespace
}  // namespace darknet
