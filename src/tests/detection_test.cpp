// [detection]: the gradient of one step against an implementation of Darknet's rules in float64, on
// the outputs in Darknet's order; errors of its keys.
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "core/error.h"
#include "detect/overlap.h"
#include "tests/head_harness.h"

namespace darknet::testing_layers {
namespace {

constexpr int kSide = 4, kNum = 3, kClasses = 3, kGridCells = kSide * kSide;
constexpr int kOutputs = kGridCells * (kClasses + 5 * kNum);
using Box64 = BasicBox<double>;

struct DetectionRules {
  std::string keys;
  bool root = false, softmax = false, rescore = false, forced = false;
  bool focal = false;  // of the objectness, which then is a sigmoid
  double object = 1, noobject = 1, classes = 1, coord = 1;
};

// Darknet's delta, the negative gradient, of one image.
std::vector<double> darknet_delta(const DetectionRules& r, std::vector<double> out,
                                  const std::vector<Truth>& truths) {
  std::vector<double> delta(out.size(), 0.);
  if (r.softmax)
    for (int cell = 0; cell < kGridCells; ++cell) {
      double sum = 0;
      for (int k = 0; k < kClasses; ++k) sum += std::exp(out[cell * kClasses + k]);
      for (int k = 0; k < kClasses; ++k)
        out[cell * kClasses + k] = std::exp(out[cell * kClasses + k]) / sum;
    }
  const int objects_at = kGridCells * kClasses, boxes_at = kGridCells * (kClasses + kNum);
  const auto learn_objectness = [&](int i, double weight, double target) {
    const double p = 1 / (1 + std::exp(-out[i]));
    delta[i] = weight * (r.focal ? focal_delta(p, target > 0) : target - out[i]);
  };
  for (int i = objects_at; i < boxes_at; ++i) learn_objectness(i, r.noobject, 0);
  std::vector<bool> taken(kGridCells, false);
  for (const Truth& t : truths) {
    const int column = static_cast<int>(t.box.x * kSide), row = static_cast<int>(t.box.y * kSide);
    const int cell = row * kSide + column;
    if (taken[cell]) continue;
    taken[cell] = true;
    for (int k = 0; k < kClasses; ++k) {
      const int i = cell * kClasses + k;
      delta[i] = r.classes * ((k == t.class_id ? 1 : 0) - out[i]);
    }
    // In units of the image, from the corner of the cell, as Darknet compares them.
    const double in_cell_x = t.box.x * kSide - column, in_cell_y = t.box.y * kSide - row;
    const Box64 truth{in_cell_x / kSide, in_cell_y / kSide, t.box.w, t.box.h};
    std::vector<Box64> boxes;
    int best = 0;
    double best_iou = 0, best_rmse = 20;
    for (int n = 0; n < kNum; ++n) {
      const double* b = &out[boxes_at + (cell * kNum + n) * 4];
      boxes.push_back(
          {b[0] / kSide, b[1] / kSide, r.root ? b[2] * b[2] : b[2], r.root ? b[3] * b[3] : b[3]});
      const double overlap = iou(boxes[n], truth);
      const double rmse = std::hypot(std::hypot(boxes[n].x - truth.x, boxes[n].y - truth.y),
                                     std::hypot(boxes[n].w - truth.w, boxes[n].h - truth.h));
      if (best_iou > 0 || overlap > 0) {
        if (overlap > best_iou) best_iou = overlap, best = n;
      } else if (rmse < best_rmse) {
        best_rmse = rmse, best = n;
      }
    }
    if (r.forced) best = t.box.w * t.box.h < .1 ? 1 : 0;
    const int o = objects_at + cell * kNum + best;
    learn_objectness(o, r.object, r.rescore ? iou(boxes[best], truth) : 1);
    const double target[4] = {in_cell_x, in_cell_y, r.root ? std::sqrt(t.box.w) : t.box.w,
                              r.root ? std::sqrt(t.box.h) : t.box.h};
    for (int e = 0; e < 4; ++e) {
      const int i = boxes_at + (cell * kNum + best) * 4 + e;
      delta[i] = r.coord * (target[e] - out[i]);
    }
  }
  return delta;
}

// The second lies in the first one's cell.
const std::vector<Truth> kObjects = {{{.30f, .30f, .20f, .26f}, 1},
                                     {{.40f, .45f, .53f, .40f}, 0},
                                     {{.66f, .41f, .66f, .61f}, 2},
                                     {{.80f, .92f, .18f, .22f}, 2}};

class DetectionStep : public testing::TestWithParam<DetectionRules> {};

TEST_P(DetectionStep, EqualsDarknetsRulesInFloat64) {
  const DetectionRules& rules = GetParam();
  LayerSample s =
      sample_of("detection", cat("classes=3\nnum=3\nside=4\n", rules.keys), kOutputs, kObjects);
  s.in[0] = {1, 1, 1, kOutputs};
  const Trial t = passed(s);
  const std::vector<float> in = t.host_inputs()[0].v;
  const std::vector<double> delta = darknet_delta(rules, {in.begin(), in.end()}, kObjects);
  const std::vector<float> gradient = t.in_gradient[0].to_host({});
  ASSERT_EQ(gradient.size(), delta.size());
  int boxes = 0;
  for (std::size_t i = 0; i < delta.size(); ++i) {
    ASSERT_NEAR(gradient[i], -delta[i], 1e-5 * std::max(1., std::fabs(delta[i]))) << i;
    boxes += i >= kGridCells * (kClasses + kNum) && delta[i] != 0;
  }
  EXPECT_EQ(boxes, 3 * 4);
  EXPECT_EQ(t.layer->head()->telemetry({}).truths_lost, 1);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, DetectionStep,
    testing::Values(DetectionRules{},
                    DetectionRules{.keys = "sqrt=1\nrescore=1\nobject_scale=1\nnoobject_scale=.5\n"
                                           "class_scale=1\ncoord_scale=5\n",
                                   .root = true,
                                   .rescore = true,
                                   .noobject = .5,
                                   .coord = 5},
                    DetectionRules{.keys = "sqrt=1\nsoftmax=1\nobj_loss=focal\n"
                                           "object_scale=3\nnoobject_scale=.5\n",
                                   .root = true,
                                   .softmax = true,
                                   .focal = true,
                                   .object = 3,
                                   .noobject = .5},
                    DetectionRules{.keys = "sqrt=1\nsoftmax=1\nforced=1\nobject_scale=2\n"
                                           "class_scale=.7\n",
                                   .root = true,
                                   .softmax = true,
                                   .forced = true,
                                   .object = 2,
                                   .classes = .7}));

std::string error_of(const std::string& keys, const Shape& in) {
  try {
    layer_of("[detection]\n" + keys, 3)
        ->reshape({&in, 1}, ops(DeviceType::cpu), {.mode = Mode::training});
    return "";
  } catch (const Error& e) {
    return e.what();
  }
}

TEST(DetectionErrors, SayWhatIsExpected) {
  EXPECT_EQ(error_of("classes=20\nnum=2\n", {1, 1, 1, 1470}), "");
  EXPECT_EQ(
      error_of("classes=20\nnum=3\n", {1, 1, 1, 1470}),
      "layer 3 [detection] (net.cfg:1): gets 1470 numbers; with side=7, num=3 and classes=20 "
      "side*side*(num*5 + classes) are 1715: put a [connected] with output=1715 before it, or "
      "set classes=15 here");
  EXPECT_EQ(error_of("obj_prior=.01\n", {1, 1, 1, 1470}),
            "net.cfg:2: [detection] obj_prior: it needs logits, and without obj_loss the "
            "objectness is a raw value; add obj_loss=ce");
  EXPECT_EQ(error_of("classes=20\nnum=2\nobj_loss=ce\nobj_prior=.01\n", {1, 1, 1, 1470}), "");
  EXPECT_EQ(error_of("classes=20\nnum=2\nfocal_loss=1\n", {1, 1, 1, 1470}),
            "net.cfg:4: [detection] focal_loss: it takes raw scores for probabilities, with which "
            "training diverges; add softmax=1, or take cls_loss=focal");
  EXPECT_EQ(error_of("classes=20\nnum=2\nsoftmax=1\nfocal_loss=1\n", {1, 1, 1, 1470}), "");
}

}  // namespace
}  // namespace darknet::testing_layers
