// [Gaussian_yolo]: the gradient of one step against an implementation of Darknet's rules in float64
// that shares no kernel with the layer; detections; keys.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/index.h"
#include "losses/box.h"
#include "tests/head_harness.h"

namespace darknet::testing_layers {
namespace {

constexpr std::int64_t kEntries = 8 + 1 + 3;  // 3 classes
using Box64 = BasicBox<double>;

// What the keys of a case say, for the reference.
struct Rules {
  std::string keys;
  Overlap box_loss = Overlap::iou;
  bool normal = true;  // iou_loss=mse
  double iou_normalizer = .75, uc_normalizer = 1, obj_normalizer = 1, cls_normalizer = 1;
  double ignore = 1, truth = 1, shape = 1, smooth_labels = 0, scale_x_y = 1, max_delta = 0;
  double to_centre = 0;
  bool smooth = false;
  std::vector<double> multipliers = {1, 1, 1};
  bool counted = false;
  bool focal = false;  // of the objectness, in place of cross-entropy
};

const std::vector<std::pair<double, double>> kAnchors = {{6, 8}, {12, 10}, {24, 20}};
constexpr std::int64_t kOwn = 2;  // mask=0,1
constexpr double kNet = 32;

double finite(double x) { return std::isfinite(x) ? x : 0; }

Box64 wide(const Box& b) { return {b.x, b.y, b.w, b.h}; }

// Darknet's delta, the negative gradient, of one image on a grid.
class Reference {
 public:
  Reference(const Rules& r, const Shape& grid, const float* logits, std::vector<Truth> truths)
      : r_(r), g_(grid), truths_(std::move(truths)) {
    out_.assign(logits, logits + grid.features());
    delta_.assign(out_.size(), 0);
    for (std::size_t i = 0; i < out_.size(); ++i) {
      const auto e = static_cast<std::int64_t>(i) % kEntries;
      if (e != 4 && e != 6) out_[i] = 1 / (1 + std::exp(-out_[i]));
      if (e == 0 || e == 2) out_[i] = out_[i] * r.scale_x_y - (r.scale_x_y - 1) / 2;
    }
  }

  const std::vector<double>& run() {
    for (std::int64_t cell = 0; cell < g_.h * g_.w; ++cell)
      for (std::int64_t n = 0; n < kOwn; ++n) compare_prediction(cell, n);
    for (const Truth& t : truths_) choose_anchors(t);
    for (std::int64_t a = 0; a < g_.h * g_.w * kOwn; ++a) {
      double classes = 0;
      for (int k = 0; k < 3; ++k) classes += delta_[a * kEntries + 9 + k] > 0;
      for (int e = 0; e < 8 && classes > 0; ++e) delta_[a * kEntries + e] /= classes;
    }
    if (r_.focal) take_focal();
    return delta_;
  }

 private:
  // The objectness of all anchors, whose delta so far is weight * (target - p) of targets 0 and 1.
  void take_focal() {
    for (std::size_t i = 8; i < delta_.size(); i += kEntries) {
      const bool object = delta_[i] > 0;
      delta_[i] *= focal_delta(out_[i], object) / ((object ? 1 : 0) - out_[i]);
    }
  }

  double* out(std::int64_t cell, std::int64_t n) { return &out_[(cell * kOwn + n) * kEntries]; }
  double* delta(std::int64_t cell, std::int64_t n) { return &delta_[(cell * kOwn + n) * kEntries]; }

  Box64 predicted(std::int64_t cell, std::int64_t n) {
    const double* o = out(cell, n);
    Box64 b{(static_cast<double>(cell % g_.w) + o[0]) / g_.w,
            (static_cast<double>(cell / g_.w) + o[2]) / g_.h,
            std::exp(o[4]) * kAnchors[n].first / kNet, std::exp(o[6]) * kAnchors[n].second / kNet};
    b.x += r_.to_centre * b.w, b.y += r_.to_centre * b.h;
    return b;
  }

  void compare_prediction(std::int64_t cell, std::int64_t n) {
    const double* o = out(cell, n);
    double* d = delta(cell, n);
    double best = 0;
    const Truth* of = nullptr;
    for (const Truth& t : truths_)
      if (const double q = iou(predicted(cell, n), wide(t.box)); q > best) best = q, of = &t;
    d[8] = r_.obj_normalizer * (0 - o[8]);
    const bool some_class = *std::max_element(o + 9, o + 12) > .25;
    if (some_class && best > r_.ignore) {
      d[8] = 0;
      if (r_.smooth) {
        d[8] = r_.obj_normalizer * (best * best - o[8]);
        learn_classes(cell, n, of->class_id);
      }
    }
    if (best > r_.truth) {
      d[8] = r_.obj_normalizer * (1 - o[8]);
      learn_classes(cell, n, of->class_id);
      learn_box(cell, n, *of);
    }
  }

