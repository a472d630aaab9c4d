// Samples, Holm, power, ranks and lift-off against known values. SciPy 1.17 and statsmodels 0.15
// computed those that name no other source; the call stands next to the value.
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>

#include "core/error.h"
#include "eval/lift_off.h"
#include "eval/paired.h"
#include "eval/power.h"

namespace darknet {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// Additional hours of sleep by two drugs, ten patients: Student, Biometrika 6 (1908).
constexpr std::array kFirstDrug{.7, -1.6, -.2, -1.2, -.1, 3.4, 3.7, .8, 0., 2.};
constexpr std::array kSecondDrug{1.9, .8, 1.1, .1, -.1, 4.4, 5.5, 1.6, 4.6, 3.4};

std::vector<double> sleep_differences() {
  std::vector<double> d;
  for (std::size_t i = 0; i < kFirstDrug.size(); ++i) d.push_back(kSecondDrug[i] - kFirstDrug[i]);
  return d;
}

TEST(Distributions, EqualSciPy) {
  EXPECT_NEAR(student_t(.95, 2.5), 3.5746548420036817, 1e-9);           // t.ppf(.975, 2.5)
  EXPECT_NEAR(student_t_tail(2.5, 5), .02724504967118813, 1e-12);       // t.sf
  EXPECT_NEAR(student_t_tail(-1, 2), .7886751345948129, 1e-12);         // t.sf
  EXPECT_NEAR(noncentral_t_tail(2, 4, 1.5), .38107107486034525, 1e-9);  // nct.sf
  EXPECT_NEAR(noncentral_t_tail(2.262157162740992, 9, 3), .7611552610207923, 1e-9);
  EXPECT_NEAR(chi_squared_quantile(.025, 5), .8312116134866625, 1e-9);  // chi2.ppf
  EXPECT_NEAR(normal_z(.99), 2.5758293035489004, 1e-9);                 // norm.ppf(.995)
  EXPECT_NEAR(normal_two_sided(1.959963984540054), .05, 1e-12);
  EXPECT_DOUBLE_EQ(student_t_tail(std::numeric_limits<double>::infinity(), 3), 0);
  EXPECT_THROW(student_t(1, 3), Error);
  EXPECT_THROW(student_t(.95, 0), Error);
  EXPECT_THROW(student_t_tail(kNan, 3), Error);
}

TEST(Sample, HasTheIntervalOfSciPy) {
  const SampleSummary s = summarize(kFirstDrug);
  EXPECT_EQ(s.values.size(), 10u);
  EXPECT_NEAR(s.mean, .75, 1e-12);
  EXPECT_NEAR(s.deviation, 1.7890096577591623, 1e-12);      // numpy.std(ddof=1)
  EXPECT_NEAR(s.confidence.low, -.5297804135262321, 1e-9);  // ttest_1samp().confidence_interval()
  EXPECT_NEAR(s.confidence.high, 2.029780413526232, 1e-9);
}

TEST(Sample, OfNoneOneOrEqualValues) {
  EXPECT_EQ(summarize({}).mean, 0);
  EXPECT_TRUE(std::isinf(summarize({}).confidence.high));
  const std::array one{3.};
  const std::array equal{3., 3., 3.};
  EXPECT_EQ(summarize(one).mean, 3);
  EXPECT_EQ(summarize(one).deviation, 0);
  EXPECT_TRUE(std::isinf(summarize(one).confidence.low));
  EXPECT_EQ(summarize(equal).confidence.width(), 0);
  const std::array bad{1., kNan};
  EXPECT_THROW(summarize(bad), Error);
  EXPECT_THROW(paired_statistics(bad), Error);
}

// sqrt(5 s^2 / chi^2) with chi^2 = 12.8325 and .831212 (SciPy's chi2.ppf(.975, 5), chi2.ppf(.025,
// 5)).
TEST(Sample, TheDeviationHasAnIntervalToo) {
  const Interval i = deviation_interval(2, 6);
  EXPECT_NEAR(i.low, 2 * std::sqrt(5 / 12.832501994030027), 1e-9);
  EXPECT_NEAR(i.high, 2 * std::sqrt(5 / .8312116134866625), 1e-9);
  EXPECT_TRUE(std::isinf(deviation_interval(0, 1).high));
}

TEST(PairedStatistics, EqualSciPyOnStudentsSleepData) {
  const PairedStatistics s = paired_statistics(sleep_differences());
  EXPECT_NEAR(t_statistic(s), 4.062127683382037, 1e-9);  // ttest_rel
  EXPECT_NEAR(s.t_p_value, .002832890197384273, 1e-12);
  EXPECT_NEAR(s.confidence.low, .7001142367230175, 1e-9);
  EXPECT_NEAR(s.confidence.high, 2.459885763276983, 1e-9);
  EXPECT_DOUBLE_EQ(s.p_value, .00390625);  // permutation_test(permutation_type='samples'), exact
  // ttest_1samp(d - 3, 0, alternative='less'), the larger of the two sides.
  EXPECT_NEAR(equivalence_p_value(s, 3), .002655570292658671, 1e-12);
  EXPECT_GT(equivalence_p_value(s, 1.5), .5);  // the mean is 1.58
}

// The 90 % interval lies within the margin exactly where both one-sided tests reject at 5 %.
TEST(PairedStatistics, EquivalenceIsTheNinetyPercentIntervalWithinTheMargin) {
  const PairedStatistics s = paired_statistics(sleep_differences());
  const double end = summarize(sleep_differences(), .9).confidence.high;
  EXPECT_NEAR(equivalence_p_value(s, end), .05, 1e-9);
  EXPECT_THROW(equivalence_p_value(s, 0), Error);
}

TEST(PairedStatistics, WithoutASpreadTheSignsDecide) {
  // Equal on paper, not to the last bit: a spread of 1e-17 is none.
  const std::array equal{.3 - .2, .2 - .1, .4 - .3};
  const PairedStatistics s = paired_statistics(equal);
  EXPECT_TRUE(s.all_equal);
  EXPECT_DOUBLE_EQ(s.t_p_value, .25);
  EXPECT_DOUBLE_EQ(equivalence_p_value(s, .5), .125);
  EXPECT_DOUBLE_EQ(equivalence_p_value(s, .05), 1);
  const std::array none{0., 0., 0.};
  EXPECT_DOUBLE_EQ(paired_statistics(none).t_p_value, 1);
  EXPECT_DOUBLE_EQ(paired_statistics(none).p_value, 1);
}

TEST(PairedStatistics, TheSmallestSignFlipP) {
  EXPECT_DOUBLE_EQ(smallest_sign_flip_p(0), 1);
  EXPECT_DOUBLE_EQ(smallest_sign_flip_p(1), 1);
  EXPECT_DOUBLE_EQ(smallest_sign_flip_p(3), .25);
  EXPECT_DOUBLE_EQ(smallest_sign_flip_p(6), .03125);
  EXPECT_THROW(smallest_sign_flip_p(-1), Error);
  for (std::int64_t n = 2; n < 12; ++n) {  // what paired_statistics() gives where all signs agree
    std::vector<double> d;
    for (std::int64_t i = 0; i < n; ++i) d.push_back(1 + static_cast<double>(i));
    EXPECT_DOUBLE_EQ(paired_statistics(d).p_value, smallest_sign_flip_p(n)) << n;
  }
}

TEST(PairedRuns, LeaveOutPairsOfWhichARunDiverged) {
  const auto ok = [](double v) { return RunOutcome::finished(v); };
  const auto diverged = RunOutcome::diverged(), missing = RunOutcome::missing();
  const std::array baseline{ok(.5), diverged, ok(.6), diverged, missing, ok(.4)};
  const std::array variant{ok(.75), ok(.7), diverged, diverged, missing, missing};
  const PairedRuns pairs = pair_runs(baseline, variant);
  EXPECT_EQ(pairs.differences, std::vector<double>{.25});
  EXPECT_EQ(pairs.left_out, 5);
  EXPECT_EQ(pairs.baseline_diverged, 2);
  EXPECT_EQ(pairs.variant_diverged, 2);
  EXPECT_THROW(pair_runs(std::span(baseline).first(3), variant), Error);
  EXPECT_THROW(RunOutcome::finished(kNan), Error);
  EXPECT_THROW(diverged.value(), Error);
  EXPECT_THROW(missing.value(), Error);
}

void expect_near(const std::vector<double>& got, const std::vector<double>& expected) {
  ASSERT_EQ(got.size(), expected.size());
  for (std::size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], expected[i], 1e-12) << i;
}

