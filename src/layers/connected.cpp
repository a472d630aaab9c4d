// [connected] output, activation, batch_normalize: every output from every input of an image.
// Weights lie in memory as inputs do, {output, h, w, channels}; files have Darknet's order.
#include <algorithm>
#include "core/parts.h"
#include "kernels/activate.h"
#include "nn/channel_parameters.h"
#include "nn/onnx_builder.h"

namespace darknet {
namespace {

struct ConnectedKeys {
  std::int64_t output = 1;
  Activation activation = activations::Logistic{};
  bool batch_normalize = false;
  template <class V>
  void fields(V&& v) {
    v("output", output, Integers{1, 1 << 24}, "number of outputs");
    v("activation", activation, Choice<Activation>{}, "function of the result");
    v("batch_normalize", batch_normalize, Flag{}, "normalise each output over the batch");
  }
};

class ConnectedLayer final : public Layer {
 public:
  ConnectedLayer(Section& section, const LayerContext& context) : Layer(section, context) {
    section.read(connected_);
    activation_ = connected_.activation;
  }

  // Its time goes into reading the weights, which are f32.
  bool works_in_f32() const override { return true; }

  Requirements reshape(std::span<const Shape> in, Ops& ops, const PlanOptions& options) override {
    make_parameters(in[0]);
    out_ = {in[0].n, 1, 1, connected_.output};
    // Frozen, its batch normalisation works as at test time: gradients pass the folded weights.
    make_folded(channels_.normalised() && options.mode == Mode::training &&
                !options.weight_gradient);
    const std::int64_t n = in[0].n, k = in[0].features(), o = connected_.output;
    forward_ = ops.gemm({.m = n, .n = o, .k = k, .transpose_b = true, .exact = options.exact});
    Requirements r{.output = out_, .workspace = forward_->workspace()};
    if (options.mode == Mode::inference) return r;
    weights_plan_ =
        ops.gemm({.m = o, .n = k, .k = n, .transpose_a = true, .beta = 1, .exact = options.exact});
    for (const bool add : {false, true})
      input_plan_[add] =
          ops.gemm({.m = n, .n = k, .k = o, .beta = add ? 1.f : 0.f, .exact = options.exact});
    for (const auto* plan : {&weights_plan_, &input_plan_[0], &input_plan_[1]})
      r.workspace = std::max(r.workspace, (*plan)->workspace());
    r.workspace = std::max({r.workspace, batch_norm_scratch(out_), activation_bias_scratch(out_)});
    if (keeps(options.mode)) r.saved = kept_bytes() + ChannelParameters::kept_bytes(out_.c);
    r.needs_output = !r.saved && !is_linear(activation_);
    return r;
  }

  void forward(const Pass& pass, std::span<const TensorView> in, TensorView out) override {
    const bool training = pass.mode == Mode::training;
    if (!folded_) parameters_changed(pass.stream, nullptr);
    const TensorView sum = keeps(pass.mode) ? kept(pass) : out;
    forward_->run(pass.stream, in[0].as<>().data, weights(), sum.as<>().data, pass.workspace);
    if (!normalises())
      add_bias(pass, sum, out);
    else if (training)
      batch_norm_forward(pass.stream, batch_norm(pass), sum, out, pass.workspace);
    else
      batch_norm_inference(pass.stream, channels_.arrays(activation_, nullptr), sum, out);
  }

  void backward(const Pass& pass, const BackwardArguments& a) override {
    backward_channels(pass, a);
    const float* const gradient = a.out_gradient.as<>().data;
    const GradientSlot& slot = a.in_gradient[0];
    if (float* const sum = weights_.summed_gradient())
      weights_plan_->run(pass.stream, gradient, a.in[0].as<>().data, sum, pass.workspace);
    if (slot.view)
      input_plan_[slot.add]->run(pass.stream, gradient, weights(), slot.view.as<>().data,
                                 pass.workspace);
  }

  bool absorb(Layer& next) override {
    if (next.accept_activation(activation_)) activation_ = activations::Linear{};
    return false;
  }

  std::vector<Parameter*> parameters() override {
    std::vector<Parameter*> all;
    if (channels_.empty()) return all;
    channels_.append_bias(all);
    all.push_back(&weights_);  // Darknet: here the weights come before the scales
    channels_.append_scales(all);
    return all;
  }

  void initialise(std::uint64_t seed) override {
    initialise_weights(weights_, seed, context_.index);
    channels_.reset();
  }

