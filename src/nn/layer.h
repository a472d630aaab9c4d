// What a layer is: made from a cfg section, given shapes, run forward and backward. A layer owns
// its parameters and plans; the network owns every activation, gradient and workspace.
#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>
#include "cfg/section.h"
#include "core/ops.h"
#include "core/step.h"
#include "core/tensor.h"
#include "detect/box.h"
#include "kernels/label_rejection.h"
#include "nn/parameter.h"

namespace darknet {

class Head;
class OnnxBuilder;
class TargetLoss;
struct OnnxValue;

// What a layer needs to know of the network when it is made.
struct LayerContext {
  std::int64_t index = 0;                      // 0 for the first section after [net]
  std::int64_t net_width = 0, net_height = 0;  // of the network's input at present
  std::int64_t truths = 0;                     // of an image, at most: the largest of all heads
  std::int64_t burn_in = 0, max_batches = 0;   // of [net], iterations
  RejectionKeys rejection = {};                // of [net]
  Mode mode = Mode::inference;
  Device device;
};

// Keys that any section may carry.
struct CommonKeys {
  bool onlyforward = false, train_only_bn = false;
  std::int64_t stopbackward = 0, dont_update = 0;
  bool dontload = false, dontloadscales = false;
  float learning_rate = 1, clip = 0;
  template <class V>
  void fields(V&& v) {
    constexpr TrainingOnly kUntil{Integers{0, std::int64_t{1} << 40}};
    v("onlyforward", onlyforward, TrainingOnly{Flag{}}, "frozen: no gradient passes this layer");
    v("stopbackward", stopbackward, kUntil,
      "this layer and those before it are frozen; 1: for good, N: in the first N iterations");
    v("dont_update", dont_update, kUntil,
      "frozen, but gradients pass; 1: for good, N: in the first N iterations");
    v("train_only_bn", train_only_bn, TrainingOnly{Flag{}},
      "of this layer and those before it only the batch normalisation is trained");
    v("dontload", dontload, Flag{}, "its parameters are not taken from a weights file");
    v("dontloadscales", dontloadscales, Flag{},
      "its scales and statistics are not taken from a weights file");
    v("learning_rate", learning_rate, TrainingOnly{Reals{0, 1e6f}},
      "factor on the network's learning rate");
    v("clip", clip, TrainingOnly{Reals{0, 1e30f}},
      "limit on each element of its weight gradients; 0: none");
  }
};

// What Layer::reshape() returns.
struct Requirements {
  Shape output;
  std::int64_t workspace = 0;       // bytes it may use during one call
  std::int64_t saved = 0;           // bytes the network keeps for it from forward to backward
  std::int64_t packed_weights = 0;  // bytes that its plans keep
  bool needs_input = true;          // backward reads the inputs
  bool needs_output = true;         // backward reads the output
  bool in_place = false;            // the output may share the first input's memory (inference)
};

// What one call is given apart from its tensors.
struct Pass {
  const Stream& stream;
  Mode mode = Mode::inference;
  void* workspace = nullptr;
  void* saved = nullptr;
  const StepState* step = nullptr;  // device memory; null at inference
  std::uint64_t seed = 0;        // of the run; random launches mix in step->iteration and the layer
  std::int64_t subdivision = 0;  // which part of the step's batch this is
  Truths truths;                 // training of heads
  TensorView targets;  // training of a TargetLoss (nn/target_loss.h): {n,1,1,classes}; may be null
  // The network's input in place of Network::input(), without a copy: input_shape().size() values
  // in the memory of its device, the same in forward and backward. Null: Network::input().
  const float* input = nullptr;
};

// Where an input's gradient goes; null data: it is not needed. add: += , otherwise overwrite.
struct GradientSlot {
  TensorView view;
  bool add = true;
};

struct BackwardArguments {
  std::span<const TensorView> in;  // null data where needs_input is false
  TensorView out;                  // null data where needs_output is false
  TensorView out_gradient;         // the layer may overwrite it
  std::span<const GradientSlot> in_gradient;
};

// A row of `darknet net info`.
struct LayerSummary {
  std::string filters, size;       // "" where it has none; size as "3x3/2"
  std::string note;                // "route 8 12", "activation leaky", ...
  std::int64_t multiply_adds = 0;  // per batch of reshape()
};

// A layer's convolution, as Ops was asked to plan it.
struct ConvolutionWork {
  ConvSpec spec;
  Epilogue epilogue;
  PlanOptions options;
  std::array<std::string, 3> algorithms;  // by ConvDirection; "": not planned, or no choice
  // OHWI, in device memory. At inference batch normalisation is folded in, from the first
  // parameters_changed() on.
  const float* weights = nullptr;
};

class Layer {
 public:
  Layer(Section& section, const LayerContext& context);
  virtual ~Layer() = default;

  // Indices of the layers it reads, in order; -1 is the network's input.
  virtual std::vector<std::int64_t> sources() const { return {context_.index - 1}; }
  // Takes the shapes of its sources and makes plans; may be called again with other sizes.
  virtual Requirements reshape(std::span<const Shape> in, Ops& ops, const PlanOptions&) = 0;
  virtual void forward(const Pass&, std::span<const TensorView> in, TensorView out) = 0;
  virtual void backward(const Pass&, const BackwardArguments&) = 0;