// statsmodels' multipletests(method='holm'); the first is the usual example of textbooks.
TEST(Holm, EqualsStatsmodels) {
  expect_near(holm_adjusted(std::array{.01, .04, .03, .005}), {.03, .06, .06, .02});
  expect_near(holm_adjusted(std::array{.02, .02, .5, .9, .001}), {.08, .08, 1, 1, .005});
  expect_near(holm_adjusted(std::array{.2}), {.2});
  expect_near(holm_adjusted({}), {});
  EXPECT_THROW(holm_adjusted(std::array{.2, kNan}), Error);
  EXPECT_THROW(holm_adjusted(std::array{1.2}), Error);
}

// The IQ and television example of Wikipedia's article on Spearman's coefficient: -29/165.
TEST(RankCorrelation, EqualsTheTextbook) {
  EXPECT_NEAR(rank_correlation(std::array{106., 100., 86., 101., 99., 103., 97., 113., 112., 110.},
                               std::array{7., 27., 2., 50., 28., 29., 20., 12., 6., 17.}),
              -29. / 165, 1e-12);
  EXPECT_NEAR(rank_correlation(std::array{1., 2., 2., 3., 5.}, std::array{2., 1., 4., 4., 6.}),
              .7631578947368421, 1e-12);  // spearmanr, with ties
}

