#include "layers/detection_head.h"

#include <algorithm>
#include <set>
#include <utility>

#include "core/index.h"
#include "core/text.h"

namespace darknet {

void DetectionHead::set_up(Setup setup) {
  setup_ = std::move(setup);
  if (setup_.objectness.gamma_ramp && context_.burn_in == 0)
    fail(title(), ": obj_gamma_ramp=1 needs burn_in above 0 in [net]: gamma rises over it");
  anchors_.total = setup_.keys.num;
  for (std::int64_t n = 0; n < anchors_.total; ++n) {
    anchors_.width[n] = setup_.anchors.sides[to_size(2 * n)];
    anchors_.height[n] = setup_.anchors.sides[to_size(2 * n + 1)];
    anchors_.mask[n] = static_cast<std::int32_t>(n);
  }
  if (!setup_.mask.empty()) std::copy(setup_.mask.begin(), setup_.mask.end(), anchors_.mask);
  anchors_.count = setup_.mask.empty() ? anchors_.total : std::ssize(setup_.mask);
  layout_ = {.anchors = anchors_.count,
             .entries = setup_.box_entries + 1 + setup_.keys.classes,
             .objectness = setup_.box_entries};
  settings_ = {setup_.keys, setup_.nms, anchors_.count,
               std::string(name_of(setup_.objectness.loss)), setup_.objectness.rules.norm};
}

AnchorTable DetectionHead::anchors_for(const Shape& net, const Shape& grid) const {
  AnchorTable table = anchors_;
  const Shape& unit = setup_.anchors.unit == AnchorUnit::grid_cell ? grid : net;
  table.unit_w = static_cast<float>(unit.w), table.unit_h = static_cast<float>(unit.h);
  return table;
}

Requirements DetectionHead::reshape(std::span<const Shape> in, Ops&, const PlanOptions& options) {
  const std::int64_t needed = layout_.anchors * layout_.entries;
  if (in[0].c != needed)
    fail(title(), ": gets ", in[0].c, " channels; ", plural(layout_.anchors, "anchor"), " of ",
         setup_.box_entries + 1, " + ", setup_.keys.classes, " numbers need filters=", needed,
         " in the convolution before it");
  shape_ = in[0];
  anchors_ = anchors_for({.h = context_.net_height, .w = context_.net_width}, shape_);
  Requirements r{.output = in[0], .needs_input = false, .needs_output = false};
  if (options.mode == Mode::inference) return r;
  if (sums_.bytes() == 0) sums_ = Buffer(context_.device, sizeof(HeadTelemetry));
  const std::int64_t anchors = shape_.pixels() * layout_.anchors;
  const std::int64_t truths = shape_.n * std::max(setup_.keys.max_truths, context_.truths);
  r.saved = records_at() + anchors * std::int64_t{sizeof(AnchorRecord)};
  r.workspace = std::max({telemetry_scratch(anchors), objectness_scratch(anchors),
                          truths * std::int64_t{sizeof(TruthChoice)}});
  return r;
}

void DetectionHead::forward(const Pass& pass, std::span<const TensorView> in, TensorView out) {
  decode_outputs(pass.stream, in[0].as<>(), out.as<>());
  if (pass.mode == Mode::inference || !pass.truths.data) return;
  const AssignArguments a{
      .anchors = anchors_,
      .layout = layout_,
      .rules = setup_.objectness.rules,
      .logits = in[0].as<>(),
      .out = out.as<>(),
      .gradient = gradient(pass).as<>(),
      .truths = pass.truths,
      .choices = static_cast<TruthChoice*>(pass.workspace),
      .records = reinterpret_cast<AnchorRecord*>(static_cast<char*>(pass.saved) + records_at()),
      .step = pass.step};
  assign_truths(pass.stream, a);
  const ObjectnessArguments o{
      .logits = a.logits,
      .gradient = a.gradient,
      .records = a.records,
      .layout = layout_,
      .step = pass.step,
      .factor = objectness_factor_,
      .scale = a.rules.by_positives(),
      .gamma_ramp = setup_.objectness.gamma_ramp ? context_.burn_in : 0,
      .guided = setup_.objectness.guided ? setup_.keys.obj_normalizer.value : 0,
      .last_truth_wins = setup_.last_truth_wins};
  apply_objectness(pass.stream, setup_.objectness.loss, o, pass.workspace);
  sum_telemetry(pass.stream, o, static_cast<HeadTelemetry*>(sums_.data()), pass.workspace);
}

void DetectionHead::backward(const Pass& pass, const BackwardArguments& a) {
  const GradientSlot& slot = a.in_gradient[0];
  if (slot.view)
    head_backward(pass.stream, gradient(pass).as<>(), {setup_.gradient_factor, pass.step},
                  slot.view.as<>(), slot.add);
}

LayerSummary DetectionHead::summary() const {
  return {.note = cat(plural(layout_.anchors, "anchor"), ", ", plural(setup_.keys.classes, "class"),
                      ", objectness ", settings_.objectness_loss)};
}

void DetectionHead::decode(View<const float> output, const Shape& net, float threshold,
                           std::vector<InputDetection>& to) const {
  const AnchorTable anchors = anchors_for(net, output.shape);
  for (std::int64_t pixel = 0; pixel < output.shape.pixels(); ++pixel) {
    for (std::int64_t n = 0; n < layout_.anchors; ++n) {
      const AnchorPlace at{.pixel = pixel, .first = n * layout_.entries, .cell = pixel, .n = n};
      const float* const o = &output.at(pixel, at.first);
      const float p = o[layout_.objectness], objectness = p < setup_.min_objectness ? 0 : p;
      if (!(objectness > threshold)) continue;
      const Box box = box_of(anchors, at, output.shape, o);
      const float* const scores = o + layout_.class_entry(0);
      for (std::int64_t k = 0; k < setup_.keys.classes; ++k)
        if (const float probability = objectness * scores[k]; probability > threshold)
          to.push_back({box, static_cast<std::int32_t>(k), objectness, probability});
    }
  }
}

std::int64_t DetectionHead::positives(std::span<const Truth> truths, const Shape&) const {
  std::set<std::pair<std::int32_t, std::int64_t>> chosen;
  for (const Truth& t : truths) {
    const TruthChoice c = choice_of(t, anchors_, shape_);
    for (std::int64_t n = 0; n < layout_.anchors; ++n)
      if (c.anchors >> n & 1) chosen.insert({c.cell, n});
  }
  return std::ssize(chosen);
}

std::vector<AnchorShape> DetectionHead::anchor_shapes(const Shape& net) const {
  const AnchorShape unit = anchor_unit(net);
  std::vector<AnchorShape> shapes;
  for (std::int64_t n = 0; n < layout_.anchors; ++n)
    shapes.push_back({anchors_.own_width(n) * unit.width, anchors_.own_height(n) * unit.height});
  return shapes;
}

AnchorShape DetectionHead::anchor_unit(const Shape& net) const {
  const AnchorTable units = anchors_for(net, shape_);
  return {static_cast<float>(net.w) / units.unit_w, static_cast<float>(net.h) / units.unit_h};
}

std::int64_t DetectionHead::candidates(const Shape&) const {
  return shape_.h * shape_.w * layout_.anchors;
}

double DetectionHead::balancing_offset(std::span<const float> logits, double eta) const {
  return darknet::balancing_offset(loss_of_first_iteration(setup_.objectness), logits,
                                   balance(eta));
}

double DetectionHead::gradient_ratio(double eta) const {
  return darknet::gradient_ratio(setup_.objectness.loss, balance(eta));
}

std::vector<std::int64_t> DetectionHead::objectness_channels() const {
  std::vector<std::int64_t> channels;
  for (std::int64_t n = 0; n < layout_.anchors; ++n)
    channels.push_back(n * layout_.entries + layout_.objectness);
  return channels;
}

}  // namespace darknet
