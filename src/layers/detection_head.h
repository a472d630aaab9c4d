// What all detection heads have in common: a layer whose output is decoded predictions and which
// makes its own gradient. A head adds its keys, the decoding of its output and the assignment of
// ground truths to its anchors.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>
#include <vector>
#include "cfg/anchors_key.h"
#include "core/parts.h"
#include "detect/head.h"
#include "detect/running_values.h"
#include "kernels/assignment.h"
#include "layers/scored_classes.h"
#include "losses/objectness.h"
#include "nn/layer.h"

namespace darknet {

class DetectionHead : public Layer, public Head {
 public:
  using Layer::Layer;

  bool works_in_f32() const override { return true; }
  Requirements reshape(std::span<const Shape> in, Ops&, const PlanOptions&) override;
  void forward(const Pass&, std::span<const TensorView> in, TensorView out) override;
  void backward(const Pass&, const BackwardArguments&) override;
  Head* head() override { return this; }
  bool accept_activation(const Activation&) override;
  LayerSummary summary() const override;
  std::string to_onnx(OnnxBuilder&, std::span<const OnnxValue> in) const override;

  const HeadSettings& settings() const override { return settings_; }
  void decode(View<const float> output, const Shape& net, float threshold,
              std::vector<InputDetection>& to) const override;
  std::int64_t positives(std::span<const Truth> truths, const Shape& net) const override;
  std::vector<AnchorShape> anchor_shapes(const Shape& net) const override;
  AnchorShape anchor_unit(const Shape& net) const override;
  std::int64_t candidates(const Shape& net) const override;
  const ObjectnessStart& start() const override { return setup_.objectness.start; }
  double balancing_offset(std::span<const float> logits, double eta) const override;
  double gradient_ratio(double eta) const override;
  void set_objectness_factor(float factor) override { objectness_factor_ = factor; }
  float objectness_factor() const override { return objectness_factor_; }
  std::vector<std::int64_t> objectness_channels() const override;
  AssignedAnchors assigned_anchors(const Stream&, std::span<const float> logits,
                                   std::span<const std::vector<Truth>> truths) const override;
  const HeadTelemetry* sums() const override {
    return static_cast<const HeadTelemetry*>(sums_.data());
  }
  HeadTelemetry telemetry(const Stream& s) const override { return to_host(s, sums()); }
  std::vector<RunningValues*> running() override;
  void end_step(const Stream&, const StepState*) override;

 protected:
  struct Setup {
    HeadKeys keys;
    NmsKeys nms;
    AnchorsKey anchors;              // keys.num of them
    std::vector<std::int64_t> mask;  // this head's; empty: all
    // Of an anchor; then come the objectness and the classes. x, y, w and h are every first, or
    // every second of them (HeadKeys::kBoxStride).
    std::int64_t box_entries = 4;
    Objectness objectness;
    float weight_positive = 1, weight_negative = 1;  // of the objectness, in its stationary prior
    float gradient_factor = 1;                       // on all of the gradient
    float min_objectness = 0;                        // decoding: what is below counts as 0
    bool last_truth_wins = false;  // of those that share an anchor the others are lost
    bool raw_objectness = false;   // ObjectnessArguments::raw, in place of the objectness' loss
    bool keeps_class_gradients = false;
  };
  // The constructor of a head calls it with what it has read.
  void set_up(Setup);

  // out = the predictions of these logits, of every anchor.
  virtual void decode_outputs(const Stream&, View<const float> logits, View<float> out) const = 0;
  // What decode_outputs() and box_of() compute, in the terms of to_onnx().
  struct Decoding {
    float scale_x_y = 1;
    bool side_of_root = false;  // SideOfRoot, and a sigmoid before it
    ClassScores scores = ClassScores::sigmoid;
    float centre = 0;        // from x, y to the centre of the box, in widths and heights
    bool uncertain = false;  // every second box entry is a deviation, through a sigmoid
  };
  virtual Decoding decoding() const = 0;
  // Fills in choices, records (all but their objectness loss) and the gradient of boxes and
  // classes, which is all zeros on entry.
  virtual void assign_truths(const Stream&, const AssignArguments&) const = 0;
  // The anchors that a ground truth chooses by its shape.
  virtual TruthChoice choice_of(const Truth&, const AnchorTable&, const Shape& grid) const = 0;
  // The box that an anchor's decoded outputs are.
  virtual Box box_of(const AnchorTable&, const AnchorPlace&, const Shape& grid,
                     const float* outputs) const = 0;
  // What decode() finds of an anchor: its box, its objectness, the factor on the scores of its
  // classes, and these.
  struct DecodedAnchor {
    Box box;
    float objectness, factor;
    const float* scores;
  };
  // Appends its detections above the threshold: by default one of each class.
  virtual void add_detections(const DecodedAnchor&, float threshold,
                              std::vector<InputDetection>& to) const;
  // What the probabilities of an anchor's detections are multiplied by.
  virtual float certainty(const float* /*outputs*/) const { return 1; }

  const AnchorLayout& layout() const { return layout_; }
  const Setup& setup() const { return setup_; }
  // Their objectness, as the layer computes it at inference.
  std::string add_objectness(OnnxBuilder&, const std::string& logits) const;

 private:
  std::string add_boxes(OnnxBuilder&, const std::string& logits) const;
  std::string add_certainty(OnnxBuilder&, const std::string& deviations) const;
  std::string add_classes(OnnxBuilder&, const std::string& logits) const;
  void make_running_values();
  AnchorTable anchors_for(const Shape& net, const Shape& grid) const;
  ObjectnessArguments objectness_arguments(const AssignArguments&) const;
  std::vector<float> objectness_of(std::span<const float> values) const;
  PosteriorWeights posterior_weights() const {
    return {setup_.weight_positive, setup_.weight_negative};
  }
  void zero_gradient_and_assign(const Stream&, const AssignArguments&) const;
  std::int64_t records_at() const { return part_bytes(shape_.size() * size_of(DType::f32)); }
  TensorView gradient(const Pass& pass) const { return {pass.saved, DType::f32, shape_, shape_.c}; }

  Balance balance(double eta) const {
    return {eta, setup_.weight_positive, setup_.weight_negative};
  }

  Setup setup_;
  float objectness_factor_ = 1;
  AnchorLayout layout_;
  AnchorTable anchors_;
  HeadSettings settings_;
  Buffer sums_;
  RunningValues class_gradients_, bin_counts_;  // of the class loss, of the objectness loss
  RunningValues rejection_;                     // of [net]'s keys that reject labels
  Shape shape_;
};

// Argument of Keys::with_sides(). A functor, because with_sides() is DN_HD and nvcc warns when it
// calls a host lambda.
struct IsSideOfRoot {
  template <class Side>
  DN_HD bool operator()(Side) const {
    return std::is_same_v<Side, SideOfRoot>;
  }
};

// A head whose Keys, trivially copyable for the kernels, have choose() and with_sides().
template <class Keys>
class KeyedHead : public DetectionHead {
 public:
  using DetectionHead::DetectionHead;

 protected:
  TruthChoice choice_of(const Truth& t, const AnchorTable& anchors,
                        const Shape& grid) const override {
    return keys_.choose(t, anchors, grid);
  }
  Box box_of(const AnchorTable& anchors, const AnchorPlace& at, const Shape& grid,
             const float* outputs) const override {
    return decode_box(keys_, anchors, anchors.origin(at), grid, box_entries<Keys>(outputs));
  }

  bool side_of_root() const { return keys_.with_sides(IsSideOfRoot{}); }

  Keys keys_;
};

}  // namespace darknet