TEST(RankCorrelation, SeesOrderAloneAndKnowsItsLimits) {
  EXPECT_NEAR(rank_correlation(std::array{1., 2., 3.}, std::array{1., 10., 1e6}), 1, 1e-12);
  EXPECT_NEAR(rank_correlation(std::array{1., 2.}, std::array{5., 4.}), -1, 1e-12);
  EXPECT_TRUE(std::isnan(rank_correlation({}, {})));
  EXPECT_TRUE(std::isnan(rank_correlation(std::array{1., 2.}, std::array{3., 3.})));
  EXPECT_THROW(rank_correlation(std::array{1.}, {}), Error);
  EXPECT_THROW(rank_correlation(std::array{kNan, 1.}, std::array{1., 2.}), Error);
}

// Cohen (1988) and G*Power 3.1: pairs for 80 % at 5 % two-sided, by the difference in deviations.
TEST(Power, NeedsTheSeedsOfCohensTables) {
  EXPECT_EQ(pairs_needed(.2, 1), 199);
  EXPECT_EQ(pairs_needed(.5, 1), 34);
  EXPECT_EQ(pairs_needed(.8, 1), 15);
  EXPECT_EQ(pairs_needed(1, 1), 10);
  EXPECT_EQ(pairs_needed(3, 2), 6);
  EXPECT_EQ(pairs_needed(2, 1), 5);
  EXPECT_EQ(pairs_needed(3, 1), 4);
  EXPECT_EQ(pairs_needed(100, 1), 2);
  EXPECT_EQ(pairs_needed(1, 0), 2);
  EXPECT_EQ(pairs_needed(1e-6, 1), std::nullopt);
  EXPECT_EQ(pairs_needed(2, 2e-9), 2);
  EXPECT_THROW(pairs_needed(0, 1), Error);
  EXPECT_THROW(pairs_needed(1, kNan), Error);
  EXPECT_THROW(pairs_needed(1, 1, {.power = 1}), Error);
}

// n = (1.959964 + .841621)^2 / d^2 of the normal distribution, and two more for Student's t.
TEST(Power, OfManyPairsIsThatOfTheNormalDistribution) {
  const auto pairs = pairs_needed(.01, 1);
  ASSERT_TRUE(pairs);
  EXPECT_NEAR(static_cast<double>(*pairs), std::pow(2.801585 / .01, 2) + 2, 3);
}

TEST(Power, EqualsSciPy) {
  // scipy.integrate.quad over the chi distribution: nct has no value at some of these.
  EXPECT_NEAR(paired_power(34, .5, 1), .8077775012792738, 1e-8);
  EXPECT_NEAR(paired_power(9, 2, 2), .7480170922294767, 1e-8);
  EXPECT_NEAR(paired_power(3, 3, 1), .7452680070062837, 1e-8);
  EXPECT_NEAR(paired_power(3, -3, 1), .7452680070062837, 1e-8);
  EXPECT_NEAR(paired_power(5, 0, 1), .05, 1e-9);  // without a difference: alpha
  EXPECT_EQ(paired_power(1, 3, 1), 0);
  EXPECT_NEAR(detectable_difference(2, 1), 11.549888435882378, 1e-6);
  EXPECT_NEAR(detectable_difference(3, 1), 3.264043549699576, 1e-6);
  EXPECT_NEAR(detectable_difference(6, 2), 2 * 1.434544782040403, 1e-6);
  EXPECT_NEAR(detectable_difference(10, 1), .9960013714554442, 1e-6);
  EXPECT_TRUE(std::isinf(detectable_difference(1, 1)));
  EXPECT_EQ(detectable_difference(4, 0), 0);
}

