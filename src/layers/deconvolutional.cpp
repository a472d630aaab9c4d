// [deconvolutional]: transposed convolution (pjreddie's Darknet), batch normalisation, bias and
// activation. It is what the gradient of a convolution from its output to its input is: forward is
// the plan's backward_data, and the gradient of its input the plan's forward.
#include <algorithm>
#include "core/elementwise.h"
#include "core/math.h"
#include "core/parts.h"
#include "kernels/activate.h"
#include "kernels/copy.h"
#include "layers/shared_keys.h"
#include "nn/channel_parameters.h"
#include "nn/onnx_builder.h"

namespace darknet {
namespace {

struct DeconvolutionalKeys {
  std::int64_t filters = 1, size = 1, stride = 1, padding = 0;
  bool pad = false, batch_normalize = false;
  Activation activation = activations::Logistic{};
  template <class V>
  void fields(V&& v) {
    filters_field(v, filters);
    kernel_size_field(v, size);
    v("stride", stride, Integers{1, 255}, "distance of the outputs of neighbouring inputs");
    pad_field(v, pad);
    v("padding", padding, Integers{0, 255},
      "cut off on all sides: the output is (input - 1) * stride + size - 2 * padding wide");
    batch_normalize_field(v, batch_normalize);
    v("activation", activation, Choice<Activation>{}, "function of the result");
  }
};

// The gradient behind a batch normalisation by the rolling statistics.
struct FrozenNormGradient {
  BatchNorm norm;
  struct Channel {
    float factor;
  };
  DN_HD Channel channel(std::int64_t c) const { return {folded_factor(norm, c)}; }
  DN_HD float operator()(const Channel& known, float gradient) const {
    return known.factor * gradient;
  }
};

class DeconvolutionalLayer final : public Layer {
 public:
  DeconvolutionalLayer(Section& section, const LayerContext& context) : Layer(section, context) {
    section.read(keys_of_);
    if (keys_of_.pad) keys_of_.padding = keys_of_.size / 2;
    if (keys_of_.padding >= keys_of_.size)
      section.fail_between({"padding", "size"},
                           cat("padding=", keys_of_.padding, " is not below size=", keys_of_.size,
                               ": outputs at the edges would get no input"));
    activation_ = keys_of_.activation;
  }

  Requirements reshape(std::span<const Shape> in, Ops& ops, const PlanOptions& options) override {
    spec_ = spec(in[0]);
    make_parameters();
    const bool training = options.mode == Mode::training;
    trains_ = training && options.weight_gradient;
    // Frozen, its batch normalisation works as at test time.
    normalises_ = channels_.normalised() && trains_;
    keeps_sum_ = training && (normalises_ || !derivative_from_output(activation_));
    type_ = options.precision;
    PlanOptions plan = options;
    plan.mode = Mode::training;  // which plans backward_data
    plan.input_gradient = true;
    plan.weight_gradient = trains_ && weights_.update;
    plan.int8 = nullptr;
    plan.deterministic |= !training;  // an output, unlike a gradient, is always reproducible
    plan_ = ops.conv(spec_, {}, plan);
    planned_ = {spec_, {}, plan, {}};
    packed_ = false;
    return requirements(plan, training);
  }

  void forward(const Pass& pass, std::span<const TensorView> in, TensorView out) override {
    if (!packed_) parameters_changed(pass.stream, pass.workspace);
    const TensorView sum = keeps_sum_ ? kept(pass) : out;
    plan_->backward_data(pass.stream, in[0], sum, false, pass.workspace);
    if (normalises_)
      return batch_norm_forward(pass.stream, batch_norm(pass), sum, out, pass.workspace);
    const Activation here = keeps_sum_ ? activations::Linear{} : activation_;
    if (channels_.normalised())
      batch_norm_inference(pass.stream, channels_.arrays(here, nullptr), sum, sum);
    else
      activate(pass.stream, here, sum, channels_.bias().value.data(), sum);
    if (keeps_sum_) activate(pass.stream, activation_, sum, nullptr, out);
  }

