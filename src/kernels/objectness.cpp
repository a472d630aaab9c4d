#include "kernels/objectness.h"

#include "core/for_each.h"
#include "core/math.h"

namespace darknet {

namespace {

constexpr float kEasy = .1f;  // a negative below this probability counts as easy

template <class L>
struct ApplyObjectness {
  L loss;
  ObjectnessArguments a;
  DN_HD void operator()(std::int64_t i) const {
    AnchorRecord& r = a.records[i];
    const std::int64_t pixel = i / a.layout.anchors;
    const std::int64_t channel = i % a.layout.anchors * a.layout.entries + a.layout.objectness;
    const float x = a.logits.at(pixel, channel);
    const bool positive = r.state == AnchorState::positive;
    const float w = r.state == AnchorState::ignored
                        ? 0
                        : r.weight * a.factor * (a.scale ? a.step->objectness_scale : 1);
    a.gradient.at(pixel, channel) = w == 0 ? 0 : w * loss.gradient(x, r.target, positive);
    r.objectness_loss = w == 0 ? 0 : w * loss.value(x, r.target, positive);
  }
};

struct AnchorSums {
  ObjectnessArguments a;
  DN_HD HeadTelemetry operator()(std::int64_t i) const {
    const AnchorRecord& r = a.records[i];
    const std::int64_t pixel = i / a.layout.anchors;
    const std::int64_t channel = i % a.layout.anchors * a.layout.entries + a.layout.objectness;
    const double p = math::sigmoid(a.logits.at(pixel, channel));
    const double g = math::abs(a.gradient.at(pixel, channel));
    HeadTelemetry s;
    s.class_loss = r.class_loss, s.box_loss = r.box_loss;
    s.truths = r.truths;
    (a.last_truth_wins ? s.truths_lost : s.truths_sharing) = r.truths > 1 ? r.truths - 1 : 0;
    if (r.state == AnchorState::positive) {
      s.positives = 1, s.objectness_loss_positive = r.objectness_loss;
      s.gradient_positive = g, s.p_positive = p, s.iou_positive = r.iou;
    } else if (r.state == AnchorState::negative) {
      s.negatives = 1, s.objectness_loss_negative = r.objectness_loss, s.p_negative = p;
      (p < kEasy ? s.gradient_easy_negative : s.gradient_hard_negative) = g;
    } else {
      s.ignored = 1;
    }
    s.not_finite = is_finite(pixel, channel - a.layout.objectness, r) ? 0 : 1;
    return s;
  }
  DN_HD bool is_finite(std::int64_t pixel, std::int64_t first, const AnchorRecord& r) const {
    float sum = r.class_loss + r.box_loss + r.objectness_loss;
    for (std::int64_t e = 0; e < a.layout.entries; ++e) sum += a.gradient.at(pixel, first + e);
    return sum - sum == 0;
  }
};

struct AddTelemetry {
  MicroBatchTelemetry a;
  StepState* state;
  DN_HD void operator()(std::int64_t) const {
    if (a.first) *a.total = {};
    *a.total += *a.sums;
    if (a.sums->not_finite == 0 || state->status == StepStatus::non_finite) return;
    state->status = StepStatus::non_finite;
    state->non_finite_micro_batch = a.micro_batch;
  }
};

struct Backward {
  View<const float> gradient;
  GradientFactor factor;
  View<float> to;
  bool add;
  DN_HD void operator()(std::int64_t p, std::int64_t c) const {
    const float g = factor.value() * gradient.at(p, c);
    to.at(p, c) = add ? to.at(p, c) + g : g;
  }
};

}  // namespace

void apply_objectness(const Stream& s, const LogitLoss& loss, const ObjectnessArguments& a) {
  std::visit(
      [&](const auto& l) {
        for_each(s, a.logits.shape.pixels() * a.layout.anchors,
                 ApplyObjectness<std::decay_t<decltype(l)>>{l, a});
      },
      loss);
}

std::int64_t telemetry_scratch(std::int64_t anchors) {
  return reduce_scratch<HeadTelemetry>(anchors);
}

void sum_telemetry(const Stream& s, const ObjectnessArguments& a, HeadTelemetry* out,
                   void* scratch) {
  reduce(s, a.logits.shape.pixels() * a.layout.anchors, AnchorSums{a}, out, scratch);
}

void add_telemetry(const Stream& s, const MicroBatchTelemetry& micro_batch, StepState* state) {
  for_each(s, 1, AddTelemetry{micro_batch, state});
}

HeadTelemetry to_host(const Stream& stream, const HeadTelemetry* on_device) {
  HeadTelemetry s;
  memory(stream.device.type).copy_out(stream, &s, on_device, sizeof s);
  memory(stream.device.type).synchronize(stream);
  return s;
}

void head_backward(const Stream& s, View<const float> gradient, const GradientFactor& factor,
                   View<float> to, bool add) {
  for_each_pixel(s, to.shape, Backward{gradient, factor, to, add});
}

}  // namespace darknet