TEST(Power, TheTableSaysHowLittleAFewSeedsSayOfTheSpread) {
  const std::array points{1., 2., 3.};
  const PowerTable table = power_table(2, 6, points);
  ASSERT_EQ(table.rows.size(), 3u);
  EXPECT_EQ(table.rows[0].pairs, 34);
  EXPECT_EQ(table.rows[1].pairs, 10);
  EXPECT_EQ(table.rows[2].pairs, 6);
  EXPECT_EQ(table.rows[0].at_low, pairs_needed(1, deviation_interval(2, 6).low));
  EXPECT_EQ(table.rows[0].at_high, pairs_needed(1, deviation_interval(2, 6).high));
  EXPECT_LT(table.rows[0].at_low, 34);
  EXPECT_GT(table.rows[0].at_high, 150);
  EXPECT_NEAR(table.detectable, 2 * 1.434544782040403, 1e-6);
  const PowerTable unknown = power_table(0, 1, points);
  EXPECT_EQ(unknown.rows[0].pairs, std::nullopt);
  EXPECT_TRUE(std::isinf(unknown.detectable));
}

std::vector<CurveValue> curve_of(std::initializer_list<double> values) {
  std::vector<CurveValue> curve;
  for (const double v : values)
    curve.push_back({.iteration = 10. * static_cast<double>(curve.size() + 1), .value = v});
  return curve;
}

TEST(LiftOff, OfRisingAndFallingCurves) {
  const auto map = curve_of({0, .1, .3, .5, .7, .8});
  EXPECT_EQ(lift_off(map, {.start = 0}), 40);                  // half of .8
  EXPECT_EQ(lift_off(map, {.fraction = .9, .start = 0}), 60);  // .72
  EXPECT_EQ(lift_off(map, {.fraction = .125, .start = 0}), 20);
  EXPECT_EQ(lift_off(curve_of({9, 8, 6, 4.9, 2, 1})), 40);  // from 9 to 1: below 5
  EXPECT_EQ(lift_off(curve_of({9, 8, 6, 5, 2, 1}), {.fraction = 1}), 60);
}

// Smoothed by three: .1, .1, .4/3 .. the first peak of .6 alone does not pass half of .9.
TEST(LiftOff, SmoothingPassesOverASinglePeak) {
  const auto curve = curve_of({0, 0, .6, 0, .1, .5, .8, .9, .9, .9});
  EXPECT_EQ(lift_off(curve, {.start = 0}), 30);
  EXPECT_EQ(lift_off(curve, {.window = 3, .start = 0}), 60);
}

// The end is the mean of the last tenth: of 20 values the last two, .8 and 1.
TEST(LiftOff, TheEndIsTheMeanOfTheLastTenth) {
  std::vector<CurveValue> curve;
  for (int i = 0; i < 18; ++i) curve.push_back({.iteration = i + 1., .value = i < 10 ? .44 : .46});
  curve.push_back({19, .8}), curve.push_back({20, 1});
  EXPECT_EQ(lift_off(curve, {.start = 0}), 11);  // half of .9 is .45
}

TEST(LiftOff, NeedsAWayToGo) {
  EXPECT_EQ(lift_off({}), std::nullopt);
  EXPECT_EQ(lift_off(curve_of({1})), std::nullopt);
  EXPECT_EQ(lift_off(curve_of({1}), {.start = 0}), 10);
  EXPECT_EQ(lift_off(curve_of({0, 0, 0}), {.start = 0}), std::nullopt);
  EXPECT_THROW(lift_off(curve_of({1, kNan})), Error);
  EXPECT_THROW(lift_off(curve_of({1, 2}), {.fraction = 0}), Error);
  EXPECT_THROW(lift_off(curve_of({1, 2}), {.window = 2}), Error);
  EXPECT_THROW(lift_off(std::vector<CurveValue>{{2, 1}, {2, 3}}), Error);
}

}  // namespace
}  // namespace darknet
