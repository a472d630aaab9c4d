#include "layers/detection_head.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "core/index.h"
#include "core/log.h"
#include "core/text.h"
#include "detect/packed_truths.h"
#include "kernels/class_gradients.h"
#include "kernels/label_rejection.h"

namespace darknet {
namespace {

// Values on the device, in the order of those in host memory.
template <class T>
class OnDevice {
 public:
  OnDevice(const Stream& stream, std::int64_t count)
      : stream_(stream), count_(count), buffer_(stream.device, count * std::int64_t{sizeof(T)}) {}
  OnDevice(const Stream& stream, std::span<const T> values) : OnDevice(stream, std::ssize(values)) {
    memory(stream.device.type).copy_in(stream, data(), values.data(), values.size_bytes());
  }
  T* data() const { return static_cast<T*>(buffer_.data()); }
  std::vector<T> to_host() const {
    std::vector<T> values(to_size(count_));
    memory(stream_.device.type).copy_out(stream_, values.data(), data(), count_ * sizeof(T));
    memory(stream_.device.type).synchronize(stream_);
    return values;
  }

 private:
  const Stream& stream_;
  std::int64_t count_;
  Buffer buffer_;
};

// How many anchors each ground truth of an image keeps.
std::vector<std::int32_t> anchors_kept(std::span<const TruthChoice> choices, bool last_wins) {
  std::vector<std::int32_t> kept(choices.size(), 0);
  std::map<std::pair<std::int32_t, int>, std::size_t> owners;
  for (std::size_t t = 0; t < choices.size(); ++t)
    for (int n = 0; n < kMaxAnchors; ++n) {
      if (choices[t].cell < 0 || !(choices[t].anchors >> n & 1)) continue;
      ++kept[t];
      const auto [owner, first] = owners.try_emplace({choices[t].cell, n}, t);
      if (!first && last_wins) --kept[owner->second];
      owner->second = t;
    }
  return kept;
}

// In a checkpoint: counts of other bins are no use.
std::string name_of_counts(const LogitLoss& loss) {
  return std::visit(
      [](const auto& l) -> std::string {
        if constexpr (losses::WithMomentum<std::decay_t<decltype(l)>>)
          return cat(l.name, " counts of ", plural(l.bins, "bin"));
        return {};
      },
      loss);
}

}  // namespace

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
  settings_ = {setup_.keys,
               setup_.nms,
               anchors_.count,
               std::string(name_of(setup_.objectness.loss)),
               setup_.objectness.rules.norm,
               setup_.objectness.calibrate,
               setup_.objectness.guided};
}

bool DetectionHead::accept_activation(const Activation& a) {
  if (!is_linear(a))
    log::warn(
        cat(title(), ": reads numbers of either sign, and activation=", name_of(a), " of layer ",
            sources().front(),
            " changes them; set activation=linear there, unless its weights were trained so"));
  return false;
}

AnchorTable DetectionHead::anchors_for(const Shape& net, const Shape& grid) const {
  AnchorTable table = anchors_;
  const Shape& unit = setup_.anchors.unit == AnchorUnit::grid_cell ? grid : net;
  table.unit_w = static_cast<float>(unit.w), table.unit_h = static_cast<float>(unit.h);
  return table;
}

Requirements DetectionHead::reshape(std::span<const Shape> in, Ops&, const PlanOptions& options) {
  const std::int64_t needed = layout_.anchors * layout_.entries;
  if (in[0].c != needed) {
    const std::int64_t classes = in[0].c / layout_.anchors - setup_.box_entries - 1;
    const bool others = classes > 0 && in[0].c % layout_.anchors == 0;
    fail(title(), ": gets ", in[0].c, " channels; ", plural(layout_.anchors, "anchor"), " of ",
         setup_.box_entries + 1, " + ", setup_.keys.classes, " numbers need filters=", needed,
         " in the convolution before it", others ? cat(", or classes=", classes, " here") : "");
  }
  shape_ = in[0];
  anchors_ = anchors_for({.h = context_.net_height, .w = context_.net_width}, shape_);
  Requirements r{.output = in[0], .needs_input = false, .needs_output = false};
  if (options.mode == Mode::inference) return r;
  if (sums_.bytes() == 0) sums_ = Buffer(context_.device, sizeof(HeadTelemetry));
  make_running_values();
  const std::int64_t anchors = shape_.pixels() * layout_.anchors;
  const std::int64_t truths = shape_.n * std::max(setup_.keys.max_truths, context_.truths);
  r.saved = records_at() + anchors * std::int64_t{sizeof(AnchorRecord)};
  r.workspace = std::max({telemetry_scratch(anchors), objectness_scratch(anchors),
                          truths * std::int64_t{sizeof(TruthChoice)}});
  if (!class_gradients_.empty())
    r.workspace = std::max(r.workspace, class_gradient_scratch(anchors, setup_.keys.classes));
  if (!rejection_.empty()) r.workspace = std::max(r.workspace, rejection_scratch(shape_.size()));
  return r;
}

