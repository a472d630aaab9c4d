// What the detection heads do with truths: which anchors learn them, targets that are predictions,
// ignored anchors, images without objects, and telemetry. That their gradients are those of their
// losses is checked with head_samples.cpp.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <tuple>

#include "core/index.h"
#include "detect/head.h"
#include "detect/overlap.h"
#include "kernels/objectness.h"
#include "tests/head_harness.h"

namespace darknet::testing_layers {
namespace {

using Place = std::tuple<std::int64_t, std::int64_t, std::int64_t>;  // row, column, anchor

struct Assignment {
  const char* name;
  const char* type;
  std::string keys;
  std::vector<Truth> truths;
  std::set<Place> chosen;
};

const Assignment kAssignments[] = {
    {"YoloByShape", "yolo", kYolo, {kWide, kSquare}, {{2, 1, 0}, {2, 1, 1}}},
    {"YoloSharing", "yolo", kYolo, {kWide, kWide}, {{2, 1, 0}}},
    {"YoloBestOfAnotherHead", "yolo", kYolo, {kSmall}, {}},
    {"YoloFirstOfEquals", "yolo", kYolo, {kTall}, {}},
    {"YoloEdge", "yolo", kYolo, {kCorner}, {{3, 3, 0}}},
    // 1x1 and 2x1 overlap by 1/2, 1x1 and 2x2 by 1/4
    {"YoloMoreAnchors", "yolo", kYolo + "iou_thresh=.4\n", {kSmall}, {{0, 3, 0}}},
    {"YoloAlmostMoreAnchors", "yolo", kYolo + "iou_thresh=.5\n", {kSmall}, {}},
    // 1x2 and 2x1: IoU 1/3, GIoU 1/3 - 1/4; 1x2 and 2x2: both 1/2
    {"YoloMoreByIou", "yolo", kYolo + "iou_thresh=.2\n", {kTall}, {{0, 3, 0}, {0, 3, 1}}},
    {"YoloMoreByGiou",
     "yolo",
     kYolo + "iou_thresh=.2\niou_thresh_kind=giou\n",
     {kTall},
     {{0, 3, 1}}},
    {"RegionByShape", "region", kRegion, {kWide, kSmall}, {{2, 1, 1}, {0, 3, 0}}},
    {"RegionSharing", "region", kRegion, {kWide, kWide}, {{2, 1, 1}}},
    {"RegionFirstOfEquals",
     "region",
     "classes=2\nnum=2\nanchors=1,2,2,1\nthresh=1\nbias_match=1\n",
     {kSmall},
     {{0, 3, 0}}},
    {"RegionEdge", "region", kRegion, {kCorner}, {{3, 3, 1}}},
};

class Assignments : public testing::TestWithParam<Assignment> {};

// An anchor that learns a truth is pulled up, all others down.
std::set<Place> pulled_up(const Trial& t) {
  std::set<Place> places;
  const auto channels = t.layer->head()->objectness_channels();
  const std::int64_t c = t.in[0].shape().c;
  for (std::int64_t cell = 0; cell < kCells * kCells; ++cell)
    for (std::size_t n = 0; n < channels.size(); ++n)
      if (t.in_gradient[0].data()[cell * c + channels[n]] < 0)
        places.insert({cell / kCells, cell % kCells, static_cast<std::int64_t>(n)});
  return places;
}

TEST_P(Assignments, AreThoseOfTheHand) {
  const Assignment& k = GetParam();
  const Trial t = passed(sample_of(k.type, k.keys, 14, k.truths));
  EXPECT_EQ(pulled_up(t), k.chosen);
  const Head& head = *t.layer->head();
  const HeadTelemetry told = head.telemetry({});
  const auto chosen = std::ssize(k.chosen);
  EXPECT_EQ(head.positives(k.truths, {1, 32, 32, 3}), chosen);
  EXPECT_EQ(head.candidates({1, 32, 32, 3}), kCells * kCells * 2);
  EXPECT_EQ(told.positives, chosen);
  EXPECT_EQ(told.negatives, kCells * kCells * 2 - chosen);
  EXPECT_EQ(told.ignored, 0);
  EXPECT_TRUE(told.finite());
}

INSTANTIATE_TEST_SUITE_P(ByHand, Assignments, testing::ValuesIn(kAssignments),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(Region, WithoutBiasMatchPredictionsChoose) {
  Trial t(sample_of("region", "classes=2\nnum=2\nanchors=1,1,2,1\nthresh=1\n", 14, {kWide}),
          Mode::training);
  float* const cell = t.in[0].data() + (2 * kCells + 1) * 14;
  cell[2] = std::log(2.f), cell[3] = 0;  // the first anchor predicts 2x1, the second 1x1
  cell[7 + 2] = -std::log(2.f), cell[7 + 3] = 0;
  t.forward();
  t.backward(false, NAN);
  EXPECT_EQ(pulled_up(t), (std::set<Place>{{2, 1, 0}}));
}

TEST(Region, ALaterTruthOverwritesAnEarlier) {
  const Trial both = passed(sample_of("region", kRegion + "softmax=1\n", 14, {kWide, kCorner}));
  Truth other = kWide;
  other.class_id = 1, other.box.h = .2f;
  const LayerSample s = sample_of("region", kRegion + "softmax=1\n", 14, {other, kWide, kCorner});
  const Trial three = passed(s);
  EXPECT_EQ(three.in_gradient[0].to_host({}), both.in_gradient[0].to_host({}));
  EXPECT_EQ(three.layer->head()->telemetry({}).truths_lost, 1);
  EXPECT_EQ(both.layer->head()->telemetry({}).truths_lost, 0);
}

// The reported loss of a class that the network is sure to be wrong about goes on as its gradient
// says, also where the probability of the true class rounds to 0.
TEST(Region, TheSoftmaxLossGrowsWithTheLogits) {
  Trial t(sample_of("region", kRegion + "softmax=1\n", 14, {kWide}), Mode::training);
  const std::int64_t cell = (2 * kCells + 1) * 14;
  const auto loss_at = [&](float x) {
    for (const std::int64_t anchor : {0, 7})  // entries 5 and 6: the classes, the truth's is 0
      t.in[0].data()[cell + anchor + 5] = x, t.in[0].data()[cell + anchor + 6] = 0;
    t.forward();
    t.backward(false, NAN);
    return t.layer->head()->telemetry({}).class_loss;
  };
  const auto gradient = [&] {
    return t.in_gradient[0].data()[cell + 5] + t.in_gradient[0].data()[cell + 7 + 5];
  };
  const double at_30 = loss_at(-30), slope_30 = gradient();
  const double at_60 = loss_at(-60), at_200 = loss_at(-200), slope_200 = gradient();
  EXPECT_NEAR(slope_200, slope_30, 1e-6);
  EXPECT_LT(slope_200, -.1);
  EXPECT_NEAR((at_60 - at_30) / -30, slope_30, 1e-5);
  EXPECT_NEAR((at_200 - at_60) / -140, slope_200, 1e-5);
}

TEST(Yolo, TruthsThatShareAnAnchorAddTheirBoxesAndJoinTheirClasses) {
  const std::string keys = kYolo + "iou_loss=ciou\n";
  Truth other = kWide;
  other.class_id = 1, other.box.h = .2f;
  const Trial a = passed(sample_of("yolo", keys, 14, {kWide}));
  const Trial b = passed(sample_of("yolo", keys, 14, {other}));
  const Trial both = passed(sample_of("yolo", keys, 14, {kWide, other}));
  const std::int64_t first = (2 * kCells + 1) * 14;
  const auto g = [&](const Trial& t, std::int64_t e) { return t.in_gradient[0].data()[first + e]; };
  for (int e = 0; e < 4; ++e) EXPECT_NEAR(g(both, e), g(a, e) + g(b, e), 1e-6);
  EXPECT_EQ(g(both, 4), g(a, 4));
  EXPECT_EQ(g(both, 5), g(a, 5));  // class 0 of the first
  EXPECT_EQ(g(both, 6), g(b, 6));  // class 1 of the second
  EXPECT_EQ(both.layer->head()->telemetry({}).truths_sharing, 1);
}

// Targets that are an overlap of the prediction itself are held constant: no gradient reaches the
// box through them, and the objectness learns as if they were numbers.
struct SoftTarget {
  const char* name;
  const char* type;
  std::string keys;
};

const SoftTarget kSoftTargets[] = {
    {"YoloIou", "yolo", kYolo + "obj_target=iou\nobj_loss=quality_focal\nignore_thresh=.2\n"},
    {"YoloIouVarifocal", "yolo", kYolo + "obj_target=iou\nobj_loss=varifocal\nignore_thresh=.2\n"},
    {"YoloIouCe", "yolo", kYolo + "obj_target=iou\n"},
    {"YoloSmooth", "yolo", kYolo + "objectness_smooth=1\n"},
    {"RegionRescore", "region", kRegion + "rescore=1\n"},
    {"RegionIou", "region", kRegion + "obj_target=iou\nobj_loss=quality_focal\n"},
    {"RegionEverywhere", "region", kRegion + "classfix=-1\nobj_loss=ce\n"},
};

std::string without(std::string keys, const std::string& key) {  // its first occurrence
  const std::size_t at = keys.find(key);
  return at == std::string::npos ? keys : keys.erase(at, keys.find('\n', at) + 1 - at);
}

LayerSample soft_sample(const SoftTarget& k, const std::string& more = "") {
  std::string keys = k.keys;
  if (keys.find("ignore_thresh=.2") != std::string::npos) keys = without(keys, "ignore_thresh=1");
  return sample_of(k.type, keys + more, 14, {kWide, kSmall, kSquare});
}

class HeadTargets : public testing::TestWithParam<SoftTarget> {};

TEST_P(HeadTargets, AreConstants) {
  Trial t = passed(soft_sample(GetParam()));
  const Trial unjudged = passed(soft_sample(GetParam(), "obj_normalizer=0\n"));
  const auto got = t.in_gradient[0].to_host({}), rest = unjudged.in_gradient[0].to_host({});
  const float h = 4e-3f;
  const auto loss_at = [&](float& x, float value) {
    const float keep = std::exchange(x, value);
    t.forward();
    x = keep;
    return t.objective();
  };
  for (std::size_t i = 0; i < got.size(); ++i) {
    if (i % 7 != 4) {
      EXPECT_EQ(got[i], rest[i]) << "element " << i;
      continue;
    }
    float& x = t.in[0].data()[i];
    EXPECT_NEAR(got[i], (loss_at(x, x + h) - loss_at(x, x - h)) / (2 * h), 2e-3) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, HeadTargets, testing::ValuesIn(kSoftTargets),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(HeadTargets, AreTheOverlapWithTheTruth) {  // of cross-entropy: gradient = p - target
  for (const std::string& keys :
       {kYolo + "obj_target=iou\n", kRegion + "obj_target=iou\n", kRegion + "rescore=1\n"}) {
    const char* const type = keys.find("mask") == std::string::npos ? "region" : "yolo";
    const Trial t = passed(sample_of(type, keys + "obj_loss=ce\n", 14, {kWide}));
    const std::int64_t n = std::string(type) == "yolo" ? 0 : 1;  // both have 2x1 cells
    const std::int64_t first = (2 * kCells + 1) * 14 + n * 7;
    const float* const o = t.out.data() + first;
    const Box predicted{(1 + o[0]) / 4, (2 + o[1]) / 4, std::exp(o[2]) / 2, std::exp(o[3]) / 4};
    const float overlap = iou(predicted, kWide.box);
    ASSERT_GT(overlap, .05f);
    EXPECT_NEAR(t.in_gradient[0].data()[first + 4], o[4] - overlap, 1e-6) << type;
    EXPECT_NEAR(t.layer->head()->telemetry({}).iou_positive, overlap, 1e-6) << type;
  }
}

class EachObjectness : public testing::TestWithParam<std::string> {};
class EachPointwiseObjectness : public testing::TestWithParam<std::string> {};

// Above the threshold an anchor is not classified: no gradient, no loss, not counted; the others
// learn what they learn without the threshold.
TEST_P(EachPointwiseObjectness, SkipsIgnoredAnchors) {
  const std::string keys = without(kYolo, "ignore_thresh") + "obj_loss=" + GetParam() + '\n';
  const std::vector<Truth> truths = {kWide, kSmall, kSquare};
  const Trial all = passed(sample_of("yolo", keys + "ignore_thresh=1\n", 14, truths));
  const Trial some = passed(sample_of("yolo", keys + "ignore_thresh=.2\n", 14, truths));
  const HeadTelemetry a = all.layer->head()->telemetry({}), b = some.layer->head()->telemetry({});
  std::int64_t ignored = 0;
  for (std::int64_t i = 0; i < all.in[0].size(); ++i) {
    const float x = all.in_gradient[0].data()[i], y = some.in_gradient[0].data()[i];
    if (i % 7 == 4 && x > 0 && y == 0)
      ++ignored;
    else
      EXPECT_EQ(x, y) << "element " << i;
  }
  EXPECT_GT(ignored, 0);
  EXPECT_EQ(b.ignored, ignored);
  EXPECT_EQ(b.positives, a.positives);
  EXPECT_EQ(b.negatives, a.negatives - ignored);
  EXPECT_EQ(b.objectness_loss_positive, a.objectness_loss_positive);
  EXPECT_LT(b.objectness_loss_negative, a.objectness_loss_negative);
}

TEST_P(EachObjectness, LearnsAnImageWithoutObjects) {
  for (const char* type : {"yolo", "region"}) {
    const std::string keys = std::string(type) == "yolo" ? kYolo : kRegion;
    LayerSample s =
        sample_of(type, keys + "obj_norm=positives\nobj_loss=" + GetParam() + '\n', 14, {kWide});
    Trial t(s, Mode::training);
    *static_cast<std::int32_t*>(t.truth_counts.data()) = 0;
    t.forward();
    t.backward(false, NAN);
    const HeadTelemetry told = t.layer->head()->telemetry({});
    EXPECT_TRUE(told.finite());
    EXPECT_EQ(told.positives + told.ignored + told.truths, 0);
    EXPECT_EQ(told.class_loss + told.box_loss + told.objectness_loss_positive, 0);
    const bool leaves_some = GetParam() == losses::Ohem::name;
    double sum = 0;
    for (std::int64_t i = 0; i < t.in[0].size(); ++i) {
      const float g = t.in_gradient[0].data()[i];
      EXPECT_TRUE(i % 7 == 4 ? g > 0 || (leaves_some && g == 0) : g == 0) << "element " << i;
      sum += g;
    }
    EXPECT_GT(sum, 0);
  }
}

TEST_P(EachObjectness, ReportsTheSumsOfItsGradients) {
  const Trial t = passed(
      sample_of("yolo", kYolo + "obj_loss=" + GetParam() + '\n', 14, {kWide, kSquare, kCorner}));
  double easy = 0, hard = 0, positive = 0, p_positive = 0, p_negative = 0;
  for (std::int64_t i = 4; i < t.in[0].size(); i += 7) {
    const double g = t.in_gradient[0].data()[i], p = t.out.data()[i];
    (g < 0 ? positive : p < .1 ? easy : hard) += std::fabs(g);
    (g < 0 ? p_positive : p_negative) += p;
  }
  const HeadTelemetry told = t.layer->head()->telemetry({});
  EXPECT_NEAR(told.gradient_positive, positive, 1e-5);
  EXPECT_NEAR(told.gradient_hard_negative, hard, 1e-5);
  EXPECT_NEAR(told.gradient_easy_negative, easy, 1e-5);
  EXPECT_NEAR(told.p_positive, p_positive, 1e-5);
  EXPECT_NEAR(told.p_negative, p_negative, 1e-5);
}

INSTANTIATE_TEST_SUITE_P(Losses, EachObjectness, testing::ValuesIn(names_of<LogitLoss>()),
                         [](const auto& info) { return info.param; });
INSTANTIATE_TEST_SUITE_P(Losses, EachPointwiseObjectness,
                         testing::ValuesIn(names_of<PointwiseLoss>()),
                         [](const auto& info) { return info.param; });

// Heads with positives, both kinds of negatives, ignored anchors, ground truths in one anchor, and
// an error: a figure that is 0 for all of them has a value that nothing writes.
TEST(HeadTelemetry, HasNoFigureThatIsAlwaysZero) {
  const std::vector<Truth> truths = {kWide, kWide, kSmall, kSquare};
  std::vector<HeadTelemetry> told;
  for (const LayerSample& s :
       {sample_of("yolo", without(kYolo, "ignore_thresh") + "ignore_thresh=.2\n", 14, truths),
        sample_of("region", kRegion, 14, truths)}) {
    Trial t(s, Mode::training);
    t.in[0].data()[4] = -5;  // an easy negative
    for (const float bad : {0.f, NAN}) {
      t.in[0].data()[3 * 14 + 4] += bad;
      t.forward();
      told.push_back(t.layer->head()->telemetry({}));
    }
  }
  for (const TelemetryFigure& f : kTelemetryFigures)
    EXPECT_TRUE(std::any_of(
        told.begin(), told.end(),
        [&](const HeadTelemetry& h) { return std::isfinite(h.*f.sum) && h.*f.sum != 0; }))
        << "figure " << static_cast<int>(f.figure) << ' ' << f.key;
}

TEST(HeadTelemetry, ReportsAnError) {
  Trial t(sample_of("yolo", kYolo, 14, {kWide}), Mode::training);
  for (const float bad : {NAN, INFINITY}) {
    t.in[0].data()[3 * 14 + 4] = bad;
    t.forward();
    EXPECT_FALSE(t.layer->head()->telemetry({}).finite());
  }
  t.in[0].data()[3 * 14 + 4] = -50;
  t.forward();
  EXPECT_TRUE(t.layer->head()->telemetry({}).finite());
}

// The losses of one truth, written out: what the weights of the keys multiply.
double cross_entropy(double x, double t) {
  return t * std::log1p(std::exp(-x)) + (1 - t) * std::log1p(std::exp(x));
}

struct Parts {
  double positive = 0, negative = 0, box = 0, classes = 0;
};

void expect_reported(const Trial& t, const Parts& p) {
  const HeadTelemetry told = t.layer->head()->telemetry({});
  EXPECT_NEAR(told.objectness_loss_positive, p.positive, 1e-5);
  EXPECT_NEAR(told.objectness_loss_negative, p.negative, 1e-4);
  EXPECT_NEAR(told.class_loss, p.classes, 1e-5);
  EXPECT_NEAR(told.box_loss, p.box, 1e-5);
}

double negative_loss(const Trial& t, std::int64_t but) {
  double sum = 0;
  for (std::int64_t i = 4; i < t.in[0].size(); i += 7)
    if (i != but + 4) sum += cross_entropy(t.in[0].data()[i], 0);
  return sum;
}

TEST(HeadWeights, OfYoloMultiplyItsLosses) {
  LayerSample s =
      sample_of("yolo",
                kYolo +
                    "obj_norm=positives\nobj_normalizer=.7\niou_normalizer=.3\ncls_normalizer=1.5\n"
                    "counters_per_class=3,9\nlabel_smooth_eps=.2\n",
                14, {kWide});
  s.step.objectness_scale = 1.6f;
  const Trial t = passed(s);
  const std::int64_t first = (2 * kCells + 1) * 14;
  const float *const x = t.in[0].data() + first, *const o = t.out.data() + first;
  const double target[4] = {.3 * 4 - 1, .6 * 4 - 2, 0, 0};  // the anchor has the truth's size
  double squares = 0;
  for (int e = 0; e < 4; ++e) squares += std::pow(o[e] - target[e], 2) / 2;
  expect_reported(t, {.positive = 1.6 * .7 * 3 * cross_entropy(x[4], 1),  // 9 / 3 for class 0
                      .negative = 1.6 * .7 * negative_loss(t, first),
                      .box = .3 * 3 * (2 - .5 * .25) * squares,
                      .classes = 3 * 1.5 * cross_entropy(x[5], .9) + cross_entropy(x[6], .1)});
}

TEST(HeadWeights, OfRegionMultiplyItsLosses) {
  LayerSample s =
      sample_of("region",
                kRegion +
                    "obj_loss=ce\nobj_norm=positives\nobj_normalizer=.7\nobject_scale=5\n"
                    "noobject_scale=.8\ncoord_scale=1.5\nclass_scale=.9\nsoftmax=1\n",
                14, {kWide});
  s.step.objectness_scale = 1.6f;
  const Trial late = passed(s);
  s.step.images_seen = 12799;  // Darknet: boxes of all anchors are drawn to theirs until 12800
  const Trial early = passed(s);
  const std::int64_t first = (2 * kCells + 1) * 14 + 7;
  const float *const x = late.in[0].data() + first, *const o = late.out.data() + first;
  const double target[4] = {.3 * 4 - 1, .6 * 4 - 2, 0, 0};
  Parts p{.positive = 1.6 * .7 * 5 * cross_entropy(x[4], 1),
          .negative = 1.6 * .7 * .8 * negative_loss(late, first),
          .classes = .9 * std::log1p(std::exp(x[6] - x[5]))};
  for (int e = 0; e < 4; ++e) p.box += 1.5 * std::pow(o[e] - target[e], 2) / 2;
  expect_reported(late, p);
  for (std::int64_t i = 0; i < late.out.size(); ++i)
    if (i / 7 != first / 7 && i % 7 < 4)
      p.box += .01 * std::pow(late.out.data()[i] - (i % 7 < 2 ? .5 : 0), 2) / 2;
  expect_reported(early, p);
}

// The second anchor of kWide's cell predicts kWide exactly, though the first is the one chosen.
Trial with_a_rival(const std::string& type, const std::string& keys, float class_logit) {
  Trial t(sample_of(type, keys, 14, {kWide}), Mode::training);
  float* const rival = t.in[0].data() + (2 * kCells + 1) * 14 + 7;
  rival[0] = std::log(.2f / .8f), rival[1] = std::log(.4f / .6f);
  rival[2] = 0, rival[3] = -std::log(2.f);
  rival[4] = .5f, rival[5] = class_logit, rival[6] = -3;
  t.forward();
  t.backward(false, NAN);
  return t;
}

TEST(Yolo, AnAnchorThatFitsIsIgnoredOrLearns) {
  const std::string keys = without(without(kYolo, "ignore_thresh"), "truth_thresh");
  const auto told = [&](const std::string& more, float class_logit) {
    const Trial t = with_a_rival("yolo", keys + more, class_logit);
    const HeadTelemetry h = t.layer->head()->telemetry({});
    return std::tuple(h.positives, h.ignored, pulled_up(t).contains({2, 1, 1}));
  };
  const float likely = std::log(.26f / .74f), unlikely = std::log(.24f / .76f);  // around .25
  using Told = decltype(told("", 0));
  EXPECT_EQ(told("ignore_thresh=.9\n", likely), (Told{1, 1, false}));
  EXPECT_EQ(told("ignore_thresh=.9\n", unlikely), (Told{1, 0, false}));
  EXPECT_EQ(told("ignore_thresh=.9\ntruth_thresh=.95\n", likely), (Told{2, 0, true}));
  EXPECT_EQ(told("ignore_thresh=1\ntruth_thresh=.95\n", unlikely), (Told{2, 0, true}));
}

TEST(Region, ClassfixTeachesIgnoredAnchorsTheirClass) {
  std::string keys = "classes=2\nnum=2\nanchors=2,1,2,2\nthresh=.9\nbias_match=1\nsoftmax=1\n";
  const std::int64_t rival = (2 * kCells + 1) * 14 + 7;
  const Trial one = with_a_rival("region", keys + "classfix=1\nclass_scale=.5\n", .3f);
  const Trial two = with_a_rival("region", keys + "classfix=2\nclass_scale=.5\n", .3f);
  const auto g = [&](const Trial& t, int e) { return t.in_gradient[0].data()[rival + e]; };
  const double p = 1 / (1 + std::exp(-3 - .3));  // of class 0
  EXPECT_NEAR(g(one, 5), .5 * (p - 1), 1e-6);
  EXPECT_NEAR(g(one, 6), .5 * (1 - p), 1e-6);
  EXPECT_NEAR(g(two, 5), g(one, 5) / (1 + std::exp(-.5)), 1e-6);  // Darknet: times its objectness
  EXPECT_EQ(g(one, 4), 0);
  EXPECT_EQ(one.layer->head()->telemetry({}).ignored, 1);
}

}  // namespace
}  // namespace darknet::testing_layers