  void choose_anchors(const Truth& t) {
    const auto coordinate = [&](double x, double side, std::int64_t cells) {
      const double at = (x - r_.to_centre * side) * static_cast<double>(cells);
      return std::clamp(static_cast<std::int64_t>(at), std::int64_t{0}, cells - 1);
    };
    const std::int64_t cell =
        coordinate(t.box.y, t.box.h, g_.h) * g_.w + coordinate(t.box.x, t.box.w, g_.w);
    std::vector<double> fits;
    for (const auto& [w, h] : kAnchors)
      fits.push_back(iou(Box64{0, 0, w / kNet, h / kNet}, Box64{0, 0, t.box.w, t.box.h}));
    const auto best = std::max_element(fits.begin(), fits.end()) - fits.begin();
    for (std::int64_t n = 0; n < kOwn; ++n) {
      if (n != best && !(r_.shape < 1 && fits[n] > r_.shape)) continue;
      learn_box(cell, n, t);
      delta(cell, n)[8] = r_.multipliers[t.class_id] * r_.obj_normalizer * (1 - out(cell, n)[8]);
      learn_classes(cell, n, t.class_id);
    }
  }

  void learn_classes(std::int64_t cell, std::int64_t n, std::int32_t c) {
    const double* o = out(cell, n) + 9;
    double* d = delta(cell, n) + 9;
    const auto target = [&](double y) { return y * (1 - r_.smooth_labels) + r_.smooth_labels / 2; };
    if (d[0] != 0) {
      d[c] = r_.multipliers[c] * (target(1) - o[c]);
      return;
    }
    for (std::int32_t k = 0; k < 3; ++k) {
      d[k] = target(k == c ? 1 : 0) - o[k];
      if (k == c && r_.counted) d[k] *= r_.multipliers[c] * r_.cls_normalizer;
    }
  }

  void add(double& to, double d) const {
    d = finite(d);
    to += r_.max_delta > 0 ? std::clamp(d, -r_.max_delta, r_.max_delta) : d;
  }

  void learn_box(std::int64_t cell, std::int64_t n, const Truth& t) {
    const double* o = out(cell, n);
    double* d = delta(cell, n);
    const Box64 truth = wide(t.box);
    const double weight = r_.iou_normalizer * r_.multipliers[t.class_id];
    const double targets[4] = {
        (truth.x - r_.to_centre * truth.w) * g_.w - static_cast<double>(cell % g_.w),
        (truth.y - r_.to_centre * truth.h) * g_.h - static_cast<double>(cell / g_.w),
        std::log(truth.w * kNet / kAnchors[n].first),
        std::log(truth.h * kNet / kAnchors[n].second)};
    for (int i = 0; i < 4; ++i) {
      const double sigma = o[2 * i + 1], z = (targets[i] - o[2 * i]) / sigma;
      const double density = std::exp(-z * z / 2) / (std::sqrt(2 * std::acos(-1.)) * (sigma + .3));
      const double common = .5 * density / (density + 1e-9) * (2 - truth.w * truth.h);
      if (r_.normal) add(d[2 * i], weight * common * z / sigma);
      add(d[2 * i + 1], r_.uc_normalizer * common * (z * z / sigma - 1 / (sigma + .3)));
    }
    if (r_.normal) return;
    auto q = losses::DarknetOverlapGradient<double>(predicted(cell, n), truth).of(r_.box_loss);
    add(d[0], weight * (q.x - r_.to_centre * q.w));
    add(d[2], weight * (q.y - r_.to_centre * q.h));
    add(d[4], weight * q.w * std::exp(o[4]));
    add(d[6], weight * q.h * std::exp(o[6]));
  }