void DetectionHead::forward(const Pass& pass, std::span<const TensorView> in, TensorView out) {
  decode_outputs(pass.stream, in[0].as<>(), out.as<>());
  if (pass.mode == Mode::inference && setup_.objectness.calibrate)
    calibrate_objectness(pass.stream, setup_.objectness.loss,
                         {in[0].as<>(), out.as<>(), layout_, posterior_weights()});
  if (pass.mode == Mode::inference || !pass.truths.data) return;
  const AssignArguments a{.anchors = anchors_,
                          .layout = layout_,
                          .rules = setup_.objectness.rules,
                          .logits = in[0].as<>(),
                          .out = out.as<>(),
                          .gradient = gradient(pass).as<>(),
                          .truths = pass.truths,
                          .choices = static_cast<TruthChoice*>(pass.workspace),
                          .records = part<AnchorRecord>(pass.saved, records_at()),
                          .step = pass.step,
                          .class_gradients = class_gradients_.arrays().values};
  zero_gradient_and_assign(pass.stream, a);
  if (!class_gradients_.empty())
    add_class_gradients(pass.stream,
                        {a.gradient, a.records, layout_, class_gradients_.arrays().sums},
                        pass.workspace);
  ObjectnessArguments o = objectness_arguments(a);
  o.running = bin_counts_.arrays();
  apply_objectness(pass.stream, setup_.objectness.loss, o, pass.workspace);
  if (!rejection_.empty())
    reject_gradients(pass.stream,
                     {context_.rejection, context_.max_batches, a.gradient, layout_.entries,
                      rejection_.arrays(), pass.step},
                     pass.workspace);
  sum_telemetry(pass.stream, o, static_cast<HeadTelemetry*>(sums_.data()), pass.workspace);
}

void DetectionHead::zero_gradient_and_assign(const Stream& stream, const AssignArguments& a) const {
  memory(stream.device.type)
      .zero(stream, a.gradient.data, to_size(a.gradient.shape.size() * size_of(DType::f32)));
  assign_truths(stream, a);
}

ObjectnessArguments DetectionHead::objectness_arguments(const AssignArguments& a) const {
  return {.logits = a.logits,
          .gradient = a.gradient,
          .records = a.records,
          .layout = layout_,
          .step = a.step,
          .factor = objectness_factor_,
          .scale = a.rules.by_positives(),
          .gamma_ramp = setup_.objectness.gamma_ramp ? context_.burn_in : 0,
          .guided = setup_.objectness.guided ? setup_.keys.obj_normalizer.value : 0,
          .last_truth_wins = setup_.last_truth_wins,
          .raw = setup_.raw_objectness};
}

void DetectionHead::make_running_values() {
  const Device& device = context_.device;
  const std::int64_t sums = class_gradient_count(setup_.keys.classes);
  if (setup_.keeps_class_gradients && class_gradients_.empty())
    class_gradients_ = {"class gradients", device, sums, sums};
  const LogitLoss& loss = setup_.objectness.loss;
  if (momentum_of(loss) > 0 && bin_counts_.empty())
    bin_counts_ = {name_of_counts(loss), device, kRunningCounts, kCountSums};
  if (context_.rejection.any() && rejection_.empty())
    rejection_ = {"label rejection", device, kRejectionValues, kRejectionSums};
}

std::vector<RunningValues*> DetectionHead::running() {
  std::vector<RunningValues*> kept;
  for (RunningValues* r : {&class_gradients_, &bin_counts_, &rejection_})
    if (!r->empty()) kept.push_back(r);
  return kept;
}

