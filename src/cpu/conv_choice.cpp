#include "cpu/conv_choice.h"

#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace darknet::onednn {
namespace {

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
  return wide_vectors() && !o.exact && o.precision == DType::f32 && o.mode == Mode::training &&
         s.in.n >= 8 && s.in.c >= 16 && s.groups == 1 && s.size_y == 3 && s.size_x == 3 &&
         s.stride_y == 1 && s.stride_x == 1 && s.dilation == 1;
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

Dims weight_dims(const ConvSpec& s) {
  const std::int64_t in = s.in.c / s.groups;
  if (s.groups == 1) return {s.filters, in, s.size_y, s.size_x};
  return {s.groups, s.filters / s.groups, in, s.size_y, s.size_x};
}

struct ElementTypes {
  DType source, weights, destination;
};

// Sums and biases are f32 throughout, and so are the gradients of weights, which others are added
// to. A direction that reads the gradient of an f32 output reads it rounded, like its other factor.
ElementTypes types_of(Way way, const PlanOptions& o) {
  const DType p = o.precision;
  if (way == Way::forward) return {p, p, o.output()};
  return {p, way == Way::backward_weights ? DType::f32 : p, p};
}

ConvTensors tensors_of(const ConvSpec& s, Tag layout, const ElementTypes& types) {
  return {.source = Desc(dims(s.in), data_type(types.source), layout),
          .weights = Desc(weight_dims(s), data_type(types.weights), Tag::any),
          .destination = Desc(dims(s.out()), data_type(types.destination), layout),
          .bias = {}};
}

bool is_reference(const char* name) { return std::string_view(name).starts_with("ref"); }

// The order in which layouts are tried; the first that is not the library's reference code wins.
std::vector<std::pair<algorithm, Tag>> candidates(const ConvSpec& s, Way way, const PlanOptions& o,
                                                  Choice choice) {
  std::vector<std::pair<algorithm, Tag>> list;
  if (choice == Choice::library) return {{algorithm::convolution_direct, Tag::any}};
  if (try_winograd(s, o)) list.push_back({algorithm::convolution_winograd, Tag::any});
  const bool blocked = prefer_blocked(s, way);
  for (const Tag tag : {blocked ? Tag::any : Tag::nhwc, blocked ? Tag::nhwc : Tag::any, Tag::nchw})
    list.push_back({algorithm::convolution_direct, tag});
  return list;
}

template <class Make>
auto choose(const ConvSpec& s, Way way, const PlanOptions& o, Choice choice, const char* call,
            Make make) {
  std::optional<decltype(make(algorithm::convolution_direct, Tag::any))> reference;
  std::string why = "no implementation";
  for (const auto& [algorithm, layout] : candidates(s, way, o, choice)) {
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

dnnl::primitive_attr attributes(const Epilogue& fused) {
  dnnl::primitive_attr attr = plain_attributes();
  const auto op = eltwise(fused.activation);
  if (!op) return attr;
  dnnl::post_ops ops;
  append_eltwise(ops, op->first, op->second);
  attr.set_post_ops(ops);
  return attr;
}

}  // namespace

Geometry geometry_of(const ConvSpec& s) {
  const Dims pad{s.pad_y, s.pad_x};
  return {{s.stride_y, s.stride_x}, {s.dilation - 1, s.dilation - 1}, pad, pad};
}

Desc user_weights(const ConvSpec& s) {
  const std::int64_t in = s.in.c / s.groups, row = s.size_x * in, filter = s.size_y * row;
  Dims strides = s.groups == 1 ? Dims{filter, 1, row, in}
                               : Dims{s.filters / s.groups * filter, filter, 1, row, in};
  return {weight_dims(s), dnnl::memory::data_type::f32, strides};
}

std::string about(const ConvSpec& s) {
  return cat(to_string(s.in), " * ", s.filters, "x", s.size_y, "x", s.size_x, "/", s.stride_y,
             " groups ", s.groups);
}

Epilogue fused_epilogue(const ConvSpec& s, const Epilogue& wanted, const PlanOptions& o,
                        Choice choice) {
  const bool winograd = choice == Choice::rule && try_winograd(s, o);
  return {.bias = wanted.bias, .activation = winograd ? Activation::linear : wanted.activation};
}

ForwardDesc choose_forward(const ConvSpec& s, const Epilogue& fused, const PlanOptions& o,
                           Choice choice) {
  const auto kind = o.mode == Mode::training ? dnnl::prop_kind::forward_training
                                             : dnnl::prop_kind::forward_inference;
  return choose(s, Way::forward, o, choice, "convolution", [&](algorithm a, Tag layout) {
    ConvTensors t = tensors_of(s, layout, types_of(Way::forward, o));
    if (fused.bias) t.bias = Desc({s.filters}, data_type(DType::f32), Tag::a);
    return conv_forward(kind, a, t, geometry_of(s), attributes(fused));
  });
}

DataDesc choose_backward_data(const ConvSpec& s, const PlanOptions& o, const ForwardDesc& hint,
                              Choice choice) {
  return choose(s, Way::backward_data, o, choice, "backward data", [&](algorithm a, Tag layout) {
    const ConvTensors t = tensors_of(s, layout, types_of(Way::backward_data, o));
    return conv_backward_data(a, t, geometry_of(s), hint);
  });
}

WeightsDesc choose_backward_weights(const ConvSpec& s, const PlanOptions& o,
                                    const ForwardDesc& hint, Choice choice) {
  return choose(s, Way::backward_weights, o, choice, "backward weights",
                [&](algorithm a, Tag layout) {
                  const ConvTensors t = tensors_of(s, layout, types_of(Way::backward_weights, o));
                  return conv_backward_weights(a, t, geometry_of(s), hint);
                });
}

}  // namespace darknet::onednn