  const Rules& r_;
  Shape g_;
  std::vector<Truth> truths_;
  std::vector<double> out_, delta_;
};

// The second and third share a cell and an anchor, with other classes; the last is another head's.
const std::vector<Truth> kObjects = {{{.30f, .26f, .20f, .26f}, 1},
                                     {{.62f, .45f, .33f, .32f}, 0},
                                     {{.66f, .41f, .36f, .31f}, 2},
                                     {{.80f, .92f, .18f, .22f}, 2},
                                     {{.40f, .55f, .75f, .60f}, 1}};

class GaussianStep : public testing::TestWithParam<Rules> {};

TEST_P(GaussianStep, EqualsDarknetsRulesInFloat64) {
  const Rules& rules = GetParam();
  LayerSample s =
      sample_of("Gaussian_yolo",
                "classes=3\nnum=3\nmask=0,1\nanchors=6,8,12,10,24,20\nobj_loss=" +
                    std::string(rules.focal ? "focal" : "ce") + "\ncls_loss=ce\n" + rules.keys,
                kOwn * kEntries, kObjects);
  s.in[0] = {1, 5, 4, kOwn * kEntries};
  const Trial t = passed(s);
  const Host in = t.host_inputs()[0];
  Reference reference(rules, in.shape, in.v.data(), kObjects);
  const std::vector<double>& delta = reference.run();
  const std::vector<float> gradient = t.in_gradient[0].to_host({});
  ASSERT_EQ(delta.size(), gradient.size());
  double difference = 0, length = 0;
  std::set<std::int64_t> learning;
  for (std::size_t i = 0; i < delta.size(); ++i) {
    ASSERT_NEAR(gradient[i], -delta[i], 2e-4 * std::max(1., std::fabs(delta[i])))
        << "entry " << i % kEntries << " of anchor " << i / kEntries;
    difference += std::pow(gradient[i] + delta[i], 2), length += delta[i] * delta[i];
    if (i % kEntries == 1 && delta[i] != 0) learning.insert(static_cast<std::int64_t>(i));
  }
  EXPECT_GE(learning.size(), 3u);  // anchors whose deviations learn
  EXPECT_LT(std::sqrt(difference / length), 1e-5);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, GaussianStep,
    testing::Values(
        Rules{.keys = "ignore_thresh=1\n"},
        Rules{.keys = "ignore_thresh=.2\ntruth_thresh=.35\niou_normalizer=.5\nuc_normalizer=.7\n",
              .iou_normalizer = .5,
              .uc_normalizer = .7,
              .ignore = .2,
              .truth = .35},
        Rules{.keys = "ignore_thresh=.3\ntruth_thresh=.45\nobj_normalizer=.7\n"
                      "counters_per_class=9,3,6\n",
              .obj_normalizer = .7,
              .ignore = .3,
              .truth = .45,
              .multipliers = {1, 3, 1.5},
              .counted = true,
              .focal = true},
        Rules{.keys = "ignore_thresh=.3\niou_loss=giou\niou_thresh=.213\n",
              .box_loss = Overlap::giou,
              .normal = false,
              .ignore = .3,
              .shape = .213},
        Rules{.keys = "ignore_thresh=1\niou_loss=ciou\nscale_x_y=1.2\nlabel_smooth_eps=.1\n"
                      "obj_normalizer=.4\nmax_delta=.6\n",
              .box_loss = Overlap::ciou,
              .normal = false,
              .obj_normalizer = .4,
              .smooth_labels = .1,
              .scale_x_y = 1.2,
              .max_delta = .6},
        Rules{.keys = "ignore_thresh=.2\nobjectness_smooth=1\niou_loss=diou\n",
              .box_loss = Overlap::diou,
              .normal = false,
              .ignore = .2,
              .smooth = true},
        Rules{.keys = "ignore_thresh=1\nyolo_point=left_top\niou_loss=giou\n",
              .box_loss = Overlap::giou,
              .normal = false,
              .to_centre = .5},
        Rules{.keys = "ignore_thresh=1\nyolo_point=right_bottom\ncounters_per_class=9,3,6\n"
                      "cls_normalizer=1.5\n",
              .cls_normalizer = 1.5,
              .to_centre = -.5,
              .multipliers = {1, 3, 1.5},
              .counted = true}));

TEST(GaussianYolo, DeviationsLowerTheProbability) {
  const Trial t(sample_of("Gaussian_yolo", "classes=2\nnum=1\nanchors=8,16\n", 11, {}),
                Mode::inference);
  std::vector<float> out(to_size(t.needs.output.size()));
  const std::vector<float> entries = {.6f, .1f, .2f, .2f, .1f, .3f, -.3f, .4f, .8f, .9f, .2f};
  std::copy(entries.begin(), entries.end(), out.begin() + (2 * kCells + 1) * 11);
  std::vector<InputDetection> found;
  t.layer->head()->decode({out.data(), t.needs.output, 11}, {1, 32, 32, 3}, .25f, found);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_FLOAT_EQ(found[0].objectness, .8f);
  EXPECT_FLOAT_EQ(found[0].probability, .8f * .9f * (1 - .25f));
  EXPECT_NEAR(found[0].box.x, 1.6 / 4, 1e-6);
  EXPECT_NEAR(found[0].box.y, 2.2 / 4, 1e-6);
  EXPECT_NEAR(found[0].box.w, std::exp(.1) / 4, 1e-6);
  EXPECT_NEAR(found[0].box.h, std::exp(-.3) / 2, 1e-6);
}

TEST(GaussianYolo, HasNoNewCoords) {
  EXPECT_THROW(layer_of("[Gaussian_yolo]\nnum=1\nanchors=8,8\nnew_coords=1\n", 0), Error);
}

}  // namespace
}  // namespace darknet::testing_layers