  void backward(const Pass& pass, const BackwardArguments& a) override {
    if (normalises_)
      batch_norm_backward(
          pass.stream, batch_norm(pass), kept(pass),
          {a.out_gradient, channels_.scale_gradient(), channels_.bias_gradient(), true},
          pass.workspace);
    else
      backward_channels(pass, a);
    if (float* const sum = trains_ ? weights_.summed_gradient() : nullptr)
      plan_->backward_weights(pass.stream, a.out_gradient, a.in[0], sum, pass.workspace);
    if (a.in_gradient[0].view) put_input_gradient(pass, a.out_gradient, a.in_gradient[0]);
  }

  std::vector<Parameter*> parameters() override {
    std::vector<Parameter*> all;
    if (channels_.empty()) return all;
    channels_.append_bias(all);
    channels_.append_scales(all);
    all.push_back(&weights_);
    return all;
  }

  void initialise(std::uint64_t seed) override {
    packed_ = false;
    const auto taps = static_cast<double>(keys_of_.size * keys_of_.size) /
                      static_cast<double>(keys_of_.stride * keys_of_.stride);  // of one output
    initialise_weights(weights_, seed, context_.index,
                       static_cast<double>(spec_.filters) * std::max(taps, 1.));
    channels_.reset();
  }

  void parameters_changed(const Stream& s, void* workspace) override {
    plan_->set_weights(s, weights_.value.data(), workspace);
    packed_ = true;
  }

  bool absorb(Layer& next) override {
    if (next.accept_activation(activation_)) activation_ = activations::Linear{};
    return false;
  }

  std::string to_onnx(OnnxBuilder& graph, std::span<const OnnxValue> in) const override {
    const ConvSpec& s = spec_;
    const Stream stream{.device = context_.device};
    std::vector<std::string> inputs{
        in[0].name,
        graph.floats("weights", {s.filters, s.in.c, s.size_y, s.size_x},
                     in_file_order(weights_.value.shape(), weights_.value.to_host(stream)))};
    if (!channels_.normalised())
      inputs.push_back(graph.floats("bias", {s.in.c}, channels_.bias().value.to_host(stream)));
    std::string x = graph.add("ConvTranspose", inputs,
                              {{"kernel_shape", std::vector{s.size_y, s.size_x}},
                               {"strides", std::vector{s.stride_y, s.stride_x}},
                               {"pads", std::vector{s.pad_y, s.pad_x, s.pad_y, s.pad_x}}});
    if (channels_.normalised()) x = channels_.add_batch_norm_node(graph, x);
    return graph.activate(x, activation_);
  }

  std::optional<ConvolutionWork> planned_convolution() const override {
    ConvolutionWork work = planned_;
    for (std::size_t d = 0; plan_ && d < work.algorithms.size(); ++d)
      work.algorithms[d] = plan_->algorithm(static_cast<ConvDirection>(d));
    work.weights = weights_.value.data();
    return work;
  }

  LayerSummary summary() const override {
    const auto& k = keys_of_;
    return {.filters = cat(k.filters),
            .size = cat(k.size, 'x', k.size, '*', k.stride),
            .note = std::string(name_of(activation_)),
            .multiply_adds = spec_.multiply_adds()};
  }

 private:
  // Of the convolution from the output to the input.
  ConvSpec spec(const Shape& in) const {
    const auto& k = keys_of_;
    const auto extent = [&](std::int64_t n) { return (n - 1) * k.stride + k.size - 2 * k.padding; };
    if (extent(in.h) < 1 || extent(in.w) < 1)
      fail(title(), ": padding=", k.padding, " cuts off all of its output; its input is ", in.w,
           'x', in.h, ": give a smaller padding=, or a larger input");
    return {.in = {in.n, extent(in.h), extent(in.w), k.filters},
            .filters = in.c,
            .size_y = k.size,
            .size_x = k.size,
            .stride_y = k.stride,
            .stride_x = k.stride,
            .pad_y = k.padding,
            .pad_x = k.padding};
  }

