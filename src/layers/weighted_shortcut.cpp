#include "layers/weighted_shortcut.h"

#include <algorithm>

#include "core/elementwise.h"
#include "core/index.h"
#include "core/parts.h"
#include "kernels/copy.h"
#include "nn/channel_parameters.h"

namespace darknet {
namespace {

// The weights of `layers` layers, `columns` each: {layers, columns}.
struct NormalizedWeights {
  ShortcutNormalization how;
  std::int64_t layers, columns;
  const float* weights;

  DN_HD float raw(std::int64_t i, std::int64_t column) const {
    return weights[i * columns + column];
  }
  DN_HD float largest(std::int64_t column) const {
    float most = raw(0, column);
    for (std::int64_t i = 1; i < layers; ++i) most = math::max(most, raw(i, column));
    return most;
  }
  // What is divided by the sum over the layers.
  DN_HD float share(std::int64_t i, std::int64_t column, float most) const {
    const float w = raw(i, column);
    return how == ShortcutNormalization::relu ? math::max(w, 0.f) : math::exp(w - most);
  }
  DN_HD float sum(std::int64_t column, float most) const {
    float all = 1e-4f;  // Darknet
    for (std::int64_t i = 0; i < layers; ++i) all += share(i, column, most);
    return all;
  }
};

// What each layer and channel is multiplied by: {layers, channels}.
struct Factors {
  NormalizedWeights w;
  std::int64_t channels;
  float* to;
  DN_HD void operator()(std::int64_t at) const {
    const std::int64_t i = at / channels, column = w.columns == 1 ? 0 : at % channels;
    const float most = w.largest(column);
    to[at] = w.how == ShortcutNormalization::none ? w.raw(i, column)
                                                  : w.share(i, column, most) / w.sum(column, most);
  }
};

// From the derivatives by the factors, {layers, channels}, to those by the weights, which are added
// to. AlexeyAB leaves the normalization out of it.
struct AddFactorGradient {
  NormalizedWeights w;
  std::int64_t channels;
  const float* of_factors;
  float* gradient;
  DN_HD void operator()(std::int64_t at) const {
    const std::int64_t i = at / w.columns, column = at % w.columns;
    const float own = derivative(i, column);
    if (w.how == ShortcutNormalization::none) {
      gradient[at] += own;
      return;
    }
    const float most = w.largest(column), sum = w.sum(column, most);
    float mean = 0;  // of the derivatives, by the factors
    for (std::int64_t k = 0; k < w.layers; ++k)
      mean += derivative(k, column) * w.share(k, column, most) / sum;
    const bool relu = w.how == ShortcutNormalization::relu;
    const float slope = relu ? (w.raw(i, column) > 0 ? 1.f : 0.f) : w.share(i, column, most);
    gradient[at] += slope / sum * (own - mean);
  }
  DN_HD float derivative(std::int64_t i, std::int64_t column) const {
    if (w.columns > 1) return of_factors[i * channels + column];
    float sum = 0;
    for (std::int64_t c = 0; c < channels; ++c) sum += of_factors[i * channels + c];
    return sum;
  }
};

// out (+)= factor * in, of the channels that `in` has.
template <class T>
struct AddScaled {
  View<const T> in;
  const float* factors;  // of the channels
  bool first;
  View<T> out;
  DN_HD void operator()(std::int64_t p, std::int64_t c) const {
    const float value = c < in.shape.c ? factors[c] * in.at(p, c) : 0;
    out.at(p, c) = first ? value : out.at(p, c) + value;
  }
};

template <class T>
struct PutScaled {
  View<const T> gradient;
  const float* factors;
  Sink<T> in;
  DN_HD void operator()(std::int64_t p, std::int64_t c) const {
    const float value = c < gradient.shape.c ? factors[c] * gradient.at(p, c) : 0;
    in.put(p, c, value);
  }
};

struct ProductOf {
  DN_HD Sums<1> operator()(float a, float b) const { return {{a * b}}; }
};
struct PutChannelSum {
  float* to;
  DN_HD void operator()(std::int64_t c, const double* sums) const {
    to[c] = static_cast<float>(sums[0]);
  }
};

class WeightedShortcutLayer final : public Layer {
 public:
  WeightedShortcutLayer(Section& section, const LayerContext& context, const ShortcutKeys& keys)
      : Layer(section, context),
        keys_of_(keys),
        sources_(shortcut_sources(section, context, keys)),
        activation_(keys.activation) {}

  std::vector<std::int64_t> sources() const override { return sources_; }

  Requirements reshape(std::span<const Shape> in, Ops&, const PlanOptions& options) override {
    out_ = in[0];
    for (std::size_t i = 1; i < in.size(); ++i)
      if (in[i].h != out_.h || in[i].w != out_.w)
        fail(title(), ": layer ", sources_[i], " is ", in[i].w, 'x', in[i].h,
             " and the layer before it ", out_.w, 'x', out_.h,
             "; weights_type needs layers of one size");
    if (weights_.value.empty())
      weights_ = make_parameter(*this, Role::weights, {std::ssize(in), 1, 1, columns()}, false);
    Requirements r{.output = out_, .in_place = true};
    activation_.require(r, options);
    Parts parts;
    const std::int64_t table = std::ssize(in) * out_.c * std::int64_t{sizeof(float)};
    parts.take(table);
    of_factors_at_ = parts.take(table);
    scratch_at_ = parts.take(reduce_channels_scratch(out_, 1));
    r.workspace = parts.total();
    return r;
  }

