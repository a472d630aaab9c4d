// [convolutional]: convolution, batch normalisation, bias and activation. When training, the
// convolution's result z is kept and one launch normalises, scales and activates it; at inference
// all of it is folded into the plan. Activations over channels and antialiasing= follow as stages
// of their own (layers/output_stage.h).
#include <algorithm>
#include "core/parts.h"
#include "kernels/activate.h"
#include "layers/channel_activation.h"
#include "layers/output_stage.h"
#include "layers/shared_keys.h"
#include "nn/channel_parameters.h"
#include "nn/layer_index.h"
#include "nn/onnx_builder.h"

namespace darknet {
namespace {

struct ConvolutionalKeys {
  std::int64_t filters = 1, size = 1, stride = 1, stride_x = 0, stride_y = 0, groups = 1;
  std::int64_t dilation = 1, padding = 0;
  bool pad = false, batch_normalize = false, grad_centr = false;
  ConvolutionalActivation activation = activations::Logistic{};
  std::vector<std::int64_t> share_index;
  template <class V>
  void fields(V&& v) {
    filters_field(v, filters);
    kernel_size_field(v, size);
    kernel_stride_field(v, stride);
    v("stride_x", stride_x, Integers{0, 255}, "step to the right; 0: stride");
    v("stride_y", stride_y, Integers{0, 255}, "step down; 0: stride");
    v("groups", groups, Integers{1, 1 << 20}, "parts of the channels that do not mix");
    v("dilation", dilation, Integers{1, 255}, "distance of the kernel's taps");
    pad_field(v, pad);
    v("padding", padding, Integers{0, 255}, "zeros around the input, times dilation");
    batch_normalize_field(v, batch_normalize);
    v("grad_centr", grad_centr, TrainingOnly{Flag{}},
      "with batch_normalize: the mean of each filter's gradients is taken away from them");
    v("activation", activation, Choice<ConvolutionalActivation>{},
      "function of the result; normalize_channels...: of all channels of a pixel");
    v("share_index", share_index, ListOf<std::int64_t>{},
      "an earlier [convolutional] whose parameters it uses; negative: counted back");
  }
};

class ConvolutionalLayer final : public Layer {
 public:
  ConvolutionalLayer(Section& section, const LayerContext& context) : Layer(section, context) {
    section.read(keys_of_);
    // Darknet: cross-iteration batch normalisation; at inference it is the ordinary one.
    keys_of_.batch_normalize |= section.has("cbn") && !section.equals("cbn", 0);
    if (keys_of_.grad_centr && !keys_of_.batch_normalize && section.training())
      section.ignore("grad_centr", "has no effect without batch_normalize=1, as in Darknet");
    if (keys_of_.stride_x == 0) keys_of_.stride_x = keys_of_.stride;
    if (keys_of_.stride_y == 0) keys_of_.stride_y = keys_of_.stride;
    if (keys_of_.pad) keys_of_.padding = keys_of_.size / 2;
    if (keys_of_.size == 1) keys_of_.dilation = 1;
    if (keys_of_.filters % keys_of_.groups != 0)
      section.fail_between({"groups", "filters"}, cat("filters=", keys_of_.filters,
                                                      " is not a multiple of ", keys_of_.groups));
    activation_ = by_element(keys_of_.activation);
    if (keys_of_.share_index.size() > 1) section.fail("share_index", "expected one layer");
    if (keys_of_.share_index.empty()) return;
    shares_ = layer_index(section, "share_index", keys_of_.share_index[0], context);
    share_where_ = section.where_of("share_index");
    const std::string why = cat("no effect: layer ", shares_, " has the parameters (share_index)");
    for (const char* key : {"dontload", "dontloadscales"}) section.ignore(key, why);
    if (!section.training()) return;
    for (const char* key : {"learning_rate", "clip", "train_only_bn", "grad_centr"})
      section.ignore(key, why);
  }

  // What follows it; null: nothing. Before the first reshape.
  std::unique_ptr<OutputStage> channel_activation() const {
    return over_channels(keys_of_.activation);
  }
  // The steps, which become 1.
  Strides take_strides() {
    const Strides strides{keys_of_.stride_y, keys_of_.stride_x};
    keys_of_.stride_y = keys_of_.stride_x = 1;
    return strides;
  }

