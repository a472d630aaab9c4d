#include "eval/average_precision.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "paths.h"

namespace darknet {
namespace {
namespace fs = std::filesystem;

constexpr Box kHere{.5f, .5f, .2f, .2f}, kThere{.2f, .2f, .1f, .1f}, kNowhere{.9f, .9f, .05f, .05f};

std::vector<RankedDetection> ranked(const std::string& hits) {  // '+': a hit, '-': none
  std::vector<RankedDetection> list;
  for (const char c : hits)
    list.push_back({1.f - .01f * static_cast<float>(list.size()), c == '+'});
  return list;
}

Detection found(const Box& box, float probability, std::int32_t class_id = 0) {
  return {box, class_id, 1, probability};
}

TEST(AveragePrecision, AreaIsUnderTheInterpolatedCurve) {
  EXPECT_DOUBLE_EQ(average_precision(ranked("+"), 1, ApPoints::area), 1);
  EXPECT_DOUBLE_EQ(average_precision(ranked("-+"), 1, ApPoints::area), .5);
  // Precision 1, 1/2, 2/3, 1/2 at recall 1/2, 1/2, 1, 1; the best from the right: 1, 2/3.
  EXPECT_DOUBLE_EQ(average_precision(ranked("+-+-"), 2, ApPoints::area), .5 + .5 * 2 / 3);
  // The dip at the second place is raised by the third and fourth: 3/4 throughout.
  EXPECT_DOUBLE_EQ(average_precision(ranked("-+++"), 3, ApPoints::area), .75);
  EXPECT_DOUBLE_EQ(average_precision(ranked("+"), 4, ApPoints::area), .25);
}

TEST(AveragePrecision, ElevenPointsAreTheMeanAtTenths) {
  // Recall 1/2 with precision 1, recall 1 with precision 2/3: 0 to .5 are six points.
  EXPECT_DOUBLE_EQ(average_precision(ranked("+-+"), 2, ApPoints::eleven), (6 + 5 * 2. / 3) / 11);
  EXPECT_DOUBLE_EQ(average_precision(ranked("+"), 4, ApPoints::eleven), 3. / 11);  // 0, .1, .2
  // 3 of 10 reach .3, though 3. / 10 and .1 * 3 differ in their last bit.
  EXPECT_DOUBLE_EQ(average_precision(ranked("+++"), 10, ApPoints::eleven), 4. / 11);
  for (int k = 1; k <= 10; ++k)
    EXPECT_DOUBLE_EQ(average_precision(ranked(std::string(static_cast<std::size_t>(k), '+')), 10,
                                       ApPoints::eleven),
                     (k + 1) / 11.);
}

TEST(AveragePrecision, AHundredAndOnePointsAreTheMeanAtHundredths) {
  EXPECT_NEAR(average_precision(ranked("+-+"), 2, ApPoints::hundred_one), (51 + 50 * 2. / 3) / 101,
              1e-12);
  EXPECT_DOUBLE_EQ(average_precision(ranked("+"), 3, ApPoints::hundred_one), 34. / 101);
  for (int k = 1; k <= 100; ++k)
    EXPECT_DOUBLE_EQ(average_precision(ranked(std::string(static_cast<std::size_t>(k), '+')), 100,
                                       ApPoints::hundred_one),
                     (k + 1) / 101.);
}

TEST(AveragePrecision, NothingFoundOrNothingToFindIsZero) {
  for (const ApPoints points : {ApPoints::area, ApPoints::eleven, ApPoints::hundred_one}) {
    EXPECT_EQ(average_precision({}, 3, points), 0);
    EXPECT_EQ(average_precision(ranked("---"), 0, points), 0);
    EXPECT_EQ(average_precision({}, 0, points), 0);
    EXPECT_EQ(average_precision(ranked("---"), 2, points), 0);
  }
}

TEST(Evaluate, ASecondDetectionOfATruthIsAFalsePositive) {
  const EvaluatedImage image{{found(kHere, .8f), found(kHere, .9f)}, {{kHere, 0}}, {}};
  const Evaluation e = evaluate(std::vector{image}, {});
  EXPECT_EQ(e.total.true_positives, 1);
  EXPECT_EQ(e.total.false_positives, 1);
  EXPECT_EQ(e.total.false_negatives(), 0);
  EXPECT_DOUBLE_EQ(e.mean_average_precision, 1);  // the surer one was the hit
  EXPECT_DOUBLE_EQ(e.precision(), .5);
  EXPECT_DOUBLE_EQ(e.recall(), 1);
  EXPECT_DOUBLE_EQ(e.f1(), 2. / 3);
  EXPECT_NEAR(e.average_iou(), 1, 1e-6);
}

TEST(Evaluate, AWrongOneThatIsSurerLowersTheAverage) {
  const EvaluatedImage image{{found(kHere, .8f), found(kNowhere, .9f)}, {{kHere, 0}}, {}};
  EXPECT_DOUBLE_EQ(evaluate(std::vector{image}, {}).mean_average_precision, .5);
}

TEST(Evaluate, EqualProbabilitiesKeepTheOrderOfImagesAndDetections) {
  const EvaluatedImage first{{found(kHere, .5f)}, {{kHere, 0}}, {}};
  const EvaluatedImage second{{found(kNowhere, .5f)}, {}, {}};
  EXPECT_DOUBLE_EQ(evaluate(std::vector{first, second}, {}).mean_average_precision, 1);
  EXPECT_DOUBLE_EQ(evaluate(std::vector{second, first}, {}).mean_average_precision, .5);
}

TEST(Evaluate, EachDetectionIsComparedWithTheTruthItOverlapsMost) {
  const Box near{.55f, .5f, .2f, .2f};
  // Both detections overlap kHere most; the second must not take `near` instead (VOC).
  const EvaluatedImage image{
      {found(kHere, .9f), found({.51f, .5f, .2f, .2f}, .8f)}, {{kHere, 0}, {near, 0}}, {}};
  const Evaluation e = evaluate(std::vector{image}, {.iou = .3f});
  EXPECT_EQ(e.total.true_positives, 1);
  EXPECT_EQ(e.total.false_positives, 1);
}

TEST(Evaluate, ADetectionOfADifficultTruthIsNeitherRightNorWrong) {
  const EvaluatedImage image{
      {found(kHere, .9f), found(kHere, .85f), found(kThere, .8f)}, {{kThere, 0}}, {{kHere, 0}}};
  const Evaluation e = evaluate(std::vector{image}, {});
  EXPECT_EQ(e.total.truths, 1);
  EXPECT_EQ(e.total.true_positives, 1);
  EXPECT_EQ(e.total.false_positives, 0);
  EXPECT_DOUBLE_EQ(e.mean_average_precision, 1);
}

TEST(Evaluate, ThresholdIsOfTheCountsAloneAndIouOfTheHits) {
  // IoU of two squares of side .2 shifted by .1: .1 / .3.
  const EvaluatedImage image{{found({.6f, .5f, .2f, .2f}, .2f)}, {{kHere, 0}}, {}};
  const Evaluation loose = evaluate(std::vector{image}, {.iou = .33f});
  EXPECT_EQ(loose.total.true_positives, 0);  // .2 is below the threshold .25
  EXPECT_DOUBLE_EQ(loose.mean_average_precision, 1);
  EXPECT_EQ(evaluate(std::vector{image}, {.iou = .33f, .threshold = .1f}).total.true_positives, 1);
  EXPECT_EQ(evaluate(std::vector{image}, {.iou = .34f}).mean_average_precision, 0);
}

TEST(Evaluate, TheMeanIsOverClassesWithTruths) {
  const EvaluatedImage image{
      {found(kHere, .9f, 0), found(kHere, .9f, 2)}, {{kHere, 0}, {kThere, 1}}, {}};
  const Evaluation e = evaluate(std::vector{image}, {.classes = 3});
  EXPECT_EQ(e.classes_with_truths, 2);
  EXPECT_DOUBLE_EQ(e.mean_average_precision, .5);
  EXPECT_DOUBLE_EQ(e.classes[0].average_precision, 1);
  EXPECT_EQ(e.classes[1].false_negatives(), 1);
  EXPECT_EQ(e.classes[2].false_positives, 1);  // class 2 has no truth: wrong, but not in the mean
  EXPECT_EQ(e.total.false_positives, 1);
}

TEST(Evaluate, WithoutImagesEverythingIsZero) {
  const Evaluation e = evaluate({}, {.classes = 2});
  EXPECT_EQ(e.mean_average_precision, 0);
  EXPECT_EQ(e.precision() + e.recall() + e.f1() + e.average_iou(), 0);
}

// Lines of "class [confidence] left top width height", pixels counted inclusively.
template <class Take>
void read_reference(const fs::path& path, bool with_score, const Take& take) {
  std::ifstream in(path);
  std::string name;
  while (in >> name) {
    float score = 1, left = 0, top = 0, w = 0, h = 0;
    if (with_score) in >> score;
    in >> left >> top >> w >> h;
    take(Box{left + (w + 1) / 2, top + (h + 1) / 2, w + 1, h + 1}, score);
  }
}

TEST(Evaluate, EqualsTheReferenceImplementation) {
  const fs::path folder = test::source_dir() / "../shared/data/map-reference";
  if (!fs::exists(folder)) GTEST_SKIP() << "no shared data";
  std::vector<EvaluatedImage> images;
  std::size_t truths = 0, detections = 0;
  for (int i = 1; i <= 7; ++i) {
    const std::string name = "0000" + std::to_string(i) + ".txt";
    EvaluatedImage& image = images.emplace_back();
    read_reference(folder / "groundtruths" / name, false, [&](const Box& b, float) {
      image.truths.push_back({b, 0});
    });
    read_reference(folder / "detections" / name, true,
                   [&](const Box& b, float score) { image.detections.push_back(found(b, score)); });
    truths += image.truths.size(), detections += image.detections.size();
  }
  ASSERT_EQ(truths, 15u);
  ASSERT_EQ(detections, 24u);
  const auto ap = [&](ApPoints points) {
    return evaluate(images, {.iou = .3f, .points = points}).mean_average_precision;
  };
  EXPECT_NEAR(ap(ApPoints::area), .2457, 5e-5);
  EXPECT_NEAR(ap(ApPoints::eleven), .2684, 5e-5);
}

}  // namespace
}  // namespace darknet
