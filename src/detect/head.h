// What a detection head ([yolo], [region]) offers to the trainer, to evaluation and to the user:
// its settings, decoding of its output, counting of positives, and telemetry of the last step.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>
#include "core/named.h"
#include "core/tensor.h"
#include "detect/box.h"

namespace darknet {

enum class NmsKind : std::uint8_t { by_class, greedy, diou };
constexpr auto choices(NmsKind) {
  return std::to_array<Named<NmsKind>>(
      {{"default", NmsKind::by_class}, {"greedynms", NmsKind::greedy}, {"diounms", NmsKind::diou}});
}

// Augmentation keys that Darknet keeps in the head; the last head of a network decides.
struct AugmentationKeys {
  float jitter = .2f, resize = 1;
  float random = 0;  // multi-scale: 0 off, 1 = factor 1.4, else the factor
};

struct HeadSettings {
  std::int64_t classes = 20, anchors = 1, max_truths = 200;  // anchors: of this head
  NmsKind nms_kind = NmsKind::by_class;
  float beta_nms = .6f;
  AugmentationKeys augmentation;
  std::string objectness_loss;          // its name, for charts and tables
  bool normalise_by_positives = false;  // obj_norm=positives
};

// Sums over the images of one forward pass of one head. Losses are true losses, weighted as in the
// gradient; sums over several passes are formed by +=, means by the reader.
struct HeadTelemetry {
  double objectness_loss_positive = 0, objectness_loss_negative = 0, class_loss = 0, box_loss = 0;
  double gradient_easy_negative = 0;  // sum |dL/dx| of objectness: negatives with p < .1
  double gradient_hard_negative = 0;  // negatives with p >= .1
  double gradient_positive = 0;
  double p_positive = 0, p_negative = 0;  // sums of p; divide by the counts
  double iou_positive = 0;                // sum of the IoU of assigned anchors with their truths
  std::int64_t positives = 0, negatives = 0, ignored = 0, truths = 0;
  std::int64_t truths_lost = 0;     // [region]: truths overwritten by a later one in their anchor
  std::int64_t truths_sharing = 0;  // [yolo]: truths beyond the first in an anchor
  bool finite = true;               // no NaN or infinity in losses or gradients

  HeadTelemetry& operator+=(const HeadTelemetry&);
  double loss() const {
    return objectness_loss_positive + objectness_loss_negative + class_loss + box_loss;
  }
};

struct TelemetrySums;  // kernels/objectness.h: the same as the device sums it

struct AnchorShape {
  float width = 0, height = 0;  // pixels of the network's input
};

class Head {
 public:
  virtual ~Head() = default;
  virtual const HeadSettings& settings() const = 0;

  // Appends the detections of one image whose objectness * class probability exceeds `threshold`
  // (one Detection per class above it). `output`: this head's output of that image in host memory,
  // shape {1, h, w, c}; `net`: the network's input shape.
  virtual void decode(View<const float> output, const Shape& net, float threshold,
                      std::vector<Detection>& to) const = 0;

  // How many distinct anchors of this head the truths of one image make positive on a grid of a
  // network input `net`, from the labels alone: without what predictions choose (truth_thresh < 1,
  // [region] without bias_match).
  virtual std::int64_t positives(std::span<const Truth> truths, const Shape& net) const = 0;
  // The anchors of this head.
  virtual std::vector<AnchorShape> anchor_shapes(const Shape& net) const = 0;
  // Anchors of one image that are judged: grid cells times anchors.
  virtual std::int64_t candidates(const Shape& net) const = 0;

  // obj_prior: the initial foreground probability asked for; 0 = off, -1 = auto.
  virtual float prior() const = 0;
  // The stationary probability p* (docs/focal.md) for a share `eta` of positive anchors.
  virtual float stationary_prior(double eta) const = 0;
  // Which channels of the layer below are objectness logits.
  virtual std::vector<std::int64_t> objectness_channels() const = 0;

  // Telemetry of the last training pass: where it lies on the device, and what such sums tell.
  virtual const TelemetrySums* sums() const = 0;
  virtual HeadTelemetry told_by(const TelemetrySums&) const = 0;
  virtual HeadTelemetry telemetry(const Stream&) const = 0;  // both; waits for the device
};

}  // namespace darknet
