#include "layers/channel_activation.h"

#include <type_traits>

#include "core/for_each.h"
#include "core/math.h"
#include "kernels/copy.h"

namespace darknet {
namespace {

constexpr float kAdded = 1e-4f;  // to the sum: AlexeyAB

enum class ChannelKind : std::uint8_t { normalize, softmax, softmax_of_differences };

// y = share / sum of one pixel. Exponentials are taken of differences to the largest value, with
// kAdded multiplied accordingly, so that they do not overflow.
template <class T>
struct ChannelShares {
  ChannelKind kind;
  View<const T> in;
  std::int64_t pixel;
  float largest = 0, sum = 0;

  DN_HD ChannelShares(ChannelKind how, const View<const T>& x, std::int64_t p)
      : kind(how), in(x), pixel(p) {
    if (kind != ChannelKind::normalize) {
      largest = in.at(p, 0);
      for (std::int64_t c = 1; c < in.shape.c; ++c)
        largest = math::max(largest, float{in.at(p, c)});
    }
    sum = kind == ChannelKind::softmax ? kAdded * math::exp(-largest) : kAdded;
    for (std::int64_t c = 0; c < in.shape.c; ++c) sum += share(c);
  }
  DN_HD float share(std::int64_t c) const {
    const float x = in.at(pixel, c);
    return kind == ChannelKind::normalize ? math::max(x, 0.f) : math::exp(x - largest);
  }
  // The derivative of a share by its x.
  DN_HD float slope(std::int64_t c) const {
    if (kind != ChannelKind::normalize) return share(c);
    return float{in.at(pixel, c)} > 0 ? 1.f : 0.f;
  }
};

template <class T>
struct ChannelForward {
  ChannelKind kind;
  View<const T> in;
  View<T> out;
  DN_HD void operator()(std::int64_t p) const {
    const ChannelShares<T> shares(kind, in, p);
    for (std::int64_t c = 0; c < in.shape.c; ++c) out.at(p, c) = shares.share(c) / shares.sum;
  }
};

// dx = slope / sum (g - sum(g y)). AlexeyAB multiplies g by sum(g y). Of softmax_of_differences the
// largest value counts as a constant: it cancels but for kAdded.
template <class T>
struct ChannelBackward {
  ChannelKind kind;
  View<const T> in, gradient;
  View<T> to;
  DN_HD void operator()(std::int64_t p) const {
    const ChannelShares<T> shares(kind, in, p);
    float along = 0;
    for (std::int64_t c = 0; c < in.shape.c; ++c)
      along += gradient.at(p, c) * (shares.share(c) / shares.sum);
    for (std::int64_t c = 0; c < in.shape.c; ++c)
      to.at(p, c) = shares.slope(c) / shares.sum * (gradient.at(p, c) - along);
  }
};

class ChannelActivation final : public OutputStage {
 public:
  ChannelActivation(ChannelKind kind, std::string_view name) : kind_(kind), name_(name) {}

  Shape output(const Shape& in) const override { return in; }
  bool needs_input() const override { return true; }

  void forward(const Stream& s, const TensorView& in, const TensorView& out) const override {
    with_element(out.dtype, [&](auto element) {
      using T = decltype(element);
      for_each(s, out.shape.pixels(), ChannelForward<T>{kind_, in.as<T>(), out.as<T>()});
    });
  }

  void backward(const Stream& s, const TensorView& in, const TensorView& out_gradient,
                const TensorView& in_gradient) const override {
    with_element(in.dtype, [&](auto element) {
      using T = decltype(element);
      for_each(s, in.shape.pixels(),
               ChannelBackward<T>{kind_, in.as<T>(), out_gradient.as<T>(), in_gradient.as<T>()});
    });
  }

  std::string to_onnx(OnnxBuilder& graph, const std::string& x, const Shape& in) const override {
    const auto over_channels = [&](const char* op, const std::string& of) {
      return graph.add(op, {of},
                       {{"axes", std::vector<std::int64_t>{1}}, {"keepdims", std::int64_t{1}}});
    };
    const auto constant = [&](const char* what, float value) {
      return graph.floats(what, {1}, {value});
    };
    if (kind_ != ChannelKind::normalize) {
      // Of p = softmax(x) the largest is 1 / sum of e^(x - max x): p / (1 + added / sum), where
      // without the differences `added` is kAdded e^(-max x). No e^x: it would overflow.
      const std::string p = graph.add("Softmax", {x}, {{"axis", std::int64_t{1}}});
      std::string added = graph.scale(over_channels("ReduceMax", p), kAdded);
      if (kind_ == ChannelKind::softmax) {
        const std::string largest = over_channels("ReduceMax", x);
        added = graph.add("Mul", {added, graph.add("Exp", {graph.scale(largest, -1)})});
      }
      return graph.add("Div", {p, graph.add("Add", {added, constant("one", 1)})});
    }
    const std::string shares = graph.add("Relu", {x});
    const auto channels = static_cast<float>(in.c);
    const std::string mean = over_channels("ReduceMean", shares);
    return graph.add("Div", {graph.scale(shares, 1 / channels),
                             graph.add("Add", {mean, constant("added", kAdded / channels)})});
  }

  std::string note() const override { return std::string(name_); }

 private:
  ChannelKind kind_;
  std::string_view name_;
};

}  // namespace

Activation by_element(const ConvolutionalActivation& activation) {
  return std::visit(
      []<class F>(const F& f) -> Activation {
        if constexpr (std::is_constructible_v<Activation, F>) return f;
        return activations::Linear{};
      },
      activation);
}

std::unique_ptr<OutputStage> over_channels(const ConvolutionalActivation& activation) {
  constexpr std::size_t kByElement = std::variant_size_v<Activation>;  // the others follow
  if (activation.index() < kByElement) return nullptr;
  return std::make_unique<ChannelActivation>(
      static_cast<ChannelKind>(activation.index() - kByElement), name_of(activation));
}

}  // namespace darknet
