// What every detection head does per anchor once it is assigned: the objectness loss by name, and
// fixed-order sums for the telemetry. Launches on plain arrays, one record per anchor.
#pragma once
#include <cstdint>
#include "core/step.h"
#include "core/tensor.h"
#include "detect/head.h"
#include "losses/losses.h"

namespace darknet {

enum class AnchorState : std::int32_t { negative, positive, ignored };

// Anchor a of a head, a = pixel * anchors + n. Written by the head's assignment.
struct AnchorRecord {
  AnchorState state = AnchorState::negative;
  std::int32_t truths = 0;  // that chose this anchor
  float target = 0;         // of the objectness, in [0, 1]
  float weight = 0;         // of the objectness loss
  float class_loss = 0, box_loss = 0, iou = 0;
  float objectness_loss = 0;  // filled in by apply_objectness
};

struct AnchorLayout {
  std::int64_t anchors = 1, entries = 6;  // per cell; per anchor: 4 box, objectness, classes
  std::int64_t objectness = 4;            // index of the objectness among the entries
};

// Gradient of the objectness entry of every anchor and its loss into the record. `scale`:
// multiplies both by step->objectness_scale.
struct ObjectnessArguments {
  View<const float> logits;
  View<float> gradient;
  AnchorRecord* records = nullptr;
  AnchorLayout layout;
  const StepState* step = nullptr;
  bool scale = false;
};
void apply_objectness(const Stream&, const LogitLoss&, const ObjectnessArguments&);

// Sums over all records, on the device.
struct TelemetrySums {
  double loss_positive = 0, loss_negative = 0, class_loss = 0, box_loss = 0;
  double easy_negative = 0, hard_negative = 0, positive = 0;
  double p_positive = 0, p_negative = 0, iou = 0;
  double positives = 0, negatives = 0, ignored = 0, assigned = 0, sharing = 0, not_finite = 0;
  DN_HD TelemetrySums& operator+=(const TelemetrySums& o);
};
std::int64_t telemetry_scratch(std::int64_t anchors);
void sum_telemetry(const Stream&, const ObjectnessArguments&, TelemetrySums* out, void* scratch);
TelemetrySums to_host(const Stream&, const TelemetrySums* on_device);
HeadTelemetry to_telemetry(const TelemetrySums&);

// total = part, or += part where `part` is not the step's first; a loss that is not finite makes a
// fault of the step.
struct PartTelemetry {
  const TelemetrySums* sums = nullptr;  // of the part
  TelemetrySums* total = nullptr;
  std::int32_t part = 0;  // its number in the whole batch
  bool first = true;      // of this device
};
void add_telemetry(const Stream&, const PartTelemetry&, StepState*);

}  // namespace darknet