void DetectionHead::end_step(const Stream& stream, const StepState* state) {
  if (!class_gradients_.empty())
    keep_class_gradients(stream, class_gradients_.arrays(), class_gradients_.values(), state);
  if (!bin_counts_.empty())
    keep_counts(stream, setup_.objectness.loss, bin_counts_.arrays(), state);
  if (!rejection_.empty()) keep_rejection(stream, rejection_.arrays(), state);
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
      AnchorPlace at = place_of(output.shape, 0, pixel);
      at.n = n, at.first = n * layout_.entries;
      const float* const o = &output.at(pixel, at.first);
      const float p = o[layout_.objectness], objectness = p < setup_.min_objectness ? 0 : p;
      if (!(objectness > threshold)) continue;
      add_detections({box_of(anchors, at, output.shape, o), objectness, objectness * certainty(o),
                      o + layout_.class_entry(0)},
                     threshold, to);
    }
  }
}

void DetectionHead::add_detections(const DecodedAnchor& a, float threshold,
                                   std::vector<InputDetection>& to) const {
  for (std::int64_t k = 0; k < setup_.keys.classes; ++k)
    if (const float probability = a.factor * a.scores[k]; probability > threshold)
      to.push_back({a.box, static_cast<std::int32_t>(k), a.objectness, probability});
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

// Of every anchor, from the values of all channels.
std::vector<float> DetectionHead::objectness_of(std::span<const float> values) const {
  std::vector<float> all;
  for (std::int64_t pixel = 0; pixel < shape_.pixels(); ++pixel)
    for (std::int64_t n = 0; n < layout_.anchors; ++n)
      all.push_back(values[to_size(pixel * shape_.c + n * layout_.entries + layout_.objectness)]);
  return all;
}

AssignedAnchors DetectionHead::assigned_anchors(const Stream& stream, std::span<const float> logits,
                                                std::span<const std::vector<Truth>> truths) const {
  if (std::ssize(logits) != shape_.size() || std::ssize(truths) != shape_.n)
    fail(title(), ": anchors of ", truths.size(), " images and ", logits.size(),
         " logits are asked for, the network has ", shape_.n, " and ", shape_.size());
  const std::int64_t anchors = shape_.pixels() * layout_.anchors;
  const std::int64_t capacity = std::max<std::int64_t>(1, context_.truths);
  const PackedTruths packed = pack_truths(truths, capacity);
  const OnDevice<float> in(stream, logits), out(stream, shape_.size()),
      gradient(stream, shape_.size());
  const OnDevice<Truth> data(stream, std::span<const Truth>(packed.truths));
  const OnDevice<std::int32_t> counts(stream, std::span<const std::int32_t>(packed.counts));
  const OnDevice<TruthChoice> choices(stream, std::ssize(packed.truths));
  const OnDevice<AnchorRecord> records(stream, anchors);
  constexpr std::int64_t kLate = std::int64_t{1} << 40;  // behind burn_in and other starts
  const StepState late{{.iteration = kLate, .images_seen = kLate}};
  const OnDevice<StepState> step(stream, std::span(&late, 1));
  const auto view = [&](float* values) { return View<float>{values, shape_, shape_.c}; };
  decode_outputs(stream, view(in.data()), view(out.data()));
  const AssignArguments a{.anchors = anchors_,
                          .layout = layout_,
                          .rules = setup_.objectness.rules,
                          .logits = view(in.data()),
                          .out = view(out.data()),
                          .gradient = view(gradient.data()),
                          .truths = {data.data(), counts.data(), shape_.n, capacity},
                          .choices = choices.data(),
                          .records = records.data(),
                          .step = step.data()};
  zero_gradient_and_assign(stream, a);
  const OnDevice<char> scratch(stream, objectness_scratch(anchors));
  apply_objectness(stream, setup_.objectness.loss, objectness_arguments(a), scratch.data());
  AssignedAnchors result{.records = records.to_host(),
                         .logits = objectness_of(logits),
                         .gradients = objectness_of(gradient.to_host())};
  const std::vector<TruthChoice> chosen = choices.to_host();
  for (std::size_t i = 0; i < truths.size(); ++i) {
    const std::span all(chosen.data() + i * to_size(capacity), to_size(packed.counts[i]));
    result.anchors_of_truth.push_back(anchors_kept(all, setup_.last_truth_wins));
    result.anchors_of_truth.back().resize(truths[i].size(), 0);
  }
  return result;
}

}  // namespace darknet
