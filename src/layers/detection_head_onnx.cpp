// How the predictions of a detection head follow from its logits, as operators of ONNX. A row of an
// anchor is cx, cy, w, h in pixels of the network's input, the objectness, the classes; anchors
// come one after the other, each with all cells of the grid.
#include <algorithm>
#include <cmath>
#include <functional>

#include "core/index.h"
#include "layers/detection_head.h"
#include "losses/posterior.h"
#include "nn/onnx_builder.h"

namespace darknet {
namespace {

// obj_calibrate=1: the logit g(x) of the posterior as a function of the logit x, by straight lines
// between knots, which lie so close that probabilities are within 1e-5 of those of
// losses/posterior.h. Beyond kFarthestKnot it goes on straight, as it nearly does. As a graph that
// is g(0) plus the sum of slope_k max(0, sign_k (x - knot_k)): two products with matrices and a
// Relu between them.
constexpr std::int64_t kKnots = 256;
constexpr double kFarthestKnot = 20;
constexpr double kFarthest = 80;  // the logit of a probability of 0 or 1 in float

template <class L>
double posterior_logit(const L& loss, double x, const PosteriorWeights& weights) {
  const auto [up, down] = posterior_odds(loss, x, weights);
  if (up > 0 && down > 0) return std::clamp(std::log(down) - std::log(up), -kFarthest, kFarthest);
  const bool object = down > 0 || (!(up > 0) && x >= 0);
  return object ? kFarthest : -kFarthest;
}

using Curve = std::function<double(double)>;

Curve posterior_curve(const LogitLoss& loss, const PosteriorWeights& weights) {
  return std::visit(
      [&](const auto& l) -> Curve {
        return [l, weights](double x) { return posterior_logit(l, x, weights); };
      },
      loss);
}

// Knots from 0 on in one direction (sign 1 or -1), 0 and the last included. Between two of them the
// error of a line is |g''| p (1 - p) h^2 / 8 in the probability: the square root of that, without
// h, has the same integral between all of them, and a little everywhere.
std::vector<double> knots_of(const Curve& g, double sign) {
  constexpr int kSteps = 4096;
  constexpr double kStep = kFarthestKnot / kSteps, kEverywhere = 1e-3;
  std::vector<double> sums{0};
  for (int i = 0; i < kSteps; ++i) {
    const double x = sign * (i + .5) * kStep, middle = g(x);
    const double bend = (g(x - kStep) - 2 * middle + g(x + kStep)) / (kStep * kStep);
    const double p = 1 / (1 + std::exp(-middle));
    sums.push_back(sums.back() + std::sqrt(std::fabs(bend) * p * (1 - p)) + kEverywhere);
  }
  std::vector<double> knots;
  for (std::int64_t k = 0; k <= kKnots / 2; ++k) {
    const double sum = sums.back() * static_cast<double>(k) / (kKnots / 2);
    const auto at = std::lower_bound(sums.begin(), sums.end(), sum) - sums.begin();
    knots.push_back(sign * static_cast<double>(at) * kStep);
  }
  knots.erase(std::unique(knots.begin(), knots.end()), knots.end());
  return knots;
}

struct Bends {
  std::vector<float> signs, offsets, slopes;  // slope max(0, sign x + offset)
};

void add_bends(const Curve& g, double sign, Bends& to) {
  const std::vector<double> knots = knots_of(g, sign);
  double before = 0;
  for (std::size_t k = 0; k + 1 < knots.size(); ++k) {
    const double slope = (g(knots[k + 1]) - g(knots[k])) / std::fabs(knots[k + 1] - knots[k]);
    to.signs.push_back(static_cast<float>(sign));
    to.offsets.push_back(static_cast<float>(-sign * knots[k]));
    to.slopes.push_back(static_cast<float>(slope - before));
    before = slope;
  }
}

// logits: {n, anchors, 1}.
std::string add_posterior(OnnxBuilder& graph, const std::string& logits, const Curve& g) {
  Bends bends;
  add_bends(g, 1, bends), add_bends(g, -1, bends);
  const std::int64_t count = std::ssize(bends.signs);
  std::string x = graph.add("MatMul", {logits, graph.floats("signs", {1, count}, bends.signs)});
  x = graph.add("Add", {x, graph.floats("offsets", {count}, bends.offsets)});
  x = graph.add("Relu", {x});
  x = graph.add("MatMul", {x, graph.floats("slopes", {count, 1}, bends.slopes)});
  x = graph.add("Add", {x, graph.floats("middle", {1}, {static_cast<float>(g(0))})});
  return graph.add("Sigmoid", {x});
}

}  // namespace

std::string DetectionHead::to_onnx(OnnxBuilder& graph, std::span<const OnnxValue> in) const {
  const std::int64_t cells = shape_.h * shape_.w;
  std::string x = graph.reshape(in[0].name, {0, layout_.anchors, layout_.entries, cells});
  x = graph.transpose(x, {0, 1, 3, 2});
  x = graph.reshape(x, {0, layout_.anchors * cells, layout_.entries});
  const std::int64_t classes = layout_.class_entry(0);
  const std::int64_t stride = setup_.box_entries / 4;
  const std::string boxes = add_boxes(graph, graph.slice(x, {{2, 0, setup_.box_entries, stride}}));
  const std::string objectness =
      add_objectness(graph, graph.slice(x, {{2, layout_.objectness, classes}}));
  std::string scores = add_classes(graph, graph.slice(x, {{2, classes, layout_.entries}}));
  if (decoding().uncertain) {
    const std::string deviations = graph.slice(x, {{2, 1, setup_.box_entries, stride}});
    scores = graph.add("Mul", {scores, add_certainty(graph, deviations)});
  }
  return graph.concat({boxes, objectness, scores}, 2);
}

// x, y: (cell + scale s(x) - (scale - 1) / 2) pixels of a cell; w, h: e^x or (2 s(x))^2 anchors.
std::string DetectionHead::add_boxes(OnnxBuilder& graph, const std::string& logits) const {
  const Decoding how = decoding();
  const Shape net{.h = context_.net_height, .w = context_.net_width};
  const std::vector<AnchorShape> anchors = anchor_shapes(net);
  const float cell_w = static_cast<float>(net.w) / static_cast<float>(shape_.w),
              cell_h = static_cast<float>(net.h) / static_cast<float>(shape_.h);
  const float shift = (how.scale_x_y - 1) / 2, sides = how.side_of_root ? 4 : 1;
  std::vector<float> factors, corners, sizes;
  for (const AnchorShape& anchor : anchors)
    for (std::int64_t y = 0; y < shape_.h; ++y)
      for (std::int64_t x = 0; x < shape_.w; ++x) {
        factors.insert(factors.end(), {how.scale_x_y * cell_w, how.scale_x_y * cell_h});
        corners.push_back((static_cast<float>(x) - shift) * cell_w);
        corners.push_back((static_cast<float>(y) - shift) * cell_h);
        sizes.insert(sizes.end(), {sides * anchor.width, sides * anchor.height});
      }
  const std::vector<std::int64_t> dims{1, std::ssize(anchors) * shape_.h * shape_.w, 2};
  std::string centre = graph.add("Sigmoid", {graph.slice(logits, {{2, 0, 2}})});
  centre = graph.add("Mul", {centre, graph.floats("cell_size", dims, std::move(factors))});
  centre = graph.add("Add", {centre, graph.floats("corners", dims, std::move(corners))});
  std::string side = graph.slice(logits, {{2, 2, 4}});
  side = graph.add(how.side_of_root ? "Sigmoid" : "Exp", {side});
  if (how.side_of_root) side = graph.add("Mul", {side, side});
  side = graph.add("Mul", {side, graph.floats("anchors", dims, std::move(sizes))});
  if (how.centre != 0) centre = graph.add("Add", {centre, graph.scale(side, how.centre)});
  return graph.concat({centre, side}, 2);
}

std::string DetectionHead::add_objectness(OnnxBuilder& graph, const std::string& logits) const {
  std::string p = setup_.objectness.calibrate
                      ? add_posterior(graph, logits,
                                      posterior_curve(setup_.objectness.loss, posterior_weights()))
                      : graph.add("Sigmoid", {logits});
  if (setup_.min_objectness == 0) return p;
  const float below = std::nextafter(setup_.min_objectness, 0.f);  // what is above it stays
  return graph.add("ThresholdedRelu", {p}, {{"alpha", below}});
}

// 1 - the mean of the deviations, for each class.
std::string DetectionHead::add_certainty(OnnxBuilder& graph, const std::string& deviations) const {
  const std::int64_t classes = setup_.keys.classes;
  std::string mean = graph.add("Sigmoid", {deviations});
  const std::vector<float> factors(to_size(4 * classes), -.25f);
  mean = graph.add("MatMul", {mean, graph.floats("mean", {4, classes}, factors)});
  return graph.add("Add", {mean, graph.floats("one", {1}, {1})});
}

std::string DetectionHead::add_classes(OnnxBuilder& graph, const std::string& logits) const {
  switch (decoding().scores) {
    case ClassScores::softmax:
      return graph.add("Softmax", {logits}, {{"axis", std::int64_t{2}}});
    case ClassScores::sigmoid:
      return graph.add("Sigmoid", {logits});
    case ClassScores::tree:
      fail(title(), ": ONNX has no softmax of groups of different sizes, which tree= needs; ",
           "detect with this program or its library");
    case ClassScores::raw:
      break;
  }
  return logits;
}

}  // namespace darknet
