#include <algorithm>
#include <string_view>
#include <vector>

#include "cpu/onednn.h"
#include "cpu/plans.h"
#include "cpu/reorder.h"

namespace darknet {
namespace {

using namespace onednn;
using dnnl::algorithm;

enum class Way : std::uint8_t { forward, backward_data, backward_weights };

bool wide_vectors() { return dnnl::get_effective_cpu_isa() >= dnnl::cpu_isa::avx512_core; }

// Multiply-adds per value moved by a change of layout.
std::int64_t intensity(const ConvSpec& s) {
  return s.in.c / s.groups * s.filters * s.size_y * s.size_x / (s.in.c + s.filters);
}

// Whether to leave NHWC inside the plan for the library's blocked layouts. Measured on two cores of
// Zen 3 (AVX2) with the layers of yolov3-tiny: blocked backward-weights is up to twice as fast,
// blocked forward 15-20 % where a layer computes enough to pay for moving its tensors;
// backward-data and 1x1 kernels are as fast in NHWC. With AVX-512 NHWC is within 5 % everywhere.
bool prefer_blocked(const ConvSpec& s, Way way) {
  if (wide_vectors() || s.in.c / s.groups < 8 || s.filters / s.groups < 8) return false;
  const bool one = s.size_y * s.size_x == 1;
  if (way == Way::backward_weights) return !one || intensity(s) < 200;
  return way == Way::forward && !one && intensity(s) >= 300;
}

// Winograd F(4x4, 3x3) nearly halves the work where the library offers it (AVX-512); it loses on
// the first layer and on small batches, and takes no fused activation.
bool try_winograd(const ConvSpec& s, const PlanOptions& o) {
  return wide_vectors() && !o.exact && o.mode == Mode::training && s.in.n >= 8 && s.in.c >= 16 &&
         s.groups == 1 && s.size_y == 3 && s.size_x == 3 && s.stride_y == 1 && s.stride_x == 1 &&
         s.dilation == 1;
}

std::optional<std::pair<algorithm, float>> eltwise(Activation a) {
  switch (a) {
    case Activation::linear:
      return std::nullopt;
    case Activation::leaky:
      return {{algorithm::eltwise_relu, .1f}};
    case Activation::relu:
      return {{algorithm::eltwise_relu, 0.f}};
    case Activation::logistic:
      return {{algorithm::eltwise_logistic, 0.f}};
    case Activation::tanh:
      return {{algorithm::eltwise_tanh, 0.f}};
    case Activation::mish:
      return {{algorithm::eltwise_mish, 0.f}};
    case Activation::swish:
      return {{algorithm::eltwise_swish, 1.f}};
  }
  return std::nullopt;
}

Geometry geometry_of(const ConvSpec& s) {
  const Dims pad{s.pad_y, s.pad_x};
  return {{s.stride_y, s.stride_x}, {s.dilation - 1, s.dilation - 1}, pad, pad};
}

Dims weight_dims(const ConvSpec& s) {
  const std::int64_t in = s.in.c / s.groups;
  if (s.groups == 1) return {s.filters, in, s.size_y, s.size_x};
  return {s.groups, s.filters / s.groups, in, s.size_y, s.size_x};
}

// OHWI, the layout of parameters in memory.
Desc user_weights(const ConvSpec& s) {
  const std::int64_t in = s.in.c / s.groups, row = s.size_x * in, filter = s.size_y * row;
  Dims strides = s.groups == 1 ? Dims{filter, 1, row, in}
                               : Dims{s.filters / s.groups * filter, filter, 1, row, in};
  return {weight_dims(s), dnnl::memory::data_type::f32, strides};
}

ConvTensors tensors_of(const ConvSpec& s, Tag layout, bool bias) {
  const auto f32 = dnnl::memory::data_type::f32;
  ConvTensors t;
  t.source = Desc(dims(s.in), f32, layout);
  t.weights = Desc(weight_dims(s), f32, Tag::any);
  t.destination = Desc(dims(s.out()), f32, layout);
  if (bias) t.bias = Desc({s.filters}, f32, Tag::a);
  return t;
}

std::string about(const ConvSpec& s) {
  return cat(to_string(s.in), " * ", s.filters, "x", s.size_y, "x", s.size_x, "/", s.stride_y,
             " groups ", s.groups);
}

bool is_reference(const char* name) { return std::string_view(name).starts_with("ref"); }

// The order in which layouts are tried; the first that is not the library's reference code wins.
std::vector<std::pair<algorithm, Tag>> candidates(const ConvSpec& s, Way way,
                                                  const PlanOptions& o) {
  std::vector<std::pair<algorithm, Tag>> list;
  if (try_winograd(s, o)) list.push_back({algorithm::convolution_winograd, Tag::any});
  const bool blocked = prefer_blocked(s, way);
  for (const Tag tag : {blocked ? Tag::any : Tag::nhwc, blocked ? Tag::nhwc : Tag::any, Tag::nchw})
    list.push_back({algorithm::convolution_direct, tag});
  return list;
}

template <class Make>
auto choose(const ConvSpec& s, Way way, const PlanOptions& o, const char* call, Make make) {
  std::optional<decltype(make(algorithm::convolution_direct, Tag::any))> reference;
  std::string why = "no implementation";
  for (const auto& [algorithm, layout] : candidates(s, way, o)) {
    try {
      auto pd = make(algorithm, layout);
      if (!is_reference(pd.impl_info_str())) return pd;
      if (!reference) reference = pd;
    } catch (const dnnl::error& e) {
      why = e.what();
    }
  }
  if (!reference) fail("oneDNN ", call, " (", about(s), "): ", why);
  return *reference;
}

dnnl::memory memory_at(const Desc& d, const void* p) { return {d, engine(), const_cast<void*>(p)}; }

class CpuConvPlan final : public ConvPlan {
 public:
  CpuConvPlan(const ConvSpec& spec, const Epilogue& epilogue, const PlanOptions& options);