  // Whether it reads and writes f32 whatever the network's precision: heads, losses, ... The
  // network converts where layers of two element types meet.
  virtual bool works_in_f32() const { return false; }
  // Whether it can write f32 from inputs of another type (PlanOptions::f32_output), which spares a
  // conversion and keeps a head's logits exact.
  virtual bool writes_f32() const { return false; }

  // In the order of .weights files. Valid after the first reshape.
  virtual std::vector<Parameter*> parameters() { return {}; }
  // Fresh values for a start without weights. `seed` is the run's.
  virtual void initialise(std::uint64_t /*seed*/) {}
  // The network calls it after parameters were loaded or updated and before the next forward.
  virtual void parameters_changed(const Stream&, void* /*workspace*/) {}

  // Not null for a detection head.
  virtual Head* head() { return nullptr; }
  // Not null for a layer that is trained by the targets of a pass (nn/target_loss.h).
  virtual const TargetLoss* target_loss() const { return nullptr; }
  // Offers the layer that alone reads this one, before the first reshape, in both modes. A layer
  // may hand its activation to a head that works on logits (accept_activation), or, at inference,
  // do the successor's work: true then makes `next` a pass-through.
  virtual bool absorb(Layer& /*next*/) { return false; }
  // Called by the layer below. True: this layer applies `a` itself, and takes the values before it.
  // A head warns where `a` would spoil its logits.
  virtual bool accept_activation(const Activation& /*a*/) { return false; }
  // Whether, at inference, values of its output are values of its inputs, so that a monotonic map
  // of these is the same map of the output: it then works on tensors of 8-bit integers too
  // (DType::u8).
  virtual bool keeps_integers() const { return false; }
  // Whether, at inference and as it was shaped last, it adds two inputs and does nothing else: each
  // of them, and the output, may then be f32 or integers of any scale
  // (PlanOptions::integer_inputs).
  virtual bool adds_integers() const { return false; }
  // Index of an earlier layer whose parameters it uses; -1: none. parameters() is then empty. The
  // network hands it that layer, which outlives it, before the first reshape; share() throws,
  // naming a key of the layer's own `section`, where that is of another kind, reshape() where its
  // parameters have other shapes. weight_gradient of PlanOptions is true only where neither layer
  // is frozen: while the owner is, its parameters and statistics stay; while this layer alone is,
  // it adds no gradient and works as at test time.
  virtual std::int64_t shares() const { return -1; }
  virtual void share(Layer& /*owner*/, const Section& /*section*/) {}
  // After the first reshape: whether its parameters fit the size of its present input alone.
  virtual bool fixes_input_size() const { return false; }
  virtual LayerSummary summary() const { return {}; }
  // Appends what it computes at inference to a graph of ONNX (nn/onnx_builder.h), with the present
  // parameters, and returns the name of its output; of a detection head, {n, anchors, 5 + classes}:
  // boxes as cx, cy, w, h in pixels of the network's input, the objectness, the probabilities of
  // the classes. After reshape, at inference; `in`: its sources. Throws, naming the layer, where
  // ONNX cannot express it.
  virtual std::string to_onnx(OnnxBuilder&, std::span<const OnnxValue> in) const = 0;
  // After reshape; none where the layer is no convolution.
  virtual std::optional<ConvolutionWork> convolution() const { return std::nullopt; }
  // The same of every layer with a plan of a convolution, for those who choose its algorithms. That
  // of a transposed convolution leads from its output to its input; stages behind a convolution
  // (layers/output_stage.h) are no part of it.
  virtual std::optional<ConvolutionWork> planned_convolution() const { return convolution(); }

  // The network's input changed its size; reshape follows.
  void set_network_size(std::int64_t height, std::int64_t width) {
    context_.net_height = height, context_.net_width = width;
  }

  // train_only_bn of a later layer; before the first reshape.
  void train_only_batch_norm() { keys_.train_only_bn = true; }

  // How many truths an image of a pass has room for (Truths::capacity); reshape follows.
  void set_truths(std::int64_t max) { context_.truths = max; }

  const CommonKeys& keys() const { return keys_; }
  const LayerContext& context() const { return context_; }
  const std::string& type() const { return type_; }
  const Where& where() const { return where_; }
  // "layer 12 [convolutional] (net.cfg:131)": the start of every message about it.
  std::string title() const;

 protected:
  LayerContext context_;
  CommonKeys keys_;

 private:
  std::string type_;
  Where where_;
};

using LayerPtr = std::unique_ptr<Layer>;

// Puts the algorithms of the layer's convolution, if it plans one, into the table, so that a
// resumed training takes the same ones whatever the heuristic or a tuning file then chooses.
// Returns a message for each choice of a tuning file that could not be taken.
std::vector<std::string> remember_algorithms(const Layer&, Tuning&);

// Looks the section's type up in layers/layers.def, makes the layer and checks that every key was
// read. Throws on an unknown type, with a suggestion. Defined in layers/registry.cpp.
LayerPtr make_layer(Section&, const LayerContext&);
// The keys of a section type (or alias) for `darknet help`; throws on an unknown type.
KeyDocs layer_keys(std::string_view type);
// Why a section type of other forks is not supported, and what to use instead; "" for other types.
std::string_view why_unsupported(std::string_view type);
std::vector<std::string> layer_types();

}  // namespace darknet
