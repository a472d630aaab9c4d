#include "cpu/conv_choice.h"

#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "core/for_each.h"
#include "core/tuning.h"
#include "cpu/winograd.h"

namespace darknet::onednn {
namespace {

using dnnl::algorithm;

using Direction = ConvDirection;

bool wide_vectors() { return uses_x86_isa(dnnl::cpu_isa::avx512_core); }

// Multiply-adds per value moved by a change of layout.
std::int64_t intensity(const ConvSpec& s) {
  return s.in.c / s.groups * s.filters * s.size_y * s.size_x / (s.in.c + s.filters);
}

// Whether to leave NHWC inside the plan for the library's blocked layouts. Measured on two cores of
// Zen 3 (AVX2) with the layers of yolov3-tiny: blocked backward-weights is up to twice as fast,
// blocked forward 15-20 % where a layer computes enough to pay for moving its tensors;
// backward-data and 1x1 kernels are as fast in NHWC. With AVX-512 NHWC is within 5 % everywhere.
bool prefer_blocked(const ConvSpec& s, Direction direction) {
  if (wide_vectors() || s.in.c / s.groups < 8 || s.filters / s.groups < 8) return false;
  const bool one = s.size_y * s.size_x == 1;
  if (direction == Direction::backward_weights) return !one || intensity(s) < 200;
  return direction == Direction::forward && !one && intensity(s) >= 300;
}

// Larger tiles round more and have larger filters: 6 x 6 is taken only where a tuning file says so.
constexpr int kWinogradTiles[] = {2, 4, 6};
// Winograd is taken where its cost, which leaves out the transforms, is below this part of the
// direct convolution's. In the 3x3 layers of yolov3-tiny F(4x4) takes .34 to .6 of the direct time
// on one core of a Zen 1 (AVX2) and .39 to .7 on one of an Intel Xeon with AVX-512 and AMX, F(2x2)
// .5 to .9 and .6 to 1.
constexpr double kWinogradBelow = .7;

bool can_use_winograd(const ConvSpec& s, const PlanOptions& o) {
  return !o.exact && o.precision == DType::f32 && winograd_fits(s);
}

// The cost of one channel and filter, in multiply-adds: `weights` values are multiplied at each of
// `positions`. Reading one from memory takes as long as about `reading` of them: 6 on the Zen 1, 16
// on the Xeon, whose vectors are twice as long.
double cost(double weights, std::int64_t positions) {
  const double reading = wide_vectors() ? 16 : 6;
  return weights * (static_cast<double>(positions) + reading);
}
double direct_cost(const ConvSpec& s) { return cost(9, s.out().pixels()); }
double winograd_cost(const ConvSpec& s, int m) {
  const Shape out = s.out();
  return cost((m + 2) * (m + 2), out.n * chunks_of(out.h, m) * chunks_of(out.w, m));
}

// oneDNN's form of an activation and its parameter; what it does not know is not fused.
using Eltwise = std::optional<std::pair<algorithm, float>>;
struct EltwiseOf {
  template <class F>
  Eltwise operator()(const F&) const {
    return std::nullopt;
  }
  Eltwise operator()(const activations::Leaky&) const { return {{algorithm::eltwise_relu, .1f}}; }
  Eltwise operator()(const activations::Relu&) const { return {{algorithm::eltwise_relu, 0.f}}; }
  Eltwise operator()(const activations::Logistic&) const {
    return {{algorithm::eltwise_logistic, 0.f}};
  }
  Eltwise operator()(const activations::Tanh&) const { return {{algorithm::eltwise_tanh, 0.f}}; }
  Eltwise operator()(const activations::Mish&) const { return {{algorithm::eltwise_mish, 0.f}}; }
  Eltwise operator()(const activations::Swish&) const { return {{algorithm::eltwise_swish, 1.f}}; }
};
Eltwise eltwise(const Activation& a) { return std::visit(EltwiseOf{}, a); }

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
ElementTypes types_of(Direction direction, const PlanOptions& o) {
  const DType p = o.precision;
  if (direction == Direction::forward) return {p, p, o.output()};
  return {p, direction == Direction::backward_weights ? DType::f32 : p, p};
}

ConvTensors tensors_of(const ConvSpec& s, Tag layout, const ElementTypes& types) {
  return {.source = Desc(dims(s.in), data_type(types.source), layout),
          .weights = any_weights(s, data_type(types.weights)),
          .destination = Desc(dims(s.out()), data_type(types.destination), layout),
          .bias = {}};
}

struct Candidate {
  const char* word;
  Tag layout;
};

constexpr Candidate kDirect{"direct", Tag::nhwc};
constexpr Candidate kBlocked{"blocked", Tag::any};
constexpr Candidate kPlanar{"planar", Tag::nchw};
constexpr Candidate kAll[] = {kDirect, kBlocked, kPlanar};

const ConvChoice* tuned(const ConvSpec& s, Direction direction, const PlanOptions& o) {
  return o.tuning ? o.tuning->find(conv_use(direction, s, o)) : nullptr;
}

// The order in which they are tried; the first that is not the library's reference code wins.
std::vector<Candidate> candidates(const ConvSpec& s, Direction direction, const PlanOptions& o,
                                  ConvSource source) {
  if (source == ConvSource::library) return {kBlocked};
  std::vector<Candidate> list;
  if (const ConvChoice* const wanted = tuned(s, direction, o))
    for (const Candidate& c : kAll)
      if (wanted->algorithm == c.word) list.push_back(c);
  const bool blocked = prefer_blocked(s, direction);
  for (const Candidate& c : {blocked ? kBlocked : kDirect, blocked ? kDirect : kBlocked, kPlanar})
    list.push_back(c);
  return list;
}

// oneDNN 2.6 computes the gradient of weights by AMX from memory that it has not written, in some
// 3x3 layers from a width of 225 on: of 1500 random shapes up to 283 wide 142 gave NaN, none of
// them narrower, and none with kernels of 1x1, 5x5 or a stride of 2.
bool amx_is_faulty(const ConvSpec& s) {
  constexpr std::int64_t kWidestOfAmx = 224;
  return DNNL_VERSION_MAJOR < 3 && s.size_x > 1 && s.out().w > kWidestOfAmx;
}
bool is_faulty(const ConvSpec& s, Direction direction, std::string_view name) {
  return direction == Direction::backward_weights && amx_is_faulty(s) &&
         name.find("amx") != name.npos;
}

template <class Make>
auto choose(const ConvSpec& s, Direction direction, const PlanOptions& o, ConvSource source,
            Make make) {
  using Pd = decltype(make(kDirect));
  std::optional<Chosen<Pd>> reference;
  std::string why = "no implementation";
  const ConvChoice* const wanted = source == ConvSource::planned ? tuned(s, direction, o) : nullptr;
  for (const Candidate& c : candidates(s, direction, o, source)) {
    try {
      Chosen<Pd> chosen{make(c), c.word};
      if (is_faulty(s, direction, chosen.pd.impl_info_str())) continue;
      chosen.tuned = wanted && wanted->milliseconds > 0 && wanted->algorithm == c.word;
      if (!is_reference(chosen.pd.impl_info_str())) return chosen;
      if (!reference) reference = chosen;
    } catch (const dnnl::error& e) {
      why = e.what();
    }
  }
  if (!reference) fail("oneDNN ", name_of(direction), " convolution (", about(s), "): ", why);
  return *reference;
}

template <class Make>
std::vector<std::string> available(const ConvSpec& s, Direction direction, const PlanOptions& o,
                                   Make make) {
  std::vector<std::string> words;
  if (can_use_winograd(s, o))
    for (const int m : kWinogradTiles)  // training would pay for packing 6 x 6 in every step
      if (m < 6 || o.mode == Mode::inference) words.push_back(WinogradChoice{m, false}.word());
  for (const Candidate& c : kAll) {
    try {
      const std::string name = make(c).impl_info_str();
      if (!is_reference(name.c_str()) && !is_faulty(s, direction, name)) words.emplace_back(c.word);
    } catch (const dnnl::error&) {  // the library has none
    }
  }
  return words;
}

}  // namespace

Geometry geometry_of(const ConvSpec& s) {
  const Dims pad{s.pad_y, s.pad_x};
  return {{s.stride_y, s.stride_x}, {s.dilation - 1, s.dilation - 1}, pad, pad};
}

dnnl::primitive_attr attributes_of(const Epilogue& fused) {
  dnnl::primitive_attr attr = plain_attributes();
  const auto op = eltwise(fused.activation);
  if (!op) return attr;
  dnnl::post_ops ops;
  append_eltwise(ops, op->first, op->second);
  attr.set_post_ops(ops);
  return attr;
}

bool is_reference(const char* implementation) {
  return std::string_view(implementation).starts_with("ref");
}

Desc any_weights(const ConvSpec& s, dnnl::memory::data_type type) {
  return {weight_dims(s), type, Tag::any};
}

Desc user_weights(const ConvSpec& s, dnnl::memory::data_type type) {
  const std::int64_t in = s.in.c / s.groups, row = s.size_x * in, filter = s.size_y * row;
  Dims strides = s.groups == 1 ? Dims{filter, 1, row, in}
                               : Dims{s.filters / s.groups * filter, filter, 1, row, in};
  return {weight_dims(s), type, strides};
}

std::string about(const ConvSpec& s) {
  return cat(to_string(s.in), " * ", s.filters, "x", s.size_y, "x", s.size_x, "/", s.stride_y,
             " groups ", s.groups);
}

Epilogue fused_epilogue(const ConvSpec& s, const Epilogue& wanted, const PlanOptions& o,
                        ConvSource source) {
  const bool winograd = source == ConvSource::planned && choose_winograd(Direction::forward, s, o);
  const bool known = winograd ? negative_slope(wanted.activation).has_value()
                              : eltwise(wanted.activation).has_value();
  return known ? wanted : Epilogue{.bias = wanted.bias};
}

bool widens_weight_gradient(const ConvSpec& s, const PlanOptions& o) {
  return o.precision == DType::bf16 && amx_is_faulty(s) &&
         uses_x86_isa(dnnl::cpu_isa::avx512_core_amx);
}

std::optional<WinogradChoice> choose_winograd(Direction direction, const ConvSpec& s,
                                              const PlanOptions& o) {
  if (!can_use_winograd(s, o)) return std::nullopt;
  if (const ConvChoice* const wanted = tuned(s, direction, o)) {
    for (const int m : kWinogradTiles)
      if (WinogradChoice c{m, wanted->milliseconds > 0}; wanted->algorithm == c.word()) return c;
    for (const Candidate& c : kAll)
      if (wanted->algorithm == c.word) return std::nullopt;
  }
  const double two = winograd_cost(s, 2), four = winograd_cost(s, 4);
  if (std::min(two, four) > kWinogradBelow * direct_cost(s)) return std::nullopt;
  return WinogradChoice{two < four ? 2 : 4, false};
}

namespace {

auto forward_maker(const ConvSpec& s, const Epilogue& fused, const PlanOptions& o) {
  return [s, fused, o](const Candidate& c) -> ForwardDesc {
    const auto kind = o.mode == Mode::training ? dnnl::prop_kind::forward_training
                                               : dnnl::prop_kind::forward_inference;
    ConvTensors t = tensors_of(s, c.layout, types_of(Direction::forward, o));
    if (fused.bias) t.bias = Desc({s.filters}, data_type(DType::f32), Tag::a);
    return conv_forward(kind, algorithm::convolution_direct, t, geometry_of(s),
                        attributes_of(fused));
  };
}

auto data_maker(const ConvSpec& s, const PlanOptions& o, const ForwardDesc& hint) {
  return [s, o, hint](const Candidate& c) -> DataDesc {
    const ConvTensors t = tensors_of(s, c.layout, types_of(Direction::backward_data, o));
    return conv_backward<dnnl::convolution_backward_data>(algorithm::convolution_direct, t,
                                                          geometry_of(s), hint);
  };
}

auto weights_maker(const ConvSpec& s, const PlanOptions& o, const ForwardDesc& hint) {
  return [s, o, hint](const Candidate& c) -> WeightsDesc {
    const ConvTensors t = tensors_of(s, c.layout, types_of(Direction::backward_weights, o));
    return conv_backward<dnnl::convolution_backward_weights>(algorithm::convolution_direct, t,
                                                             geometry_of(s), hint);
  };
}

}  // namespace

Chosen<ForwardDesc> choose_forward(const ConvSpec& s, const Epilogue& fused, const PlanOptions& o,
                                   ConvSource source) {
  return choose(s, Direction::forward, o, source, forward_maker(s, fused, o));
}

Chosen<DataDesc> choose_backward_data(const ConvSpec& s, const PlanOptions& o,
                                      const ForwardDesc& hint, ConvSource source) {
  return choose(s, Direction::backward_data, o, source, data_maker(s, o, hint));
}

Chosen<WeightsDesc> choose_backward_weights(const ConvSpec& s, const PlanOptions& o,
                                            const ForwardDesc& hint, ConvSource source) {
  return choose(s, Direction::backward_weights, o, source, weights_maker(s, o, hint));
}

std::vector<std::string> algorithms_of(Direction direction, const ConvSpec& s,
                                       const Epilogue& wanted, const PlanOptions& o) {
  const Epilogue bias{.bias = wanted.bias};
  if (direction == Direction::forward) return available(s, direction, o, forward_maker(s, bias, o));
  const ForwardDesc hint = choose_forward(s, bias, o, ConvSource::planned).pd;
  if (direction == Direction::backward_data)
    return available(s, direction, o, data_maker(s, o, hint));
  return available(s, direction, o, weights_maker(s, o, hint));
}

}  // namespace darknet::onednn
