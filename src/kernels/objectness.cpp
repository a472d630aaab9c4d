#include "kernels/objectness.h"

#include "core/for_each.h"
#include "core/math.h"

namespace darknet {

DN_HD TelemetrySums& TelemetrySums::operator+=(const TelemetrySums& o) {
  loss_positive += o.loss_positive, loss_negative += o.loss_negative;
  class_loss += o.class_loss, box_loss += o.box_loss;
  easy_negative += o.easy_negative, hard_negative += o.hard_negative, positive += o.positive;
  p_positive += o.p_positive, p_negative += o.p_negative, iou += o.iou;
  positives += o.positives, negatives += o.negatives, ignored += o.ignored;
  assigned += o.assigned, sharing += o.sharing, not_finite += o.not_finite;
  return *this;
}

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
    const float w =
        r.state == AnchorState::ignored ? 0 : r.weight * (a.scale ? a.step->objectness_scale : 1);
    a.gradient.at(pixel, channel) = w == 0 ? 0 : w * loss.gradient(x, r.target, positive);
    r.objectness_loss = w == 0 ? 0 : w * loss.value(x, r.target, positive);
  }
};

struct AnchorSums {
  ObjectnessArguments a;
  DN_HD TelemetrySums operator()(std::int64_t i) const {
    const AnchorRecord& r = a.records[i];
    const std::int64_t pixel = i / a.layout.anchors;
    const std::int64_t channel = i % a.layout.anchors * a.layout.entries + a.layout.objectness;
    const double p = math::sigmoid(a.logits.at(pixel, channel));
    const double g = math::abs(a.gradient.at(pixel, channel));
    TelemetrySums s;
    s.class_loss = r.class_loss, s.box_loss = r.box_loss;
    s.assigned = r.truths, s.sharing = r.truths > 1 ? r.truths - 1 : 0;
    if (r.state == AnchorState::positive) {
      s.positives = 1, s.loss_positive = r.objectness_loss, s.positive = g, s.p_positive = p;
      s.iou = r.iou;
    } else if (r.state == AnchorState::negative) {
      s.negatives = 1, s.loss_negative = r.objectness_loss, s.p_negative = p;
      (p < kEasy ? s.easy_negative : s.hard_negative) = g;
    } else {
      s.ignored = 1;
    }
    s.not_finite = faulty(pixel, channel - a.layout.objectness, r) ? 1 : 0;
    return s;
  }
  DN_HD bool faulty(std::int64_t pixel, std::int64_t first, const AnchorRecord& r) const {
    float sum = r.class_loss + r.box_loss + r.objectness_loss;
    for (std::int64_t e = 0; e < a.layout.entries; ++e) sum += a.gradient.at(pixel, first + e);
    return !(sum - sum == 0);
  }
};

struct AddTelemetry {
  PartTelemetry a;
  StepState* state;
  DN_HD void operator()(std::int64_t) const {
    if (a.first) *a.total = {};
    *a.total += *a.sums;
    if (a.sums->not_finite == 0 || state->verdict == Verdict::fault) return;
    state->verdict = Verdict::fault;
    state->fault_part = a.part;
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
  return reduce_scratch<TelemetrySums>(anchors);
}

void sum_telemetry(const Stream& s, const ObjectnessArguments& a, TelemetrySums* out,
                   void* scratch) {
  reduce(s, a.logits.shape.pixels() * a.layout.anchors, AnchorSums{a}, out, scratch);
}

void add_telemetry(const Stream& s, const PartTelemetry& part, StepState* state) {
  for_each(s, 1, AddTelemetry{part, state});
}

TelemetrySums to_host(const Stream& stream, const TelemetrySums* on_device) {
  TelemetrySums s;
  memory(stream.device.type).copy_out(stream, &s, on_device, sizeof s);
  memory(stream.device.type).synchronize(stream);
  return s;
}

HeadTelemetry to_telemetry(const TelemetrySums& s) {
  const auto count = [](double v) { return static_cast<std::int64_t>(v); };
  return {.objectness_loss_positive = s.loss_positive,
          .objectness_loss_negative = s.loss_negative,
          .class_loss = s.class_loss,
          .box_loss = s.box_loss,
          .gradient_easy_negative = s.easy_negative,
          .gradient_hard_negative = s.hard_negative,
          .gradient_positive = s.positive,
          .p_positive = s.p_positive,
          .p_negative = s.p_negative,
          .iou_positive = s.iou,
          .positives = count(s.positives),
          .negatives = count(s.negatives),
          .ignored = count(s.ignored),
          .truths = count(s.assigned),
          .truths_sharing = count(s.sharing),
          .finite = s.not_finite == 0};
}

}  // namespace darknet
