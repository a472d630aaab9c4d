// The full evaluation: matching, COCO's figures, best F1, confusions, errors, recall: by hand, and
// against slow and obvious ones.
#include <gtest/gtest.h>

#include "cli_harness.h"
#include "core/index.h"
#include "core/json.h"
#include "eval/coco.h"
#include "eval/errors.h"
#include "eval/matching.h"
#include "eval/recall.h"
#include "image/canvas.h"
#include "random_detections.h"

namespace darknet::test {
namespace {

Detection at(float x, float probability, std::int32_t class_id = 0, float size = .2f) {
  return {{x, .5f, size, size}, class_id, probability, probability};
}
Truth truth(float x, std::int32_t class_id = 0, float size = .2f) {
  return {{x, .5f, size, size}, class_id};
}

TEST(Matching, BestF1IsTheBestOfAllThresholds) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const auto images = random_images(seed, 12);
    const auto matched = match(images, 3, .5f);
    const BestF1 best = best_f1(matched);
    double highest = 0;
    for (int i = 0; i <= 20; ++i)
      highest = std::max(
          highest,
          evaluate(images, {.classes = 3, .threshold = static_cast<float>(i) / 20 - .01f}).f1());
    EXPECT_NEAR(best.f1, highest, 1e-12) << seed;
  }
}

TEST(Matching, WeightsOfOneGiveTheMeanAveragePrecision) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    auto images = random_images(seed, 10);
    const auto matched = match(images, 3, .5f);
    const std::vector<std::int64_t> ones(images.size(), 1);
    EXPECT_NEAR(mean_average_precision(matched, ones),
                evaluate(images, {.classes = 3}).mean_average_precision, 1e-12);
  }
}

TEST(Matching, AWeightOfTwoIsTheImageTwice) {
  // Distinct scores: where images tie, which of them comes first would count.
  const std::vector<EvaluatedImage> images{image_of({at(.2f, .9f), at(.8f, .5f)}, {truth(.2f)}),
                                           image_of({at(.5f, .7f)}, {truth(.5f), truth(.1f)}),
                                           image_of({at(.5f, .6f)}, {})};
  const std::vector<EvaluatedImage> drawn{images[0], images[1], images[1]};
  const std::vector<std::int64_t> weights{1, 2, 0};
  EXPECT_NEAR(mean_average_precision(match(images, 1, .5f), weights),
              evaluate(drawn, {.classes = 1}).mean_average_precision, 1e-12);
}

TEST(Coco, APerfectDetectorHasOneHundredPercent) {
  const std::vector<EvaluatedImage> images{
      image_of({at(.3f, .9f), at(.7f, .8f, 1)}, {truth(.3f), truth(.7f, 1)})};
  const CocoEvaluation e = evaluate_coco(images, 2);
  EXPECT_NEAR(e.ap(), 1, 1e-12);
  EXPECT_NEAR(e.average_recall(), 1, 1e-12);
  EXPECT_NEAR(e.ap(ObjectSize::small), 1, 1e-12);  // 20 x 20 pixels
  EXPECT_EQ(e.ap(ObjectSize::medium), -1);
}

// By hand: IoU .6 is a hit at .5, .55 and .6, three of ten thresholds. A box moved by a quarter of
// its side overlaps by (1 - 1/4) / (1 + 1/4) = .6.
TEST(Coco, OverlapsCountByThreshold) {
  const std::vector<EvaluatedImage> images{
      image_of({at(.5f, .9f, 0, .4f)}, {truth(.599f, 0, .4f)})};
  const CocoEvaluation e = evaluate_coco(images, 1);
  EXPECT_NEAR(e.ap(), .3, 1e-12);
  EXPECT_NEAR(e.ap_at(0), 1, 1e-12);
  EXPECT_NEAR(e.ap_at(5), 0, 1e-12);
}

