// What every detection head does per anchor once it is assigned: the objectness loss by name,
// fixed-order sums for the telemetry, and handing its gradient on. Kernels on plain arrays, one
// record per anchor.
#pragma once
#include <cstdint>
#include "core/step.h"
#include "core/tensor.h"
#include "detect/anchor_record.h"
#include "detect/running_values.h"
#include "detect/telemetry.h"
#include "losses/losses.h"
#include "losses/posterior.h"

namespace darknet {

inline constexpr float kEasyNegative = .1f;  // a negative below this probability counts as easy

struct AnchorLayout {
  std::int64_t anchors = 1, entries = 6;  // per cell; per anchor: 4 box, objectness, classes
  std::int64_t objectness = 4;            // index of the objectness among the entries
  DN_HD std::int64_t class_entry(std::int64_t k) const { return objectness + 1 + k; }
  DN_HD std::int64_t classes() const { return entries - objectness - 1; }
  DN_HD std::int64_t anchors_of_image(const Shape& grid) const { return grid.h * grid.w * anchors; }
  // What launches over all anchors run over: a pixel for each image, a channel for each anchor.
  Shape anchors_by_image(const Shape& grid) const { return {grid.n, 1, 1, anchors_of_image(grid)}; }
};

// The place of anchor i = pixel * anchors + n and of those after it, with one division, of 32 bits:
// launches have fewer elements, and those of 64 bits take longer than all else.
struct AnchorWalk {
  std::int64_t pixel, first;  // the anchor's first channel
  DN_HD AnchorWalk(const AnchorLayout& layout, std::int64_t i)
      : pixel(static_cast<std::uint32_t>(i) / static_cast<std::uint32_t>(layout.anchors)),
        first((i - pixel * layout.anchors) * layout.entries) {}
  DN_HD void next(const AnchorLayout& layout) {
    first += layout.entries;
    if (first == layout.anchors * layout.entries) first = 0, ++pixel;
  }
};

// Gradient of the objectness entry of every anchor and its loss into the record, both times
// `factor` and, with `scale`, times step->objectness_scale. A loss of its batch multiplies both by
// the anchor's weight. With `guided` both are then scaled so that the sum of all objectness losses
// is `guided` times that of the box losses of positive anchors (0 where that is 0).
struct ObjectnessArguments {
  View<const float> logits;
  View<float> gradient;
  AnchorRecord* records = nullptr;
  AnchorLayout layout;
  const StepState* step = nullptr;
  float factor = 1;
  bool scale = false;
  std::int64_t gamma_ramp =
      0;             // iterations in which gamma rises to its value; 0: it has it at once
  float guided = 0;  // 0: not scaled
  bool last_truth_wins = false;  // of those that share an anchor the others are lost
  bool raw = false;              // the objectness is the logit itself, its loss the squared error
  RunningArrays running;         // of a loss with momentum (keep_counts)

  std::int64_t size() const { return logits.shape.pixels() * layout.anchors; }
  // The objectness of anchor i.
  DN_HD float logit(std::int64_t i) const { return logits.at(i / layout.anchors, channel(i)); }
  DN_HD float& gradient_of(std::int64_t i) const {
    return gradient.at(i / layout.anchors, channel(i));
  }
  DN_HD std::int64_t channel(std::int64_t i) const {
    return i % layout.anchors * layout.entries + layout.objectness;
  }
};
// `scratch`: objectness_scratch(anchors) bytes, which losses of an anchor by itself without
// `guided` do not touch.
std::int64_t objectness_scratch(std::int64_t anchors);
void apply_objectness(const Stream&, const LogitLoss&, const ObjectnessArguments&, void* scratch);

// What a loss with momentum keeps: the running count of each bin, and of a step the anchors in each
// bin, then the micro-batches.
inline constexpr std::int64_t kRunningCounts = losses::kBatchBins, kCountSums = kRunningCounts + 1;
// After a step: a running count becomes what follows from the mean count of the step's
// micro-batches, where the step has any anchor in the bin; unless the step made no update.
void keep_counts(const Stream&, const LogitLoss&, const RunningArrays&, const StepState*);

// Inference with obj_calibrate=1: the objectness of every anchor of `out` becomes the posterior
// (losses/posterior.h) of its logit.
struct CalibrationArguments {
  View<const float> logits;
  View<float> out;
  AnchorLayout layout;
  PosteriorWeights weights;
};
void calibrate_objectness(const Stream&, const LogitLoss&, const CalibrationArguments&);

// Sums over all records, on the device.
std::int64_t telemetry_scratch(std::int64_t anchors);
void sum_telemetry(const Stream&, const ObjectnessArguments&, HeadTelemetry* out, void* scratch);
HeadTelemetry to_host(const Stream&, const HeadTelemetry* on_device);

// total = micro-batch, or += micro-batch where `micro_batch` is not the step's first; a loss that
// is not finite makes the step fail, unless it passes.
struct MicroBatchTelemetry {
  const HeadTelemetry* sums = nullptr;  // of the micro-batch
  HeadTelemetry* total = nullptr;
  std::int32_t micro_batch = 0;  // its number in the whole batch
  bool first = true;             // of this device
  // Such a loss is left out of the total but for its images, and counted in `fixed`.
  bool passes_not_finite = false;
  double images = 0;  // of the micro-batch
};
void add_telemetry(const Stream&, const MicroBatchTelemetry&, StepState*);

// to (+)= factor * loss scale of the step * gradient.
struct GradientFactor {
  float factor = 1;
  const StepState* step = nullptr;  // null: the loss is not scaled
  DN_HD float value() const { return factor * loss_scale(step); }
};
void head_backward(const Stream&, View<const float> gradient, const GradientFactor&, View<float> to,
                   bool add);

}  // namespace darknet
