#include "core/index.h"
#include "eval/average_precision.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>

#include "core/rng.h"
#include "detect/overlap.h"
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
    EXPECT_DOUBLE_EQ(average_precision(ranked(std::string(to_size(k), '+')), 10, ApPoints::eleven),
                     (k + 1) / 11.);
}

TEST(AveragePrecision, AHundredAndOnePointsAreTheMeanAtHundredths) {
  EXPECT_NEAR(average_precision(ranked("+-+"), 2, ApPoints::hundred_one), (51 + 50 * 2. / 3) / 101,
              1e-12);
  EXPECT_DOUBLE_EQ(average_precision(ranked("+"), 3, ApPoints::hundred_one), 34. / 101);
  for (int k = 1; k <= 100; ++k)
    EXPECT_DOUBLE_EQ(
        average_precision(ranked(std::string(to_size(k), '+')), 100, ApPoints::hundred_one),
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

// The definition itself (VOC 2010 and 2007), written as slowly as it reads: precision and recall
// after each detection, and at each recall the best precision of all that reach it.
struct SlowCurve {
  std::vector<double> precision, recall;
  double best_from(double min) const {
    double best = 0;
    for (std::size_t i = 0; i < recall.size(); ++i)
      if (recall[i] >= min - 1e-9) best = std::max(best, precision[i]);
    return best;
  }
};

struct SlowDetection {
  float probability = 0;
  std::size_t image = 0;
  Box box;
};

// By falling probability; of equals the first in the list comes first.
std::vector<SlowDetection> slow_ranking(const std::vector<EvaluatedImage>& images,
                                        std::int32_t class_id) {
  std::vector<SlowDetection> all;
  for (std::size_t i = 0; i < images.size(); ++i)
    for (const Detection& d : images[i].detections) {
      if (d.class_id != class_id) continue;
      std::size_t at = 0;
      while (at < all.size() && all[at].probability >= d.probability) ++at;
      all.insert(all.begin() + static_cast<std::ptrdiff_t>(at), {d.probability, i, d.box});
    }
  return all;
}

SlowCurve slow_curve(const std::vector<EvaluatedImage>& images, std::int32_t class_id, float min,
                     std::int64_t objects) {
  SlowCurve curve;
  std::set<std::pair<std::size_t, std::size_t>> taken;  // image, object
  double hits = 0, counted = 0;
  for (const SlowDetection& d : slow_ranking(images, class_id)) {
    const std::vector<Truth>& truths = images[d.image].truths;
    float overlap = 0;
    std::size_t object = 0;
    for (std::size_t t = 0; t < truths.size(); ++t)
      if (truths[t].class_id == class_id && iou(d.box, truths[t].box) > overlap)
        overlap = iou(d.box, truths[t].box), object = t;
    counted += 1;
    hits += overlap > min && taken.insert({d.image, object}).second ? 1 : 0;
    curve.precision.push_back(hits / counted);
    curve.recall.push_back(hits / static_cast<double>(objects));
  }
  return curve;
}

double slow_ap(const SlowCurve& curve, std::int64_t objects, ApPoints points) {
  double sum = 0;
  const auto steps = points == ApPoints::area ? objects : points == ApPoints::eleven ? 10 : 100;
  for (std::int64_t k = points == ApPoints::area ? 1 : 0; k <= steps; ++k)
    sum += curve.best_from(static_cast<double>(k) / static_cast<double>(steps));
  return sum / static_cast<double>(points == ApPoints::area ? steps : steps + 1);
}

std::vector<EvaluatedImage> drawn_images(std::uint64_t seed) {
  Rng rng(seed);
  std::vector<EvaluatedImage> images(9);
  for (EvaluatedImage& image : images) {
    for (std::int64_t t = rng.below(5); t > 0; --t)
      image.truths.push_back({{rng.uniform(), rng.uniform(), rng.uniform(.1f, .4f), .3f},
                              static_cast<std::int32_t>(rng.below(2))});
    for (const Truth& t : std::vector(image.truths))  // near an object, some of another class
      for (std::int64_t d = rng.below(4); d > 0; --d) {
        Box box = t.box;
        box.x += rng.uniform(-.1f, .1f), box.w *= rng.uniform(.6f, 1.5f);
        const bool other = rng.below(6) == 0;
        image.detections.push_back(found(box, static_cast<float>(1 + rng.below(12)) / 12,
                                         other ? 1 - t.class_id : t.class_id));
      }
  }
  return images;
}

TEST(Evaluate, EqualsTheDefinitionOfAveragePrecision) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    const auto images = drawn_images(seed);
    for (const ApPoints points : {ApPoints::area, ApPoints::eleven, ApPoints::hundred_one}) {
      const Evaluation e = evaluate(images, {.classes = 2, .iou = .5f, .points = points});
      for (std::int32_t c = 0; c < 2; ++c) {
        const ClassEvaluation& ours = e.classes[to_size(c)];
        ASSERT_GT(ours.truths, 0) << seed;
        const SlowCurve curve = slow_curve(images, c, .5f, ours.truths);
        EXPECT_NEAR(ours.average_precision, slow_ap(curve, ours.truths, points), 1e-9) << seed;
      }
    }
  }
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
  const fs::path folder = test::extra_data("map-reference");
  if (!fs::exists(folder)) GTEST_SKIP() << test::why_no_extra_data(folder);
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