// The second detection overlaps the taken truth most; COCO gives it the free one, VOC does not.
TEST(Coco, ADetectionMayTakeAnotherTruth) {
  const std::vector<EvaluatedImage> images{image_of({at(.50f, .9f, 0, .4f), at(.51f, .8f, 0, .4f)},
                                                    {truth(.5f, 0, .4f), truth(.56f, 0, .4f)})};
  EXPECT_NEAR(evaluate_coco(images, 1).ap_at(0), 1, 1e-12);
  EXPECT_LT(evaluate(images, {}).mean_average_precision, .6);
}

TEST(Coco, DifficultTruthsAreNeitherFoundNorMissed) {
  std::vector<EvaluatedImage> images{image_of({at(.2f, .9f), at(.8f, .95f)}, {truth(.2f)})};
  EXPECT_LT(evaluate_coco(images, 1).ap_at(0), .6);
  images[0].difficult = {truth(.8f)};
  EXPECT_NEAR(evaluate_coco(images, 1).ap_at(0), 1, 1e-12);
}

TEST(Coco, ObjectsOfOtherSizesAreIgnored) {
  // 20 x 20 and 60 x 60 pixels; the small one is missed, a small detection finds nothing.
  const std::vector<EvaluatedImage> images{image_of({at(.3f, .9f, 0, .6f), at(.9f, .95f, 0, .1f)},
                                                    {truth(.3f, 0, .6f), truth(.8f, 0, .2f)})};
  const CocoEvaluation e = evaluate_coco(images, 1);
  EXPECT_NEAR(e.ap(ObjectSize::medium), 1, 1e-12);  // the false one is small
  EXPECT_NEAR(e.ap(ObjectSize::small), 0, 1e-12);
}

TEST(Coco, OnlyTheBestHundredOfAnImageCount) {
  EvaluatedImage image = image_of({}, {truth(.5f)});
  for (int i = 0; i < 100; ++i) image.detections.push_back(at(.1f, .9f));
  image.detections.push_back(at(.5f, .5f));
  EXPECT_NEAR(evaluate_coco(std::vector{image}, 1).average_recall(), 0, 1e-12);
  image.detections.erase(image.detections.begin());
  EXPECT_NEAR(evaluate_coco(std::vector{image}, 1).average_recall(), 1, 1e-12);
}

// By hand: the object is 20 pixels wide at the left edge; the detection has its right edge but
// begins 10 pixels outside, so that two thirds of it overlap, and all of it once it is clipped.
TEST(Coco, DetectionsAreClippedToTheImage) {
  const std::vector<EvaluatedImage> images{
      image_of({{{.05f, .5f, .3f, .2f}, 0, .9f, .9f}}, {truth(.1f)})};
  EXPECT_NEAR(evaluate_coco(images, 1).ap(), 1, 1e-12);
  EXPECT_NEAR(evaluate_coco(images, 1, OutsideImage::keep).ap(), .4, 1e-12);  // to IoU .65
}

TEST(Coco, NeedsTheImagesSizes) {
  const std::vector<EvaluatedImage> images{image_of({}, {truth(.5f)}, 0)};
  EXPECT_THROW(evaluate_coco(images, 1), Error);
}

TEST(Errors, EveryKindIsCalledByItsName) {
  const std::vector<EvaluatedImage> images{image_of(
      {at(.2f, .9f), at(.21f, .8f), at(.5f, .7f, 1), at(.92f, .6f), at(.65f, .1f), at(.35f, .55f)},
      {truth(.2f), truth(.5f), truth(.8f)})};
  const DetectionErrors e = find_errors(images, {.classes = 2});
  ASSERT_EQ(e.false_positives.size(), 4u);
  EXPECT_EQ(e.false_positives[0].kind, FalseKind::duplicate);
  EXPECT_EQ(e.false_positives[1].kind, FalseKind::wrong_class);
  EXPECT_EQ(e.false_positives[1].confused_with, 0);
  EXPECT_EQ(e.false_positives[2].kind, FalseKind::poorly_placed);
  EXPECT_EQ(e.false_positives[3].kind, FalseKind::poorly_placed);  // IoU .05 / .35 = .14
  ASSERT_EQ(e.misses.size(), 1u);
  EXPECT_FLOAT_EQ(e.misses[0].truth.box.x, .8f);
  EXPECT_EQ(e.confused(0, 0), 1);
  EXPECT_EQ(e.confused(0, 1), 1);
  EXPECT_EQ(e.confused(0, 2), 1);  // missed
  EXPECT_EQ(e.confused(2, 0), 3);  // background
}

