// Paired differences and the bootstrap, against tables and known distributions.
#include "eval/paired.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

namespace darknet {
namespace {

TEST(StudentT, EqualsTheTables) {
  EXPECT_NEAR(student_t(.95, 1), 12.7062, 1e-3);
  EXPECT_NEAR(student_t(.95, 2), 4.30265, 1e-4);
  EXPECT_NEAR(student_t(.95, 9), 2.26216, 1e-4);
  EXPECT_NEAR(student_t(.99, 5), 4.03214, 1e-4);
  EXPECT_NEAR(student_t(.95, 100000), 1.95998, 1e-3);
}

TEST(PairedStatistics, EqualACalculationByHand) {
  const std::array d{1., 2., 3.};
  const PairedStatistics s = paired_statistics(d);
  EXPECT_EQ(s.pairs, 3);
  EXPECT_DOUBLE_EQ(s.mean, 2);
  EXPECT_DOUBLE_EQ(s.deviation, 1);
  EXPECT_NEAR(s.confidence.low, 2 - 4.30265 / std::sqrt(3.), 1e-4);
  EXPECT_NEAR(s.confidence.high, 2 + 4.30265 / std::sqrt(3.), 1e-4);
  EXPECT_DOUBLE_EQ(s.p_value, .25);  // all plus or all minus, of 8
}

TEST(PairedStatistics, OnePairProvesNothing) {
  const std::array d{5.};
  const PairedStatistics s = paired_statistics(d);
  EXPECT_DOUBLE_EQ(s.mean, 5);
  EXPECT_DOUBLE_EQ(s.p_value, 1);
  EXPECT_TRUE(std::isinf(s.confidence.low) && std::isinf(s.confidence.high));
  EXPECT_EQ(paired_statistics({}).pairs, 0);
}

TEST(PairedStatistics, OppositeDifferencesCancel) {
  const std::array d{1., -1., 2., -2.};
  const PairedStatistics s = paired_statistics(d);
  EXPECT_DOUBLE_EQ(s.mean, 0);
  EXPECT_DOUBLE_EQ(s.p_value, 1);
}

TEST(PairedStatistics, ManyPairsLeaveThePermutationsOut) {
  const std::vector<double> d(40, 1.);
  const PairedStatistics s = paired_statistics(d);
  EXPECT_TRUE(std::isnan(s.p_value));
  EXPECT_NEAR(s.confidence.low, 1, 1e-12);
}

TEST(Bootstrap, OfAMeanHasTheNormalWidth) {
  constexpr std::int64_t kSize = 400;  // values 0 and 1 alternating: deviation .5
  const auto mean = [](std::span<const std::int64_t> drawn) {
    double sum = 0;
    for (const std::int64_t i : drawn) sum += static_cast<double>(i % 2);
    return sum / static_cast<double>(drawn.size());
  };
  const Interval i = bootstrap(kSize, 4000, 7, mean);
  EXPECT_NEAR(i.low, .5 - 1.96 * .5 / 20, .004);
  EXPECT_NEAR(i.high, .5 + 1.96 * .5 / 20, .004);
  const Interval again = bootstrap(kSize, 4000, 7, mean);
  EXPECT_EQ(i.low, again.low);
  EXPECT_EQ(i.high, again.high);
}

}  // namespace
}  // namespace darknet