  Requirements reshape(std::span<const Shape> in, Ops& ops, const PlanOptions& options) override {
    spec_ = spec(in[0]);
    out_ = spec_.out();
    if (owner_ || channels_.empty()) make_parameters();
    const bool training = options.mode == Mode::training;
    // Frozen, its batch normalisation works as at test time: gradients pass the folded weights.
    const bool folds = channels().normalised() && (!training || !options.weight_gradient);
    normalises_ = channels().normalised() && !folds;
    trains_ = training && options.weight_gradient;
    keeps_sum_ = training && !normalises_ && !derivative_from_output(activation_);
    kept_type_ = options.output();
    PlanOptions plan = options;
    plan.weight_gradient &= weights().update;
    plan_ = ops.conv(spec_, epilogue(), plan);
    planned_ = {spec_, epilogue(), plan, {}};
    planned_.options.int8 = nullptr;  // what it is measured against, and tuned as
    planned_.options.integer_output = nullptr;
    if (plan.precision == DType::u8) planned_.options.precision = DType::f32;
    packed_ = false;
    make_folded(folds);
    return requirements(plan);
  }

  void forward(const Pass& pass, std::span<const TensorView> in, TensorView out) override {
    if (!packed_) parameters_changed(pass.stream, pass.workspace);
    if (normalises_) {
      plan_->forward(pass.stream, in[0], nullptr, kept(pass), pass.workspace);
      batch_norm_forward(pass.stream, batch_norm(pass), kept(pass), out, pass.workspace);
    } else {
      forward_with_bias(pass, in[0], out);
    }
  }

  void backward(const Pass& pass, const BackwardArguments& a) override {
    const GradientSlot& slot = a.in_gradient[0];
    const bool below = weights_gradient() || slot.view;
    if (normalises_)
      batch_norm_backward(
          pass.stream, batch_norm(pass), kept(pass),
          {a.out_gradient, channels().scale_gradient(), channels().bias_gradient(), below},
          pass.workspace);
    else
      backward_bias(pass, a);
    if (weights_gradient() && slot.view)
      plan_->backward(pass.stream, a.in[0], a.out_gradient, weights_gradient(), slot.view, slot.add,
                      pass.workspace);
    else if (weights_gradient())
      plan_->backward_weights(pass.stream, a.in[0], a.out_gradient, weights_gradient(),
                              pass.workspace);
    else if (slot.view)
      plan_->backward_data(pass.stream, a.out_gradient, slot.view, slot.add, pass.workspace);
  }

  std::vector<Parameter*> parameters() override {
    std::vector<Parameter*> all;
    if (owner_ || channels_.empty()) return all;
    channels().append_bias(all);
    channels().append_scales(all);
    all.push_back(&weights());
    return all;
  }

  void initialise(std::uint64_t seed) override {
    packed_ = false;
    if (owner_) return;
    initialise_weights(weights_, seed, context_.index);
    channels_.reset();
  }

  std::int64_t shares() const override { return shares_; }
  void share(Layer& owner, const Section& section) override {
    owner_ = dynamic_cast<ConvolutionalLayer*>(&without_output_stage(owner));
    if (!owner_)
      section.fail("share_index",
                   cat("layer ", owner.context().index, " is [", owner.type(),
                       "] and no [convolutional]; name one, counted from 0 after [net]"));
    if (owner_->owner_) owner_ = owner_->owner_;
    shares_ = owner_->context().index;  // not the next one of a chain
  }

  void parameters_changed(const Stream& s, void* workspace) override {
    const float* values = weights().value.data();
    if (!folded_weights_.empty()) {
      fold_batch_norm(s, channels().arrays(activation_, nullptr),
                      {values, folded_weights_.data(), folded_bias_.data(), spec_.filters,
                       spec_.weights() / spec_.filters});
      values = folded_weights_.data();
    }
    plan_->set_weights(s, values, workspace);
    packed_ = true;
  }

  bool writes_f32() const override { return true; }

  bool absorb(Layer& next) override {
    if (next.accept_activation(activation_)) activation_ = activations::Linear{};
    return false;
  }