TEST(Errors, TheConfusionMatrixCountsEveryTruthOnce) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const auto images = random_images(seed, 8);
    const DetectionErrors e = find_errors(images, {.classes = 3, .threshold = .3f});
    std::int64_t counted = 0, truths = 0;
    for (std::int64_t t = 0; t < 3; ++t)
      for (std::int64_t d = 0; d <= 3; ++d) counted += e.confused(t, d);
    for (const EvaluatedImage& image : images) truths += std::ssize(image.truths);
    EXPECT_EQ(counted, truths);
  }
}

TEST(ProposalRecall, CountsTheBestSoMany) {
  // Two classes of one anchor are one proposal.
  const std::vector<EvaluatedImage> images{
      image_of({at(.9f, .9f), at(.9f, .9f, 1), at(.2f, .8f)}, {truth(.2f), truth(.5f)})};
  const std::vector<std::int64_t> counts{1, 2, 10};
  const auto rows = proposal_recall(images, counts);
  EXPECT_DOUBLE_EQ(rows[0].recall50, 0);
  EXPECT_DOUBLE_EQ(rows[1].recall50, .5);
  EXPECT_DOUBLE_EQ(rows[2].recall50, .5);
  EXPECT_NEAR(rows[1].recall, .5, 1e-9);
  EXPECT_NEAR(rows[1].best_iou, .5, 1e-6);
}

class MapTest : public CliTest {
 protected:
  MapTest() { put_tiny_weights(work_, "x.weights"); }
};

TEST_F(MapTest, WritesJsonCurvesAndSheets) {
  const CommandResult ran =
      work_.darknet({"detector", "map", "x.data", "x.cfg", "x.weights", "-thresh", "0", "-out",
                     "m.json", "-curves", "c", "-errors", "e"});
  ASSERT_EQ(ran.exit_code, 0) << ran.all();
  const auto j = parse_json(work_.get("m.json"));
  EXPECT_TRUE(j["coco"]["ap"].is_number());
  EXPECT_EQ(j["confusion"].size(), 4u);
  EXPECT_EQ(work_.has("c/precision-recall.png"), has_canvas());
  EXPECT_TRUE(work_.has("c/confusion.png"));
  EXPECT_TRUE(work_.has("e/errors.csv"));
  EXPECT_TRUE(work_.has("e/false-positives-1.png") || work_.has("e/misses-1.png"));
}

TEST_F(MapTest, ScoresWhatValidWroteTheSame) {
  const auto json_of = [&](std::vector<std::string> words) {
    words.insert(words.begin(), {"detector", "map", "x.data"});
    words.insert(words.end(), {"-out", "m.json"});
    const CommandResult ran = work_.darknet(words);
    EXPECT_EQ(ran.exit_code, 0) << ran.all();
    return parse_json(work_.get("m.json"));
  };
  const auto direct = json_of({"x.cfg", "x.weights"});
  for (const char* format : {"coco", "voc"}) {
    const CommandResult valid =
        work_.darknet({"detector", "valid", "x.data", "x.cfg", "x.weights", "-format", format,
                       "-thresh", ".005", "-nms", ".45"});
    ASSERT_EQ(valid.exit_code, 0) << valid.all();
  }
  const auto coco = json_of({"-detections", "results/coco_results.json"});
  // Darknet's mAP takes boxes as they are; files, like COCO's AP, clip them to the image.
  for (const char* key : {"ap", "ap50", "ar100"})
    EXPECT_NEAR(coco["coco"][key].get<double>(), direct["coco"][key].get<double>(), 1e-6) << key;
  EXPECT_EQ(json_of({"-detections", "results"})["classes"].size(), 3u);
}