  void make_parameters() {
    if (!channels_.empty()) return;
    channels_ = ChannelParameters(*this, keys_of_.filters, keys_of_.batch_normalize);
    weights_ = make_parameter(*this, Role::weights,
                              {spec_.filters, spec_.size_y, spec_.size_x, spec_.in.c}, false);
    weights_.transposed = true;
  }

  Requirements requirements(const PlanOptions& plan, bool training) {
    Requirements r{.output = spec_.in, .packed_weights = plan_->packed_weights()};
    Parts parts;
    parts.take(plan_->workspace());
    in_gradient_at_ = parts.take(training ? in_shape().size() * size_of(type_) : 0);
    r.workspace = parts.total();
    if (training)
      r.workspace =
          std::max({r.workspace, batch_norm_scratch(r.output), activation_bias_scratch(r.output)});
    r.needs_input = plan.weight_gradient;
    r.needs_output = !keeps_sum_ && !is_linear(activation_);
    if (keeps_sum_) r.saved = kept_bytes() + ChannelParameters::kept_bytes(r.output.c);
    return r;
  }

  Shape in_shape() const { return spec_.out(); }
  std::int64_t kept_bytes() const { return part_bytes(spec_.in.size() * size_of(type_)); }
  // What comes before the normalisation by the batch's statistics, or before the activation.
  TensorView kept(const Pass& pass) const { return {pass.saved, type_, spec_.in, spec_.in.c}; }
  BatchNorm batch_norm(const Pass& pass) const {
    return channels_.arrays(activation_, part<float>(pass.saved, kept_bytes()));
  }

  void backward_channels(const Pass& pass, const BackwardArguments& a) const {
    const TensorView& gradient = a.out_gradient;
    // A linear activation asks for nothing: any view of the right shape will do.
    const TensorView known = keeps_sum_ ? kept(pass) : a.out ? a.out : gradient;
    if (float* const bias = trains_ ? channels_.bias_gradient() : nullptr)
      return activation_bias_backward(pass.stream, activation_, known, gradient, bias,
                                      pass.workspace);
    activation_backward(pass.stream, activation_, known, gradient);
    if (!channels_.normalised()) return;
    const FrozenNormGradient frozen{channels_.arrays(activation_, nullptr)};
    with_element(gradient.dtype, [&](auto element) {
      using T = decltype(element);
      map_pixels(pass.stream, frozen, gradient.as<T>(), input<T>(gradient));
    });
  }

  void put_input_gradient(const Pass& pass, const TensorView& gradient,
                          const GradientSlot& slot) const {
    TensorView to = slot.view;
    if (slot.add)
      to = {part(pass.workspace, in_gradient_at_), type_, slot.view.shape, slot.view.shape.c};
    plan_->forward(pass.stream, gradient, nullptr, to, pass.workspace);
    if (slot.add) put_pixels(pass.stream, to, slot.view, true);
  }

  DeconvolutionalKeys keys_of_;
  Activation activation_;
  ConvSpec spec_;
  ChannelParameters channels_;
  Parameter weights_;  // {input channels, size, size, filters}
  std::shared_ptr<ConvPlan> plan_;
  ConvolutionWork planned_;
  DType type_ = DType::f32;
  std::int64_t in_gradient_at_ = 0;  // in the workspace, after the plan's
  bool trains_ = false;
  bool normalises_ = false;  // by the batch's statistics
  bool keeps_sum_ = false;
  bool packed_ = false;  // whether the plan has the present weights
};

}  // namespace

LayerPtr make_deconvolutional(Section& section, const LayerContext& context) {
  return std::make_unique<DeconvolutionalLayer>(section, context);
}

void describe_deconvolutional(KeyDocs& docs) { docs.add(DeconvolutionalKeys{}); }

}  // namespace darknet
