// Which gradients are rejected as those of wrong labels, or of what is learnt already.
#include "kernels/label_rejection.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/index.h"

namespace darknet {
namespace {

struct Rejection {
  RejectionKeys keys;
  std::int64_t max_batches = 100;
  std::vector<double> values = std::vector<double>(to_size(kRejectionValues));
  std::vector<std::int64_t> sums = std::vector<std::int64_t>(to_size(kRejectionSums));

  RunningArrays arrays() { return {values.data(), sums.data()}; }
  // What is left of the gradients of one micro-batch.
  std::vector<float> left_of(std::vector<float> g, std::int64_t iteration,
                             std::int64_t entries = 2) {
    const StepState state{{.iteration = iteration}};
    std::vector<char> scratch(to_size(rejection_scratch(std::ssize(g))));
    reject_gradients({},
                     {keys,
                      max_batches,
                      {g.data(), {1, 1, 1, std::ssize(g)}, std::ssize(g)},
                      entries,
                      arrays(),
                      &state},
                     scratch.data());
    return g;
  }
  void end_step(StepStatus status = StepStatus::update) {
    const StepState state{{}, status};
    keep_rejection({}, arrays(), &state);
    std::fill(sums.begin(), sums.end(), 0);
  }
};

TEST(LabelRejection, KeepsFiguresOfGradientsThatAreNotZero) {
  Rejection r{{.num_sigmas_reject_badlabels = 1}};
  r.left_of({9, 9}, 75);  // not the last quarter yet
  r.end_step();
  EXPECT_EQ(r.values, std::vector<double>(4));
  const std::vector<float> g{1, -3, 0, 2};
  EXPECT_EQ(r.left_of(g, 76), g) << "nothing is known yet";
  r.left_of({0, 0, 0, 0}, 76);  // no gradient at all: no figure
  r.end_step(StepStatus::overflow);
  EXPECT_EQ(r.values, std::vector<double>(4)) << "of a step without an update";
  r.left_of(g, 76);
  r.left_of({4, 0, 0, 0}, 76);
  r.end_step();
  EXPECT_NEAR(r.values[0], 3.5, 1e-6);
  EXPECT_NEAR(r.values[1], 3, 1e-6);
  // Of -1, 3 and -2 around a mean of 0, and of -4.
  EXPECT_NEAR(r.values[2], (std::sqrt(14 / 3.) + 4) / 2, 1e-6);
  r.left_of({1, 0}, 77);
  r.end_step();
  EXPECT_NEAR(r.values[0], .99 * 3.5 + .01 * 1, 1e-6);
  EXPECT_NEAR(r.values[1], .99 * 3 + .01 * 1, 1e-6);
}

TEST(LabelRejection, OfTheLargestByTheirDeviation) {
  Rejection r{{.num_sigmas_reject_badlabels = 2}};
  r.values = {2, .5, .25, 0};
  // The limit falls from 2 by a share of the way to .5 + 2 .25: (90 - 75) / 75.
  EXPECT_EQ(r.left_of({1.75f, -1.85f, .1f, 1.81f}, 90), (std::vector<float>{1.75f, 0, .1f, 0}));
}

TEST(LabelRejection, OfAShareByALimitThatMoves) {
  Rejection r{{.badlabels_rejection_percentage = 30}};
  r.left_of({1, 2}, 80);
  r.end_step();
  EXPECT_NEAR(r.values[3], 2, 1e-6) << "begins at the largest";
  // 1 of 4 gradients, which counts as 2 entries of an anchor: 50 percent are too many.
  EXPECT_EQ(r.left_of({3, .5f, 0, .5f, 1}, 80), (std::vector<float>{0, .5f, 0, .5f, 1}));
  r.end_step();
  EXPECT_NEAR(r.values[3], 2.01, 1e-6);
  EXPECT_EQ(r.left_of({1, 1}, 80), (std::vector<float>{1, 1}));
  r.end_step();
  EXPECT_NEAR(r.values[3], 2, 1e-6);
  r.values[3] = .01;
  r.left_of({.001f, .001f}, 80);
  r.end_step();
  EXPECT_NEAR(r.values[3], .01, 1e-6) << "not below one step";
}

// Another key that is active earlier does not move the limit of the share.
TEST(LabelRejection, OfAShareNextToAnEarlierKey) {
  Rejection r{{.badlabels_rejection_percentage = 30, .equidistant_point = 1}};
  for (std::int64_t iteration = 2; iteration < 76; ++iteration) {
    r.left_of({1, 2}, iteration);
    r.end_step();
    EXPECT_EQ(r.values[3], 0);
  }
  EXPECT_EQ(r.left_of({3, 2}, 76), (std::vector<float>{3, 2})) << "not known yet";
  r.end_step();
  EXPECT_NEAR(r.values[3], .99 * 2 + .01 * 3, 1e-6) << "begins at the largest";
  const double limit = r.values[3];
  r.left_of({3, 3}, 77);
  r.end_step();
  EXPECT_NEAR(r.values[3], limit + .01, 1e-6);
}

TEST(LabelRejection, LeavesOutWhatIsNotFinite) {
  Rejection r{{.num_sigmas_reject_badlabels = 1}};
  const std::vector<float> left = r.left_of({1, INFINITY, -3, NAN}, 76);
  EXPECT_EQ(left[1], INFINITY) << "the step must know of it";
  EXPECT_TRUE(std::isnan(left[3]));
  r.left_of({-INFINITY, NAN}, 76);
  r.end_step();
  EXPECT_NEAR(r.values[0], 3, 1e-6);
  EXPECT_NEAR(r.values[1], 2, 1e-6);
}

TEST(LabelRejection, OfTheSmallestFromAPointOn) {
  Rejection r{{.equidistant_point = 20}};
  r.values = {2, 1, .5, 0};
  EXPECT_EQ(r.left_of({.01f, 1}, 20), (std::vector<float>{.01f, 1}));
  // 1.4 times the mean at the end of the run; half of it in the middle.
  EXPECT_EQ(r.left_of({.69f, -.71f, 5}, 60), (std::vector<float>{0, -.71f, 5}));
  EXPECT_EQ(r.left_of({1.39f, 1.41f}, 100), (std::vector<float>{0, 1.41f}));
}

}  // namespace
}  // namespace darknet