  void parameters_changed(const Stream& s, void*) override {
    if (!folded_weights_.empty())
      fold_batch_norm(s, channels_.arrays(activation_, nullptr),
                      {weights_.value.data(), folded_weights_.data(), folded_bias_.data(),
                       connected_.output, weights_.value.size() / connected_.output});
    folded_ = true;
  }

  std::string to_onnx(OnnxBuilder& graph, std::span<const OnnxValue> in) const override {
    const std::int64_t outputs = connected_.output;
    std::vector<std::string> inputs{graph.add("Flatten", {in[0].name})};
    for (std::string& name :
         channels_.add_weights(graph, weights_, {outputs, weights_.value.size() / outputs}))
      inputs.push_back(std::move(name));
    const std::string sums = graph.add("Gemm", inputs, {{"transB", std::int64_t{1}}});
    const std::string x = channels_.add_batch_norm(graph, graph.reshape(sums, {0, outputs, 1, 1}));
    return graph.activate(x, activation_);
  }

  bool fixes_input_size() const override {
    return weights_.value.shape().h * weights_.value.shape().w > 1;
  }

  LayerSummary summary() const override {
    return {.filters = cat(connected_.output),
            .note = std::string(name_of(activation_)),
            .multiply_adds = out_.n * weights_.value.size()};
  }

 private:
  void make_parameters(const Shape& in) {
    const Shape shape{connected_.output, in.h, in.w, in.c};
    checked_size(shape);
    if (channels_.empty()) {
      channels_ = ChannelParameters(*this, connected_.output, connected_.batch_normalize);
      weights_ = make_parameter(*this, Role::weights, shape, false);
    }
    if (weights_.value.shape() != shape)
      fail(title(), ": was made for inputs of ", weights_.value.shape().w, 'x',
           weights_.value.shape().h, " and cannot change to ", in.w, 'x', in.h);
  }

  void make_folded(bool wanted) {
    folded_ = false;
    if (wanted != folded_weights_.empty()) return;
    folded_bias_ = wanted ? Tensor(context_.device, vector_shape(connected_.output)) : Tensor();
    folded_weights_ = wanted ? Tensor(context_.device, weights_.value.shape()) : Tensor();  // last
  }
  bool normalises() const { return channels_.normalised() && folded_weights_.empty(); }
  const float* weights() const {
    return folded_weights_.empty() ? weights_.value.data() : folded_weights_.data();
  }

  // Whether the values before activation or normalisation are needed by backward().
  bool keeps(Mode mode) const {
    return mode == Mode::training && (normalises() || !derivative_from_output(activation_));
  }
  std::int64_t kept_bytes() const { return part_bytes(out_.size() * size_of(DType::f32)); }
  TensorView kept(const Pass& pass) const { return {pass.saved, DType::f32, out_, out_.c}; }
  BatchNorm batch_norm(const Pass& pass) const {
    return channels_.arrays(activation_, part<float>(pass.saved, kept_bytes()));
  }

  void add_bias(const Pass& pass, const TensorView& sum, const TensorView& out) {
    const float* const bias =
        folded_bias_.empty() ? channels_.bias().value.data() : folded_bias_.data();
    if (!keeps(pass.mode)) return activate(pass.stream, activation_, sum, bias, out);
    activate(pass.stream, activations::Linear{}, sum, bias, sum);
    activate(pass.stream, activation_, sum, nullptr, out);
  }

  void backward_channels(const Pass& pass, const BackwardArguments& a) {
    const TensorView& gradient = a.out_gradient;
    if (normalises())
      return batch_norm_backward(
          pass.stream, batch_norm(pass), kept(pass),
          {gradient, channels_.scale_gradient(), channels_.bias_gradient(), true}, pass.workspace);
    const TensorView known = keeps(pass.mode) ? kept(pass) : a.out ? a.out : a.out_gradient;
    if (float* const bias = channels_.bias_gradient())
      activation_bias_backward(pass.stream, activation_, known, gradient, bias, pass.workspace);
    else
      activation_backward(pass.stream, activation_, known, gradient);
  }

  ConnectedKeys connected_;
  Activation activation_;
  Shape out_;
  ChannelParameters channels_;
  Parameter weights_;
  Tensor folded_weights_, folded_bias_;  // frozen with batch normalisation
  bool folded_ = false;                  // whether they have the present parameters
  std::shared_ptr<GemmPlan> forward_, weights_plan_, input_plan_[2];  // [add]
};

}  // namespace

LayerPtr make_connected(Section& section, const LayerContext& context) {
  return std::make_unique<ConnectedLayer>(section, context);
}

void describe_connected(KeyDocs& docs) { docs.add(ConnectedKeys{}); }

}  // namespace darknet
