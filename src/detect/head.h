// What a detection head offers to the trainer, to evaluation and to the user:
// its keys and settings, decoding of its output, counting of positives, and telemetry of the last
// step.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>
#include "cfg/section.h"
#include "core/hd.h"
#include "core/named.h"
#include "core/tensor.h"
#include "detect/anchor_record.h"
#include "detect/box.h"
#include "detect/telemetry.h"

namespace darknet {

class RunningValues;
struct StepState;

enum class NmsKind : std::uint8_t { by_class, greedy, diou };
constexpr auto choices(NmsKind) {
  return std::to_array<Named<NmsKind>>(
      {{"default", NmsKind::by_class},
       {"greedynms", NmsKind::greedy},
       {"diounms", NmsKind::diou},
       {"cornersnms", NmsKind::by_class}});  // AlexeyAB: that is what its code does
}

struct NmsKeys {
  NmsKind nms_kind = NmsKind::by_class;
  float beta_nms = .6f;
  template <class V>
  void fields(V&& v) {
    v("nms_kind", nms_kind, Choice<NmsKind>{}, "how overlapping detections are removed");
    v("beta_nms", beta_nms, Reals{0, 10}, "exponent of nms_kind=diounms");
  }
};

// Augmentation keys that Darknet keeps in the head; the last head of a network decides.
struct AugmentationKeys {
  float jitter = .2f, resize = 1;
  float random = 0;  // multi-scale: 0 off, 1 = factor 1.4, else the factor
  template <class V>
  void fields(V&& v) {
    v("jitter", jitter, TrainingOnly{Reals{0, .99f}},
      "augmentation: how far the crop's sides move");
    v("resize", resize, TrainingOnly{Reals{.01f, 100}}, "augmentation: largest zoom");
    v("random", random, TrainingOnly{Reals{0, 10}},
      "multi-scale training: 1 = factor 1.4, else the factor");
  }
};

inline constexpr std::int64_t kMaxAnchors = 64;  // of all heads together: bits of a mask

// The keys that every head has.
struct HeadKeys {
  std::int64_t classes = 20, num = 1;
  std::int64_t max_truths = 200;  // an image
  AugmentationKeys augmentation;
  RealOrAuto obj_normalizer{1};

  // Which entries of an anchor are the x, y, w and h of its box: the first, and so many further on.
  static constexpr std::int64_t kBoxStride = 1;
  // Turns a box whose x and y are those of the point that the head predicts into one of its centre.
  DN_HD Box from_point(const Box& b) const { return b; }

  template <class V>
  void fields(V&& v) {
    v("classes", classes, Integers{1, 1 << 16}, "number of classes");
    v("num", num, Integers{1, kMaxAnchors}, "anchors, with mask those of all heads together");
    v("max", max_truths, TrainingOnly{Integers{1, 100000}}, "most truths of an image");
    augmentation.fields(v);
    v("obj_normalizer", obj_normalizer, TrainingOnly{NumberOrAuto{{0, 1e6f}, true}},
      "weight of the whole objectness loss; auto: an anchor with an object gets the gradient that "
      "it would get from ce, each loss at its prior p*; auto*2: twice that");
  }
};

// What the objectness loss, a sum over anchors, is divided by. Positives are those of the whole
// batch in all heads that ask for them.
enum class ObjectnessNorm : std::uint8_t {
  images,        // of the batch, as all other losses (Darknet)
  positives,     // at least 1
  positives_ema  // their exponential moving average over the iterations
};
constexpr auto choices(ObjectnessNorm) {
  return std::to_array<Named<ObjectnessNorm>>({{"images", ObjectnessNorm::images},
                                               {"positives", ObjectnessNorm::positives},
                                               {"positives_ema", ObjectnessNorm::positives_ema}});
}

// What others need of a head's keys.
struct HeadSettings : HeadKeys, NmsKeys {
  std::int64_t anchors = 1;     // of this head
  std::string objectness_loss;  // its name, for charts and tables
  ObjectnessNorm objectness_norm = ObjectnessNorm::images;
  bool calibrated = false;  // obj_calibrate=1
  bool guided = false;      // obj_guided=1: without positives the objectness learns nothing
};

// What a head asks of the objectness of a fresh start (obj_prior, obj_init).
struct ObjectnessStart {
  RealOrAuto prior;          // initial foreground probability; 0: none asked for
  RealOrAuto deviation{-1};  // of the initial logits, standard deviation; below 0: as they are
  bool has_prior() const { return prior.automatic || prior.value > 0; }
};

struct AnchorShape {
  float width = 0, height = 0;  // pixels of the network's input
};

class Head {
 public:
  virtual ~Head() = default;
  virtual const HeadSettings& settings() const = 0;