  Epilogue fused() const override { return fused_; }
  std::int64_t workspace() const override { return workspace_; }
  std::string description() const override { return description_; }
  void set_weights(const Stream&, const float* weights, void* workspace) override;
  void forward(const Stream&, TensorView in, const float* bias, TensorView out,
               void* workspace) override;
  void backward_data(const Stream&, TensorView out_gradient, TensorView in_gradient, bool add,
                     void* workspace) override;
  void backward_weights(const Stream&, TensorView in, TensorView out_gradient,
                        float* weight_gradient, void* workspace) override;

 private:
  // One direction: the primitive, and the layouts it wants for what comes in and goes out.
  struct Direction {
    std::optional<dnnl::primitive> primitive;
    Desc source, weights, destination, scratch;
    std::int64_t source_at = 0, weights_at = 0, destination_at = 0, scratch_at = 0;
  };
  template <class Pd>
  Direction direction(const Pd& pd, const char* name, Desc source, Desc weights, Desc destination);
  void note(const char* name, const char* implementation);
  dnnl::convolution_forward::primitive_desc make_forward();
  void make_backward_data(const dnnl::convolution_forward::primitive_desc& hint);
  void make_backward_weights(const dnnl::convolution_forward::primitive_desc& hint);
  dnnl::primitive_attr attributes() const;
  const void* bring(const Reorder& reorder, const void* from, void* workspace,
                    std::int64_t area) const;