  void forward(const Pass& pass, std::span<const TensorView> in, TensorView out) override {
    const float* const factors = make_factors(pass);
    const TensorView sum = activation_.before(pass, out);
    with_element(out.dtype, [&](auto element) {
      using T = decltype(element);
      for (std::size_t i = 0; i < in.size(); ++i)
        for_each_pixel(
            pass.stream, out_,
            AddScaled<T>{in[i].as<T>(), factors + std::int64_t(i) * out_.c, i == 0, sum.as<T>()});
    });
    activation_.forward(pass, out);
  }

  void backward(const Pass& pass, const BackwardArguments& a) override {
    activation_.backward(pass, a.out, a.out_gradient);
    const float* const factors = make_factors(pass);
    if (float* const sum = weights_.summed_gradient()) add_weights_gradient(pass, a, sum);
    with_element(a.out_gradient.dtype, [&](auto element) {
      using T = decltype(element);
      for (std::size_t i = 0; i < sources_.size(); ++i) {
        const GradientSlot& slot = a.in_gradient[i];
        if (!slot.view) continue;
        for_each_pixel(pass.stream, slot.view.shape,
                       PutScaled<T>{a.out_gradient.as<T>(),
                                    factors + std::int64_t(i) * out_.c,
                                    {slot.view.as<T>(), slot.add}});
      }
    });
  }

  std::vector<Parameter*> parameters() override {
    if (weights_.value.empty()) return {};
    return {&weights_};
  }

  void initialise(std::uint64_t) override {  // Darknet: 1
    weights_.value.copy_from({.device = context_.device},
                             std::vector<float>(to_size(weights_.value.size()), 1.f));
  }

  std::string to_onnx(OnnxBuilder& graph, std::span<const OnnxValue> in) const override {
    const std::vector<float> weights = weights_.value.to_host({.device = context_.device});
    std::vector<float> all(to_size(std::ssize(in) * out_.c));
    const Factors factors{normalized(weights.data()), out_.c, all.data()};
    for (std::int64_t at = 0; at < std::ssize(all); ++at) factors(at);
    std::string sum;
    for (std::size_t i = 0; i < in.size(); ++i) {
      const std::int64_t channels = std::min(in[i].shape.c, out_.c);
      const auto first = all.begin() + static_cast<std::ptrdiff_t>(i) * out_.c;
      std::string x = in[i].name;
      if (channels < in[i].shape.c) x = graph.slice(x, {{1, 0, channels}});
      x = graph.add("Mul",
                    {x, graph.floats("weights", {1, channels, 1, 1}, {first, first + channels})});
      if (channels < out_.c)
        x = graph.add("Pad", {x, graph.integers("pads", {0, 0, 0, 0, 0, out_.c - channels, 0, 0})});
      sum = i == 0 ? x : graph.add("Add", {sum, x});
    }
    return activation_.to_onnx(graph, sum);
  }

  LayerSummary summary() const override {
    std::string note = "weighted, plus";
    for (std::size_t i = 1; i < sources_.size(); ++i) note += cat(' ', sources_[i]);
    return {.note = note + ", " + activation_.name()};
  }

 private:
  std::int64_t columns() const {
    return keys_of_.weights_type == ShortcutWeights::per_channel ? out_.c : 1;
  }
  NormalizedWeights normalized(const float* weights) const {
    return {keys_of_.weights_normalization, std::ssize(sources_), columns(), weights};
  }

  const float* make_factors(const Pass& pass) const {
    auto* const factors = part<float>(pass.workspace, 0);
    for_each(pass.stream, std::ssize(sources_) * out_.c,
             Factors{normalized(weights_.value.data()), out_.c, factors});
    return factors;
  }

  void add_weights_gradient(const Pass& pass, const BackwardArguments& a, float* sum) const {
    auto* const of_factors = part<float>(pass.workspace, of_factors_at_);
    memory(pass.stream.device.type)
        .zero(pass.stream, of_factors, to_size(std::ssize(sources_) * out_.c) * sizeof(float));
    with_element(a.out_gradient.dtype, [&](auto element) {
      using T = decltype(element);
      for (std::size_t i = 0; i < sources_.size(); ++i) {
        const std::int64_t channels = std::min(a.in[i].shape.c, out_.c);
        const TensorView x = a.in[i].channels(0, channels),
                         g = a.out_gradient.channels(0, channels);
        reduce_channels<1>(pass.stream, x.shape, ProductOf{},
                           PutChannelSum{of_factors + std::int64_t(i) * out_.c},
                           part(pass.workspace, scratch_at_), input<T>(g), input<T>(x));
      }
    });
    for_each(pass.stream, weights_.value.size(),
             AddFactorGradient{normalized(weights_.value.data()), out_.c, of_factors, sum});
  }

  ShortcutKeys keys_of_;
  std::vector<std::int64_t> sources_;  // the layer before, then `from`
  OutputActivation activation_;
  Shape out_;
  Parameter weights_;                                // {layers, 1, 1, columns}
  std::int64_t of_factors_at_ = 0, scratch_at_ = 0;  // in the workspace, after the factors
};

}  // namespace

LayerPtr weighted_shortcut(Section& section, const LayerContext& context,
                           const ShortcutKeys& keys) {
  return std::make_unique<WeightedShortcutLayer>(section, context, keys);
}

}  // namespace darknet