  // How many classes the detections of decode() may have: those of the settings, or the labels of
  // map=, once they were asked for.
  virtual std::int64_t classes_found() const { return settings().classes; }
  // Asks for detections of these labels from now on, where map= has so many that become classes of
  // the head. Whether it has.
  virtual bool find_labels(std::int64_t /*classes*/) { return false; }
  // What its class tree calls the classes; empty: it has none.
  virtual std::span<const std::string> tree_names() const { return {}; }
  // Whether labels and detections count the same classes.
  virtual bool finds_its_labels() const { return true; }

  // Appends the detections of one image whose objectness * class probability exceeds `threshold`
  // (one per class above it). `output`: this head's output of that image in host memory,
  // shape {1, h, w, c}; `net`: the network's input shape.
  virtual void decode(View<const float> output, const Shape& net, float threshold,
                      std::vector<InputDetection>& to) const = 0;

  // How many distinct anchors of this head the truths of one image make positive on a grid of a
  // network input `net`, from the labels alone: without what predictions choose (truth_thresh < 1,
  // bias_match=0).
  virtual std::int64_t positives(std::span<const Truth> truths, const Shape& net) const = 0;
  // The anchors of this head; none where it predicts boxes of any shape ([detection]).
  virtual std::vector<AnchorShape> anchor_shapes(const Shape& net) const = 0;
  // What 1 stands for in its key `anchors`: a pixel of the network's input, or a cell of the grid.
  virtual AnchorShape anchor_unit(const Shape& net) const = 0;
  // Anchors of one image: grid cells times anchors of a cell.
  virtual std::int64_t candidates(const Shape& net) const = 0;

  // What a fresh start and the labels' share `eta` of positive anchors decide: obj_prior, obj_init,
  // obj_normalizer=auto.
  virtual const ObjectnessStart& start() const = 0;
  // The offset of these initial logits at which positives and negatives balance
  // (docs/loss-math.md, The start); of one logit of 0 it is the logit of p*.
  virtual double balancing_offset(std::span<const float> logits, double eta) const = 0;
  // Gradient of an anchor with an object by cross-entropy at its p* over that of this loss at its
  // own: what obj_normalizer=auto multiplies.
  virtual double gradient_ratio(double eta) const = 0;
  // A factor on the objectness loss, 1 until it is set; before the first training pass.
  virtual void set_objectness_factor(float) = 0;
  virtual float objectness_factor() const = 0;
  // Which channels of the layer below are objectness logits.
  virtual std::vector<std::int64_t> objectness_channels() const = 0;
  // What training would make of the anchors, in a network of either mode, by the head's own rules
  // and loss: assignment, weights (obj_norm=positives counts as 1), loss and gradient. `logits`:
  // what the layer below made, {n, h, w, c} as the network's shape says; `truths`: one entry for
  // each of the n images, in fractions of the network's input.
  virtual AssignedAnchors assigned_anchors(const Stream&, std::span<const float> logits,
                                           std::span<const std::vector<Truth>> truths) const = 0;

  // Telemetry of the last training pass: where it lies on the device, and on the host (waits for
  // the device).
  virtual const HeadTelemetry* sums() const = 0;
  virtual HeadTelemetry telemetry(const Stream&) const = 0;

  // What its losses keep from step to step (detect/running_values.h), in a fixed order; none in a
  // network that does not train.
  virtual std::vector<RunningValues*> running() { return {}; }
  // After a step, on every device with the sums of all: takes them into the values, unless the step
  // made no update.
  virtual void end_step(const Stream&, const StepState*) {}
};

}  // namespace darknet