  ConvSpec spec_;
  PlanOptions options_;
  Epilogue fused_;
  Geometry geometry_;
  Desc user_source_, user_weights_, user_destination_;
  Direction forward_, data_, weights_;
  Reorder forward_in_, forward_out_, data_in_, data_out_, data_add_, weights_source_,
      weights_destination_, weights_out_;
  Reorder pack_forward_, pack_data_;
  Buffer packed_forward_, packed_data_;
  std::int64_t workspace_ = 0, reorder_scratch_at_ = 0;
  std::string description_;
};

void CpuConvPlan::note(const char* name, const char* implementation) {
  description_ += cat(description_.empty() ? "" : ", ", name, " ", implementation);
}

template <class Pd>
CpuConvPlan::Direction CpuConvPlan::direction(const Pd& pd, const char* name, Desc source,
                                              Desc weights, Desc destination) {
  note(name, pd.impl_info_str());
  Direction d{.source = source,
              .weights = weights,
              .destination = destination,
              .scratch = pd.scratchpad_desc()};
  Areas areas;
  d.source_at =
      areas.take(source == user_source_ ? 0 : static_cast<std::int64_t>(source.get_size()));
  d.weights_at = areas.take(static_cast<std::int64_t>(weights.get_size()));
  d.destination_at = areas.take(
      destination == user_destination_ ? 0 : static_cast<std::int64_t>(destination.get_size()));
  d.scratch_at = areas.take(static_cast<std::int64_t>(d.scratch.get_size()));
  workspace_ = std::max(workspace_, areas.total());
  return d;
}

dnnl::primitive_attr CpuConvPlan::attributes() const {
  dnnl::primitive_attr attr = plain_attributes();
  const auto op = eltwise(fused_.activation);
  if (!op) return attr;
  dnnl::post_ops ops;
  append_eltwise(ops, op->first, op->second);
  attr.set_post_ops(ops);
  return attr;
}

dnnl::convolution_forward::primitive_desc CpuConvPlan::make_forward() {
  const auto kind = options_.mode == Mode::training ? dnnl::prop_kind::forward_training
                                                    : dnnl::prop_kind::forward_inference;
  auto pd = choose(spec_, Way::forward, options_, "convolution", [&](algorithm a, Tag layout) {
    return conv_forward(kind, a, tensors_of(spec_, layout, fused_.bias), geometry_, attributes());
  });
  forward_ = direction(pd, "forward", pd.src_desc(), pd.weights_desc(), pd.dst_desc());
  forward_.primitive.emplace(dnnl::convolution_forward(pd));
  forward_in_ = Reorder(user_source_, forward_.source);
  forward_out_ = Reorder(forward_.destination, user_destination_);
  pack_forward_ = Reorder(user_weights_, forward_.weights);
  if (pack_forward_.needed())
    packed_forward_ = Buffer({}, static_cast<std::int64_t>(forward_.weights.get_size()));
  return pd;
}

void CpuConvPlan::make_backward_data(const dnnl::convolution_forward::primitive_desc& hint) {
  const auto pd =
      choose(spec_, Way::backward_data, options_, "backward data", [&](algorithm a, Tag layout) {
        return conv_backward_data(a, tensors_of(spec_, layout, false), geometry_, hint);
      });
  data_ = direction(pd, "backward data", pd.diff_src_desc(), pd.weights_desc(), pd.diff_dst_desc());
  data_.primitive.emplace(dnnl::convolution_backward_data(pd));
  data_in_ = Reorder(user_destination_, data_.destination);
  data_out_ = Reorder(data_.source, user_source_);
  data_add_ = Reorder(data_.source, user_source_, true);
  if (!data_out_.needed()) {  // adding needs a place of its own for the result
    data_.source_at = (workspace_ + 63) / 64 * 64;
    workspace_ = data_.source_at + static_cast<std::int64_t>(data_.source.get_size());
  }
  pack_data_ = Reorder(user_weights_, data_.weights);
  if (pack_data_.needed())
    packed_data_ = Buffer({}, static_cast<std::int64_t>(data_.weights.get_size()));
}

void CpuConvPlan::make_backward_weights(const dnnl::convolution_forward::primitive_desc& hint) {
  const auto pd = choose(
      spec_, Way::backward_weights, options_, "backward weights", [&](algorithm a, Tag layout) {
        return conv_backward_weights(a, tensors_of(spec_, layout, false), geometry_, hint);
      });
  weights_ =
      direction(pd, "backward weights", pd.src_desc(), pd.diff_weights_desc(), pd.diff_dst_desc());
  weights_.primitive.emplace(dnnl::convolution_backward_weights(pd));
  weights_source_ = Reorder(user_source_, weights_.source);
  weights_destination_ = Reorder(user_destination_, weights_.destination);
  weights_out_ = Reorder(weights_.weights, user_weights_, true);
}

CpuConvPlan::CpuConvPlan(const ConvSpec& spec, const Epilogue& epilogue, const PlanOptions& options)
    : spec_(spec),
      options_(options),
      fused_{.bias = epilogue.bias, .activation = epilogue.activation},
      geometry_(geometry_of(spec)),
      user_source_(nhwc(spec.in)),
      user_weights_(user_weights(spec)),
      user_destination_(nhwc(spec.out())) {
  if (try_winograd(spec, options) && epilogue.activation != Activation::linear)
    fused_.activation = Activation::linear;
  checked("convolution", about(spec), [&] {
    const auto hint = make_forward();
    if (options.mode != Mode::training) return;
    if (options.input_gradient) make_backward_data(hint);
    if (options.weight_gradient) make_backward_weights(hint);
  });
  reorder_scratch_at_ = (workspace_ + 63) / 64 * 64;
  std::int64_t most = 0;
  for (const Reorder* r :
       {&forward_in_, &forward_out_, &data_in_, &data_out_, &data_add_, &weights_source_,
        &weights_destination_, &weights_out_, &pack_forward_, &pack_data_})
    most = std::max(most, r->scratch_bytes());
  workspace_ = reorder_scratch_at_ + most;
}

const void* CpuConvPlan::bring(const Reorder& reorder, const void* from, void* workspace,
                               std::int64_t area) const {
  if (!reorder.needed()) return from;
  reorder.run(from, at(workspace, area), at(workspace, reorder_scratch_at_));
  return at(workspace, area);
}

void require_dense(const TensorView& v) {
  if (!v.contiguous()) fail("a convolution of a slice of channels");
}

void CpuConvPlan::set_weights(const Stream&, const float* weights, void* workspace) {
  void* const scratch = at(workspace, reorder_scratch_at_);
  checked("reorder of weights", about(spec_), [&] {
    for (const auto& [pack, buffer, desc] :
         {std::tuple{&pack_forward_, &packed_forward_, &forward_.weights},
          {&pack_data_, &packed_data_, &data_.weights}}) {
      if (!pack->needed() && !is_empty(*desc) && buffer->bytes() == 0)
        *buffer = Buffer({}, static_cast<std::int64_t>(desc->get_size()));
      if (pack->needed())
        pack->run(weights, buffer->data(), scratch);
      else if (buffer->bytes() > 0)
        memory(DeviceType::cpu)
            .copy({}, buffer->data(), weights, static_cast<std::size_t>(buffer->bytes()));
    }
    stream().wait();
  });
}

void CpuConvPlan::forward(const Stream&, TensorView in, const float* bias, TensorView out,
                          void* workspace) {
  require_dense(in), require_dense(out);
  checked("convolution", about(spec_), [&] {
    const void* source = bring(forward_in_, in.data, workspace, forward_.source_at);
    void* const destination =
        forward_out_.needed() ? at(workspace, forward_.destination_at) : out.data;
    std::unordered_map<int, dnnl::memory> arguments{
        {DNNL_ARG_SRC, memory_at(forward_.source, source)},
        {DNNL_ARG_WEIGHTS, memory_at(forward_.weights, packed_forward_.data())},
        {DNNL_ARG_DST, memory_at(forward_.destination, destination)},
        {DNNL_ARG_SCRATCHPAD, memory_at(forward_.scratch, at(workspace, forward_.scratch_at))}};
    if (fused_.bias)
      arguments.insert(
          {DNNL_ARG_BIAS,
           memory_at(Desc({spec_.filters}, dnnl::memory::data_type::f32, Tag::a), bias)});
    forward_.primitive->execute(stream(), arguments);
    if (forward_out_.needed())
      forward_out_.run(destination, out.data, at(workspace, reorder_scratch_at_));
    stream().wait();
  });
}

void CpuConvPlan::backward_data(const Stream&, TensorView out_gradient, TensorView in_gradient,
                                bool add, void* workspace) {
  require_dense(out_gradient), require_dense(in_gradient);
  checked("backward data", about(spec_), [&] {
    const void* destination = bring(data_in_, out_gradient.data, workspace, data_.destination_at);
    const bool apart = add || data_out_.needed();
    void* const source = apart ? at(workspace, data_.source_at) : in_gradient.data;
    data_.primitive->execute(
        stream(),
        {{DNNL_ARG_DIFF_DST, memory_at(data_.destination, destination)},
         {DNNL_ARG_WEIGHTS, memory_at(data_.weights, packed_data_.data())},
         {DNNL_ARG_DIFF_SRC, memory_at(data_.source, source)},
         {DNNL_ARG_SCRATCHPAD, memory_at(data_.scratch, at(workspace, data_.scratch_at))}});
    if (apart)
      (add ? data_add_ : data_out_)
          .run(source, in_gradient.data, at(workspace, reorder_scratch_at_));
    stream().wait();
  });
}

void CpuConvPlan::backward_weights(const Stream&, TensorView in, TensorView out_gradient,
                                   float* weight_gradient, void* workspace) {
  require_dense(in), require_dense(out_gradient);
  checked("backward weights", about(spec_), [&] {
    const void* source = bring(weights_source_, in.data, workspace, weights_.source_at);
    const void* destination =
        bring(weights_destination_, out_gradient.data, workspace, weights_.destination_at);
    void* const result = at(workspace, weights_.weights_at);
    weights_.primitive->execute(
        stream(),
        {{DNNL_ARG_SRC, memory_at(weights_.source, source)},
         {DNNL_ARG_DIFF_DST, memory_at(weights_.destination, destination)},
         {DNNL_ARG_DIFF_WEIGHTS, memory_at(weights_.weights, result)},
         {DNNL_ARG_SCRATCHPAD, memory_at(weights_.scratch, at(workspace, weights_.scratch_at))}});
    weights_out_.run(result, weight_gradient, at(workspace, reorder_scratch_at_));
    stream().wait();
  });
}

}  // namespace

std::unique_ptr<ConvPlan> make_cpu_conv(const ConvSpec& spec, const Epilogue& epilogue,
                                        const PlanOptions& options) {
  if (spec.groups <= 0 || spec.in.c % spec.groups != 0 || spec.filters % spec.groups != 0)
    fail("groups=", spec.groups, " divides neither or only one of ", spec.in.c, " channels and ",
         spec.filters, " filters");
  return std::make_unique<CpuConvPlan>(spec, epilogue, options);
}

}  // namespace darknet