  std::string to_onnx(OnnxBuilder& graph, std::span<const OnnxValue> in) const override {
    const ConvSpec& s = spec_;
    std::vector<std::string> inputs{in[0].name};
    for (std::string& name : channels().add_weights(
             graph, weights(), {s.filters, s.in.c / s.groups, s.size_y, s.size_x}))
      inputs.push_back(std::move(name));
    const std::string x = graph.add("Conv", inputs,
                                    {{"kernel_shape", std::vector{s.size_y, s.size_x}},
                                     {"strides", std::vector{s.stride_y, s.stride_x}},
                                     {"pads", std::vector{s.pad_y, s.pad_x, s.pad_y, s.pad_x}},
                                     {"dilations", std::vector{s.dilation, s.dilation}},
                                     {"group", s.groups}});
    return graph.activate(channels().add_batch_norm(graph, x), activation_);
  }

  LayerSummary summary() const override {
    const auto& k = keys_of_;
    std::string size = cat(k.size, 'x', k.size, '/', k.stride_x);
    if (k.stride_y != k.stride_x) size += cat('x', k.stride_y);
    return {.filters = cat(k.filters),
            .size = size,
            .note = note(),
            .multiply_adds = spec_.multiply_adds()};
  }

  std::optional<ConvolutionWork> convolution() const override {
    ConvolutionWork work = planned_;  // algorithms as they are now: one may have failed when it ran
    for (std::size_t d = 0; plan_ && d < work.algorithms.size(); ++d)
      work.algorithms[d] = plan_->algorithm(static_cast<ConvDirection>(d));
    work.weights = folded_weights_.empty() ? weights().value.data() : folded_weights_.data();
    return work;
  }

 private:
  ChannelParameters& channels() { return owner_ ? owner_->channels_ : channels_; }
  const ChannelParameters& channels() const { return owner_ ? owner_->channels_ : channels_; }
  Parameter& weights() { return owner_ ? owner_->weights_ : weights_; }
  const Parameter& weights() const { return owner_ ? owner_->weights_ : weights_; }

  void require_same_shape() const {
    const Shape own{spec_.filters, spec_.size_y, spec_.size_x, spec_.in.c / spec_.groups};
    if (own != weights().value.shape() || keys_of_.batch_normalize != channels().normalised())
      fail(title(), ": share_index (", to_string(share_where_), "): its weights are ",
           to_string(own), " and those of layer ", owner_->context().index, ' ',
           to_string(weights().value.shape()),
           "; both need the same filters, size, groups, input channels and batch_normalize");
  }

  ConvSpec spec(const Shape& in) const {
    const auto& k = keys_of_;
    if (in.c % k.groups != 0)
      fail(title(), ": groups=", k.groups, " does not divide its ", in.c, " input channels");
    return {.in = in,
            .filters = k.filters,
            .groups = k.groups,
            .size_y = k.size,
            .size_x = k.size,
            .stride_y = k.stride_y,
            .stride_x = k.stride_x,
            .dilation = k.dilation,
            .pad_y = k.padding * k.dilation,  // Darknet: im2col is given pad * dilation
            .pad_x = k.padding * k.dilation};
  }

  Epilogue epilogue() const {
    if (normalises_) return {};
    return {.bias = true, .activation = keeps_sum_ ? activations::Linear{} : activation_};
  }

  void make_parameters() {
    if (owner_) return require_same_shape();
    channels_ = ChannelParameters(*this, spec_.filters, keys_of_.batch_normalize);
    weights_ = make_parameter(
        *this, Role::weights,
        {spec_.filters, spec_.size_y, spec_.size_x, spec_.in.c / spec_.groups}, false);
    weights_.centred_gradient = keys_of_.grad_centr && keys_of_.batch_normalize;
  }

  void make_folded(bool wanted) {
    if (wanted != folded_weights_.empty()) return;
    folded_bias_ = wanted ? Tensor(context_.device, vector_shape(spec_.filters)) : Tensor();
    folded_weights_ = wanted ? Tensor(context_.device, weights().value.shape()) : Tensor();  // last
  }

