// What experiments may claim: rules, sentences, and how often nothing becomes something.
#include "eval/verdict.h"

#include <gtest/gtest.h>

#include <limits>

#include "core/error.h"
#include "eval/normal_numbers.h"

namespace darknet {
namespace {

VariantRuns runs_of(const std::string& name, const std::vector<double>& values) {
  VariantRuns v{.name = name};
  for (const double value : values) v.runs.push_back(RunOutcome::finished(value));
  return v;
}

// Differences to a baseline of zeros, in fractions; 1 point is .01.
Verdict verdict_of(const std::vector<double>& differences, const VerdictRules& rules = {},
                   const Metric& metric = {}) {
  const VariantRuns baseline = runs_of("ce", std::vector<double>(differences.size()));
  const std::vector<VariantRuns> variants{runs_of("focal", differences)};
  return verdicts(baseline, variants, metric, rules).front();
}

bool says(const Verdict& v, const std::string& text) {
  return v.sentence.find(text) != std::string::npos;
}

// By hand: mean 2, deviation 1, t = 2 sqrt(5) = 4.472 with 4 degrees: p = .0111 (SciPy: 2 *
// t.sf(4.47213595, 4) = .01106), interval 2 -+ 2.776 / sqrt(5) = .76 to 3.24 points.
const std::vector<double> kBetter{.01, .01, .02, .03, .03};

TEST(Verdict, SaysWhatTheRulesSay) {
  const Verdict v = verdict_of(kBetter);
  EXPECT_EQ(v.kind, VerdictKind::better);
  EXPECT_NEAR(v.p_value, .01106, 1e-5);
  EXPECT_EQ(v.sentence,
            "Over 5 seeds the mean difference of focal from ce is +2.00 points of mAP@0.5 (95 % "
            "interval +0.76 to +3.24; p = 0.011, sign-flip p = 0.062 (the lowest possible with 5 "
            "seeds is 0.062)): focal is better than ce on this data set with this recipe.");
}

TEST(Verdict, WorseIsTheOtherWayAndDependsOnTheMetric) {
  std::vector<double> negative = kBetter;
  for (double& d : negative) d = -d;
  EXPECT_EQ(verdict_of(negative).kind, VerdictKind::worse);
  EXPECT_TRUE(says(verdict_of(negative), "focal is worse than ce"));
  const Metric error{.name = "D-ECE", .higher_is_better = false};
  EXPECT_EQ(verdict_of(kBetter, {}, error).kind, VerdictKind::worse);
  EXPECT_EQ(verdict_of(negative, {}, error).kind, VerdictKind::better);
}

TEST(Verdict, NoDifferenceShownIsNotNoDifference) {
  const Verdict v = verdict_of({.01, -.01, .02, .03, -.02});
  EXPECT_EQ(v.kind, VerdictKind::no_difference_shown);
  EXPECT_TRUE(says(v, "no difference is shown, which does not mean that there is none"));
  EXPECT_FALSE(says(v, "better") || says(v, "worse"));
}

TEST(Verdict, FewSeedsClaimNothing) {
  const Verdict none = verdict_of({}), one = verdict_of({.3}), two = verdict_of({.30001, .3});
  for (const Verdict& v : {none, one, two}) {
    EXPECT_EQ(v.kind, VerdictKind::too_few_seeds);
    EXPECT_TRUE(says(v, "nothing is claimed")) << v.sentence;
    EXPECT_FALSE(says(v, "better"));
  }
  EXPECT_TRUE(says(none, "No seed of focal and ce has finished"));
  EXPECT_TRUE(says(one, "With 1 seed the mean difference of focal from ce is +30.00 points"));
  EXPECT_TRUE(says(two, "fewer than 3 seeds"));
}

// Three equal differences: Student's formula has p = 0, the signs .25.
TEST(Verdict, EqualDifferencesAreNoProof) {
  EXPECT_EQ(verdict_of({.01, .01, .01}).kind, VerdictKind::no_difference_shown);
  EXPECT_TRUE(says(verdict_of({.01, .01, .01}), "all differences are equal; p = 0.250"));
  EXPECT_EQ(verdict_of({0, 0, 0, 0}).kind, VerdictKind::no_difference_shown);
}

TEST(Verdict, ADivergedRunEndsAllClaims) {
  VariantRuns baseline = runs_of("ce", {0, 0, 0, 0, 0, 0}), variant = runs_of("focal", kBetter);
  variant.runs.push_back(RunOutcome::diverged());
  const Verdict v = verdicts(baseline, std::span(&variant, 1)).front();
  EXPECT_EQ(v.kind, VerdictKind::diverged);
  EXPECT_EQ(v.sentence,
            "focal diverged in 1 and ce in 0 of 6 seeds; the 5 seeds left have a mean difference "
            "of +2.00 points of mAP@0.5, from which nothing is claimed.");
  variant = runs_of("focal", {.01, .01, .02, .03, .03, .02});
  baseline.runs[2] = RunOutcome::diverged();
  EXPECT_EQ(verdicts(baseline, std::span(&variant, 1)).front().kind, VerdictKind::diverged);
}

TEST(Verdict, RunsThatAreStillMissingAreNotDiverged) {
  const VariantRuns baseline = runs_of("ce", {0, 0, 0, 0, 0, 0});
  VariantRuns variant = runs_of("focal", kBetter);
  variant.runs.push_back(RunOutcome::missing());
  const Verdict v = verdicts(baseline, std::span(&variant, 1)).front();
  EXPECT_EQ(v.kind, VerdictKind::better);
  EXPECT_EQ(v.statistics.pairs, 5);
}

TEST(Verdict, EquivalenceNeedsAMargin) {
  const std::vector<double> close{.001, -.001, .002, -.002, 0, .001};
  EXPECT_EQ(verdict_of(close).kind, VerdictKind::no_difference_shown);
  const Verdict v = verdict_of(close, {.margin = .01});
  EXPECT_EQ(v.kind, VerdictKind::equivalent);
  EXPECT_TRUE(says(v, "within 1.00 points of each other")) << v.sentence;
  EXPECT_EQ(verdict_of(close, {.margin = .001}).kind, VerdictKind::no_difference_shown);
  // A difference can be shown and be smaller than what matters.
  const Verdict small = verdict_of({.004, .005, .004, .005, .004, .005}, {.margin = .01});
  EXPECT_EQ(small.kind, VerdictKind::better);
  EXPECT_TRUE(says(small, "yet their means are within 1.00 points")) << small.sentence;
}

// p = .0111 alone; times 5 it is above .05.
TEST(Verdict, MoreVariantsNeedMoreProof) {
  const VariantRuns baseline = runs_of("ce", {0, 0, 0, 0, 0});
  std::vector<VariantRuns> variants{runs_of("focal", kBetter)};
  for (int i = 0; i < 4; ++i) variants.push_back(runs_of("other", {.01, -.01, .02, .03, -.02}));
  const std::vector<Verdict> all = verdicts(baseline, variants);
  EXPECT_EQ(all.front().kind, VerdictKind::no_difference_shown);
  EXPECT_NEAR(all.front().adjusted_p, 5 * all.front().p_value, 1e-12);
  EXPECT_TRUE(says(all.front(), "p = 0.055 after Holm's adjustment for 5 comparisons"))
      << all.front().sentence;
  variants.pop_back();
  EXPECT_EQ(verdicts(baseline, variants).front().kind, VerdictKind::better);
}

TEST(Verdict, UnderAPlanOnlyPlannedLooksClaim) {
  const SequentialPlan plan({5, 10});
  const VerdictRules rules{.plan = &plan};
  const Verdict at_five = verdict_of(kBetter, rules);
  EXPECT_EQ(at_five.kind, VerdictKind::no_difference_shown);  // .0111 is not enough half way
  EXPECT_TRUE(says(at_five, "valid at all 2 planned looks")) << at_five.sentence;
  EXPECT_GT(at_five.interval.width(), at_five.statistics.confidence.width());
  EXPECT_EQ(verdict_of({.01, .01, .02, .03, .03, .02}, rules).kind, VerdictKind::too_few_seeds);
  EXPECT_TRUE(says(verdict_of({.01, .01, .02, .03, .03, .02}, rules), "next planned look, at 10"));
  EXPECT_TRUE(says(verdict_of(std::vector<double>(11), rules), "last planned look, at 10"));
  std::vector<double> twice = kBetter;
  twice.insert(twice.end(), kBetter.begin(), kBetter.end());
  EXPECT_EQ(verdict_of(twice, rules).kind, VerdictKind::better);
  EXPECT_EQ(verdict_of(std::vector<double>(9, .001), {.margin = .01, .plan = &plan}).kind,
            VerdictKind::too_few_seeds);
}

TEST(Verdict, ManySeedsHaveNoSignFlipP) {
  std::vector<double> many;
  for (int i = 0; i < 30; ++i) many.push_back(.01 + .001 * (i % 3));
  EXPECT_EQ(verdict_of(many).kind, VerdictKind::better);
  EXPECT_FALSE(says(verdict_of(many), "sign-flip"));
}

TEST(Verdict, RefusesSenselessRules) {
  EXPECT_THROW(verdict_of(kBetter, {.alpha = 0}), Error);
  EXPECT_THROW(verdict_of(kBetter, {.min_pairs = 1}), Error);
  EXPECT_THROW(verdict_of(kBetter, {.margin = -1}), Error);
  const VariantRuns baseline = runs_of("ce", {0, 0}), variant = runs_of("focal", {1});
  EXPECT_THROW(verdicts(baseline, std::span(&variant, 1)), Error);
  EXPECT_TRUE(verdicts(baseline, {}).empty());
}

// Experiments of a baseline and four variants without any difference, six seeds that each have an
// effect of their own on all runs.
struct NullExperiments {
  int claims_of_verdicts = 0, claims_without_adjustment = 0;
};
NullExperiments simulate(int experiments, std::uint64_t seed) {
  NullExperiments found;
  for (int k = 0; k < experiments; ++k) {
    NormalNumbers normal(seed, static_cast<std::uint64_t>(k));
    std::vector<double> of_seed(6);
    for (double& v : of_seed) v = .7 + .03 * normal.next();
    std::vector<VariantRuns> variants;
    for (int v = 0; v < 5; ++v) {
      std::vector<double> values;
      for (const double s : of_seed) values.push_back(s + .015 * normal.next());
      variants.push_back(runs_of("v", values));
    }
    bool claimed = false, unadjusted = false;
    for (const Verdict& v : verdicts(variants[0], std::span(variants).subspan(1))) {
      claimed |= v.kind == VerdictKind::better || v.kind == VerdictKind::worse;
      unadjusted |= v.p_value <= .05;
    }
    found.claims_of_verdicts += claimed, found.claims_without_adjustment += unadjusted;
  }
  return found;
}

TEST(Verdict, OfNothingComesADifferenceInOneExperimentOfTwentyAtMost) {
  const NullExperiments few = simulate(400, 1);
  EXPECT_LE(few.claims_of_verdicts, 20);
  EXPECT_GT(few.claims_without_adjustment, 40);  // without Holm it would be one of six or seven
  // The rate itself, to .3 %.
  const NullExperiments many = simulate(4000, 2);
  EXPECT_LE(many.claims_of_verdicts, 4000 * .05);
  EXPECT_GE(many.claims_of_verdicts, 4000 * .03);  // and the test is not one that never claims
}

// Where the true difference is the margin itself, equivalence is claimed in one of twenty at most.
TEST(Verdict, EquivalenceIsClaimedWronglyInOneOfTwenty) {
  int claimed = 0;
  for (int k = 0; k < 4000; ++k) {
    NormalNumbers normal(4, static_cast<std::uint64_t>(k));
    std::vector<double> d;
    for (int i = 0; i < 6; ++i) d.push_back(.01 + .003 * normal.next());
    const Verdict v = verdict_of(d, {.margin = .01});
    claimed += v.equivalence_p <= .05;
  }
  EXPECT_NEAR(claimed, 200, 3 * 13.8);  // the standard deviation of a binomial of 4000 and .05
}

}  // namespace
}  // namespace darknet