TEST_F(MapTest, ValidTakesThresholds) {
  const auto written = [&](const std::vector<std::string>& more) {
    std::vector<std::string> words{"detector",  "valid",   "x.data", "x.cfg",
                                   "x.weights", "-format", "coco"};
    words.insert(words.end(), more.begin(), more.end());
    const CommandResult ran = work_.darknet(words);
    EXPECT_EQ(ran.exit_code, 0) << ran.all();
    return parse_json(work_.get("results/coco_results.json"));
  };
  const auto by_default = written({});
  EXPECT_EQ(by_default, written({"-thresh", ".001", "-nms", ".6"}));
  EXPECT_GT(by_default.size(), written({"-nms", ".2"}).size());
  const auto few = written({"-thresh", ".3"});
  EXPECT_LT(few.size(), by_default.size());
  for (const auto& d : few) EXPECT_GT(d["score"].get<double>(), .3);
}

TEST_F(MapTest, LetterBoxIsTakenByEveryEvaluation) {
  work_.put("images/0.png", Image(90, 30, 3));
  for (const char* command : {"map", "recall", "valid"}) {
    const auto run = [&](const std::vector<std::string>& more) {
      std::vector<std::string> words{"detector", command, "x.data", "x.cfg", "x.weights"};
      words.insert(words.end(), more.begin(), more.end());
      if (command != std::string("valid")) words.insert(words.end(), {"-out", "o.json"});
      const CommandResult ran = work_.darknet(words);
      EXPECT_EQ(ran.exit_code, 0) << ran.all();
      std::string all;
      for (const auto& [name, bytes] : work_.tree("results")) all += bytes;
      for (const char* name : {"o.json", "o.json.csv"})
        if (work_.has(name)) all += work_.get(name);
      return all;
    };
    EXPECT_EQ(run({"-letter_box"}), run({"-set", "net.0.letter_box=1"})) << command;
    if (command == std::string("valid")) {
      EXPECT_NE(run({"-letter_box"}), run({}));
    }
  }
}

TEST_F(MapTest, AdviseTheThresholdOfTheBestF1) {
  const CommandResult ran =
      work_.darknet({"detector", "map", "x.data", "x.cfg", "x.weights", "-iou_thresh", "0"});
  ASSERT_EQ(ran.exit_code, 0) << ran.all();
  const auto said = ran.out.find("F1 is best at threshold ");
  ASSERT_NE(said, std::string::npos) << ran.all();
  const std::string threshold = ran.out.substr(said + 24, 5);
  EXPECT_NE(ran.out.find("darknet detector test x.data x.cfg x.weights IMAGE -thresh " + threshold),
            std::string::npos)
      << ran.all();
  const auto best = ran.out.find(" at threshold ", ran.out.find("\nbest F1 "));
  ASSERT_NE(best, std::string::npos) << ran.all();
  EXPECT_EQ(ran.out.substr(best + 14, 5), threshold);
}

TEST_F(MapTest, AsksForWhatIsMissing) {
  expect_refused(work_.darknet({"detector", "map", "x.data"}), "-detections", 2);
  expect_refused(work_.darknet({"detector", "map", "x.data", "x.cfg"}), "weights", 2);
  expect_refused(work_.darknet({"detector", "map", "x.data", "-detections", "no.json"}), "no.json");
}

TEST_F(MapTest, RecallPrintsItsTable) {
  const CommandResult ran =
      work_.darknet({"detector", "recall", "x.data", "x.cfg", "x.weights", "-out", "r"});
  ASSERT_EQ(ran.exit_code, 0) << ran.all();
  EXPECT_NE(ran.out.find("1000"), std::string::npos);
  EXPECT_TRUE(work_.has("r.csv") && work_.has("r.png"));
}

}  // namespace
}  // namespace darknet::test
