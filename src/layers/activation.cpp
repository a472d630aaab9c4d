// [activation] activation: a function of every value. [batchnorm], without keys of its own:
// normalises every channel over the batch.
#include "core/for_each.h"
#include "kernels/activate.h"
#include "kernels/copy.h"
#include "nn/channel_parameters.h"
#include "nn/onnx_builder.h"

namespace darknet {
namespace {

struct ActivationKeys {
  Activation activation = activations::Linear{};
  template <class V>
  void fields(V&& v) {
    v("activation", activation, Choice<Activation>{}, "function of every value");
  }
};

class ActivationLayer final : public Layer {
 public:
  ActivationLayer(Section& section, const LayerContext& context) : Layer(section, context) {
    ActivationKeys keys;
    section.read(keys);
    activation_ = keys.activation;
  }

  Requirements reshape(std::span<const Shape> in, Ops&, const PlanOptions&) override {
    const bool by_output = derivative_from_output(activation_);
    return {
        .output = in[0], .needs_input = !by_output, .needs_output = by_output, .in_place = true};
  }

  void forward(const Pass& pass, std::span<const TensorView> in, TensorView out) override {
    activate(pass.stream, activation_, in[0], nullptr, out);
  }

  void backward(const Pass& pass, const BackwardArguments& a) override {
    const GradientSlot& slot = a.in_gradient[0];
    if (!slot.view) return;
    const TensorView& known = derivative_from_output(activation_) ? a.out : a.in[0];
    activation_backward(pass.stream, activation_, known, a.out_gradient);
    put_pixels(pass.stream, a.out_gradient, slot.view, slot.add);
  }

  bool absorb(Layer& next) override {
    if (next.accept_activation(activation_)) activation_ = activations::Linear{};
    return false;
  }

  LayerSummary summary() const override { return {.note = std::string(name_of(activation_))}; }

  std::string to_onnx(OnnxBuilder& graph, std::span<const OnnxValue> in) const override {
    return graph.activate(in[0].name, activation_);
  }

 private:
  Activation activation_;
};

class BatchnormLayer final : public Layer {
 public:
  using Layer::Layer;

  Requirements reshape(std::span<const Shape> in, Ops&, const PlanOptions& options) override {
    if (channels_.empty()) channels_ = ChannelParameters(*this, in[0].c, true);
    Requirements r{.output = in[0], .needs_output = false};
    if (options.mode == Mode::inference) return r.in_place = true, r;
    r.workspace = batch_norm_scratch(in[0]);
    r.saved = ChannelParameters::kept_bytes(in[0].c);
    return r;
  }

  void forward(const Pass& pass, std::span<const TensorView> in, TensorView out) override {
    if (pass.mode == Mode::training)
      batch_norm_forward(pass.stream, arrays(pass), in[0], out, pass.workspace);
    else
      batch_norm_inference(pass.stream, channels_.arrays(activations::Linear{}, nullptr), in[0],
                           out);
  }

  void backward(const Pass& pass, const BackwardArguments& a) override {
    const GradientSlot& slot = a.in_gradient[0];
    batch_norm_backward(pass.stream, arrays(pass), a.in[0],
                        {a.out_gradient, channels_.scale_gradient(), channels_.bias_gradient(),
                         static_cast<bool>(slot.view)},
                        pass.workspace);
    if (slot.view) put_pixels(pass.stream, a.out_gradient, slot.view, slot.add);
  }

  std::vector<Parameter*> parameters() override {
    std::vector<Parameter*> all;
    if (channels_.empty()) return all;
    channels_.append_bias(all);
    channels_.append_scales(all);
    return all;
  }

  void initialise(std::uint64_t) override { channels_.reset(); }

  std::string to_onnx(OnnxBuilder& graph, std::span<const OnnxValue> in) const override {
    return channels_.add_batch_norm_node(graph, in[0].name);
  }

 private:
  BatchNorm arrays(const Pass& pass) const {
    return channels_.arrays(activations::Linear{}, static_cast<float*>(pass.saved));
  }
  ChannelParameters channels_;
};

}  // namespace

LayerPtr make_activation(Section& section, const LayerContext& context) {
  return std::make_unique<ActivationLayer>(section, context);
}

void describe_activation(KeyDocs& docs) { docs.add(ActivationKeys{}); }

LayerPtr make_batchnorm(Section& section, const LayerContext& context) {
  return std::make_unique<BatchnormLayer>(section, context);
}

void describe_batchnorm(KeyDocs&) {}

}  // namespace darknet