  Requirements requirements(const PlanOptions& plan) const {
    Requirements r{
        .output = out_, .workspace = plan_->workspace(), .packed_weights = plan_->packed_weights()};
    r.needs_input = plan.weight_gradient;
    r.needs_output = !normalises_ && !keeps_sum_ && !is_linear(activation_);
    if (normalises_ || keeps_sum_) r.saved = kept_bytes();
    if (normalises_) r.saved += ChannelParameters::kept_bytes(out_.c);
    if (plan.mode == Mode::training)
      r.workspace = std::max(
          r.workspace, normalises_ ? batch_norm_scratch(out_) : activation_bias_scratch(out_));
    return r;
  }

  std::int64_t kept_bytes() const { return part_bytes(out_.size() * size_of(kept_type_)); }
  // z with batch normalisation; z + bias where the activation's derivative needs it.
  TensorView kept(const Pass& pass) const { return {pass.saved, kept_type_, out_, out_.c}; }
  BatchNorm batch_norm(const Pass& pass) const {
    return channels().arrays(activation_, part<float>(pass.saved, kept_bytes()));
  }
  // Null where this layer or the owner of its parameters is frozen.
  float* weights_gradient() const { return trains_ ? weights().summed_gradient() : nullptr; }
  float* bias_gradient() const { return trains_ ? channels().bias_gradient() : nullptr; }

  void forward_with_bias(const Pass& pass, const TensorView& in, const TensorView& out) {
    const float* const bias =
        folded_bias_.empty() ? channels().bias().value.data() : folded_bias_.data();
    const TensorView sum = keeps_sum_ ? kept(pass) : out;
    plan_->forward(pass.stream, in, bias, sum, pass.workspace);
    activate_rest(pass.stream, epilogue(), plan_->fused(), sum, bias);
    if (keeps_sum_) activate(pass.stream, activation_, sum, nullptr, out);
  }

  void backward_bias(const Pass& pass, const BackwardArguments& a) {
    // A linear activation asks for nothing: any view of the right shape will do.
    const TensorView known = keeps_sum_ ? kept(pass) : a.out ? a.out : a.out_gradient;
    const TensorView& gradient = a.out_gradient;
    if (float* const bias = bias_gradient())
      activation_bias_backward(pass.stream, activation_, known, gradient, bias, pass.workspace);
    else
      activation_backward(pass.stream, activation_, known, gradient);
  }

  std::string note() const {
    std::string text(name_of(activation_));
    if (keys_of_.groups > 1) text += cat(", ", keys_of_.groups, " groups");
    if (keys_of_.dilation > 1) text += cat(", dilation ", keys_of_.dilation);
    return text;
  }

  ConvolutionalKeys keys_of_;
  std::int64_t shares_ = -1;
  Where share_where_;  // of share_index
  Activation activation_;
  ConvSpec spec_;
  Shape out_;
  ConvolutionalLayer* owner_ = nullptr;  // share_index: of the parameters
  ChannelParameters channels_;
  Parameter weights_;
  Tensor folded_weights_, folded_bias_;  // batch normalisation at inference, or frozen
  std::shared_ptr<ConvPlan> plan_;
  ConvolutionWork planned_;
  DType kept_type_ = DType::f32;
  bool normalises_ = false;  // by the batch's statistics
  bool trains_ = false;      // its parameters, own or shared
  bool keeps_sum_ = false;   // without batch normalisation: the activation's input
  bool packed_ = false;      // whether the plan has the present weights
};

}  // namespace

LayerPtr make_convolutional(Section& section, const LayerContext& context) {
  AntialiasingKeys keys;
  section.read(keys);
  auto convolution = std::make_unique<ConvolutionalLayer>(section, context);
  std::unique_ptr<OutputStage> activation = convolution->channel_activation(), blur;
  if (keys.antialiasing > 0) blur = make_blur(keys.antialiasing, convolution->take_strides());
  LayerPtr layer = std::move(convolution);
  for (auto* stage : {&activation, &blur})
    if (*stage) layer = with_output_stage(std::move(layer), std::move(*stage), section, context);
  return layer;
}

void describe_convolutional(KeyDocs& docs) {
  docs.add(ConvolutionalKeys{});
  docs.add(AntialiasingKeys{});
}

}  // namespace darknet
