// Figures of the objectness alone: class-agnostic average precision and calibration.
#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "core/error.h"
#include "core/rng.h"
#include "eval/calibration.h"
#include "eval/class_agnostic.h"
#include "random_detections.h"

namespace darknet::test {
namespace {

Detection found(float x, float objectness, std::int32_t class_id, float class_probability = 1) {
  return {{x, .5f, .2f, .2f}, class_id, objectness, objectness * class_probability};
}
Truth truth(float x, std::int32_t class_id) { return {{x, .5f, .2f, .2f}, class_id}; }

TEST(ClassAgnostic, AWrongClassIsNoError) {
  const std::vector<EvaluatedImage> images{
      image_of({found(.2f, .9f, 1), found(.8f, .8f, 0)}, {truth(.2f, 0), truth(.8f, 1)})};
  EXPECT_EQ(evaluate(images, {.classes = 2}).mean_average_precision, 0);
  EXPECT_DOUBLE_EQ(class_agnostic_average_precision(images, {.classes = 2}, .45f), 1);
}

// The false detection has the higher probability, the right one the higher objectness.
TEST(ClassAgnostic, RanksByObjectness) {
  const std::vector<EvaluatedImage> images{
      image_of({found(.8f, .6f, 0), found(.2f, .9f, 0, .5f)}, {truth(.2f, 0)})};
  EXPECT_DOUBLE_EQ(evaluate(images, {}).mean_average_precision, .5);
  EXPECT_DOUBLE_EQ(class_agnostic_average_precision(images, {}, .45f), 1);
}

// Of a box whose IoU with itself is 1 to the last bit: suppression above 1 leaves it alone.
TEST(ClassAgnostic, AnAnchorOfTwoClassesIsOneDetection) {
  std::vector<EvaluatedImage> images{
      image_of({found(.25f, .9f, 0, .6f), found(.25f, .9f, 1, .4f), found(.75f, .5f, 0)},
               {truth(.25f, 0), truth(.75f, 0)})};
  for (Detection& d : images[0].detections) d.box.w = d.box.h = .25f;
  for (Truth& t : images[0].truths) t.box.w = t.box.h = .25f;
  EXPECT_DOUBLE_EQ(class_agnostic_average_precision(images, {.classes = 2}, 1), 1);
  EXPECT_EQ(merge_classes(images, 1).front().detections.size(), 2u);
}

// What the network's own suppression kept of one class (it may be one by distance, too) stays.
TEST(ClassAgnostic, DetectionsOfOneClassAllStay) {
  const std::vector<EvaluatedImage> images{
      image_of({found(.2f, .9f, 0), found(.22f, .8f, 0)}, {truth(.2f, 0)})};
  EXPECT_EQ(merge_classes(images, .45f).front().detections.size(), 2u);
}

// Two anchors on one object, IoU (.2 - .02) / (.2 + .02) = .82, that took it for two classes.
TEST(ClassAgnostic, SuppressesAcrossClassesWhatOneClassWouldSuppress) {
  const std::vector<EvaluatedImage> images{
      image_of({found(.2f, .9f, 0), found(.22f, .8f, 1), found(.8f, .5f, 0)},
               {truth(.2f, 0), truth(.8f, 0)})};
  EXPECT_EQ(merge_classes(images, .45f).front().detections.size(), 2u);
  EXPECT_EQ(merge_classes(images, .85f).front().detections.size(), 3u);
  EXPECT_DOUBLE_EQ(class_agnostic_average_precision(images, {.classes = 2}, .45f), 1);
  // Recalls .5 and 1 at precisions 1 and 2/3.
  EXPECT_NEAR(class_agnostic_average_precision(images, {.classes = 2}, .85f), .5 + .5 * 2 / 3,
              1e-12);
}

TEST(ClassAgnostic, FilesOfOtherProgramsHaveTheirProbability) {
  std::vector<EvaluatedImage> images{
      image_of({found(.2f, .9f, 0), found(.8f, .95f, 0)}, {truth(.2f, 0)})};
  for (Detection& d : images[0].detections) d.objectness = 0;
  EXPECT_FLOAT_EQ(merge_classes(images, .45f)[0].detections[0].probability, .95f);
  EXPECT_DOUBLE_EQ(class_agnostic_average_precision(images, {}, .45f), .5);
}

TEST(ClassAgnostic, DifficultTruthsOfAnyClassAreIgnored) {
  std::vector<EvaluatedImage> images{
      image_of({found(.2f, .9f, 0), found(.8f, .95f, 0)}, {truth(.2f, 0)})};
  images[0].difficult = {truth(.8f, 2)};
  EXPECT_DOUBLE_EQ(class_agnostic_average_precision(images, {}, .45f), 1);
  EXPECT_EQ(class_agnostic_average_precision({}, {}, .45f), 0);
}

MatchedClass ranked(std::vector<MatchedDetection> detections) {
  return {.ranked = std::move(detections), .truths = 10};
}

// By hand, two bins: below .5 confidences .2 and .4 (mean .3) with one hit of two, gap +.2; above
// .7, .9 and .9 and 1 (mean .875) with two hits of four, gap -.375. D-ECE = 2/6 * .2 + 4/6 * .375.
TEST(Calibration, EqualsACalculationByHand) {
  const std::array classes{ranked({{1, true}, {.9f, false}, {.2f, true}}),
                           ranked({{.9f, false}, {.7f, true}, {.4f, false}})};
  const Calibration c = calibration(classes, {.bins = 2, .threshold = 0});
  EXPECT_EQ(c.detections, 6);
  EXPECT_NEAR(c.bins[0].gap(), .2, 1e-7);
  EXPECT_NEAR(c.bins[1].gap(), -.375, 1e-7);
  EXPECT_NEAR(c.bins[1].mean_confidence, .875, 1e-7);
  EXPECT_EQ(c.bins[1].hits, 2);
  EXPECT_NEAR(c.error, 2. / 6 * .2 + 4. / 6 * .375, 1e-7);
  EXPECT_NEAR(c.max_error, .375, 1e-7);
}

TEST(Calibration, BinsAreHalfOpenAndTheThresholdLeavesOut) {
  const std::array classes{ranked({{.75f, true}, {.5f, true}, {.25f, false}, {0, false}})};
  const Calibration c = calibration(classes, {.bins = 4, .threshold = 0});
  for (const ReliabilityBin& bin : c.bins) EXPECT_EQ(bin.detections, 1) << bin.low;
  EXPECT_EQ(calibration(classes, {.bins = 4, .threshold = .5}).detections, 2);
  EXPECT_EQ(calibration({}).error, 0);
  EXPECT_EQ(calibration({}).bins.size(), 10u);
  EXPECT_THROW(calibration(classes, {.bins = 0}), Error);
  EXPECT_THROW(calibration(std::array{ranked({{std::nanf(""), true}})}), Error);
}

// Detections that are hits as often as they say, and ones that claim .3 more: 100,000 of each.
TEST(Calibration, FindsWhatDetectionsClaimTooMuch) {
  Rng rng(8);
  MatchedClass right, immodest;
  for (int i = 0; i < 100'000; ++i) {
    const float p = rng.uniform(0, .7f);
    const bool hit = rng.uniform() < p;
    right.ranked.push_back({p, hit});
    immodest.ranked.push_back({p + .3f, hit});
  }
  EXPECT_LT(calibration(std::span(&right, 1)).error, .01);
  EXPECT_NEAR(calibration(std::span(&immodest, 1)).error, .3, .01);
}

}  // namespace
}  // namespace darknet::test
