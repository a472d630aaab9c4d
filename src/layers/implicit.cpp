// [implicit] filters, atoms, mean, std (AlexeyAB): trained values that do not depend on the image.
// [implicit_add], [implicit_mul] filters (YOLOR): one value a channel, which [shift_channels] adds
// and [control_channels] multiplies with.
#include <cmath>
#include "core/for_each.h"
#include "core/index.h"
#include "core/rng.h"
#include "kernels/copy.h"
#include "layers/pixel_gradient.h"
#include "nn/channel_parameters.h"
#include "nn/onnx_builder.h"

namespace darknet {
namespace {

template <class T>
struct Repeat {
  const float* values;  // {pixels, channels} of an image
  std::int64_t pixels;
  View<T> out;
  DN_HD void operator()(std::int64_t p, std::int64_t c) const {
    out.at(p, c) = values[p % pixels * out.shape.c + c];
  }
};

template <class T>
struct AddImages {
  View<const T> gradient;
  float* sum;  // {pixels, channels} of an image
  DN_HD void operator()(std::int64_t i) const {
    const Shape& s = gradient.shape;
    const std::int64_t pixels = s.h * s.w;
    float all = 0;
    for (std::int64_t n = 0; n < s.n; ++n) all += gradient.at(n * pixels + i / s.c, i % s.c);
    sum[i] += all;
  }
};

template <class T>
struct PutZero {
  Sink<T> to;
  DN_HD void operator()(std::int64_t p, std::int64_t c) const { to.put(p, c, 0); }
};

// How its values start: uniform, at most `deviation` from the mean, or normal.
struct ImplicitStart {
  float mean, deviation;
  bool normal;
};

struct ImplicitKeys {
  std::int64_t filters = 128, atoms = 1;
  float mean = 0, std = .2f;
  template <class V>
  void fields(V&& v) {
    v("filters", filters, Integers{1, 1 << 20}, "channels");
    v("atoms", atoms, Integers{1, 1 << 20}, "height; the width is 1");
    v("mean", mean, TrainingOnly{Reals{-1e6f, 1e6f}}, "of the values at the start");
    v("std", std, TrainingOnly{Reals{0, 1e6f}},
      "the values start at most so far from the mean, uniformly");
  }
};

struct ChannelValueKeys {
  std::int64_t filters = 128;
  template <class V>
  void fields(V&& v) {
    v("filters", filters, Integers{1, 1 << 20}, "channels");
  }
};

struct ImplicitSize {
  std::int64_t filters, atoms;
};

class ImplicitLayer final : public Layer {
 public:
  ImplicitLayer(Section& section, const LayerContext& context, const ImplicitSize& size,
                const ImplicitStart& start)
      : Layer(section, context), size_(size), start_(start) {}

  // The network's input, for the number of images alone.
  std::vector<std::int64_t> sources() const override { return {-1}; }

  Requirements reshape(std::span<const Shape> in, Ops&, const PlanOptions&) override {
    if (values_.value.empty())
      values_ = make_parameter(*this, Role::weights, {1, size_.atoms, 1, size_.filters}, false);
    return {.output = {in[0].n, size_.atoms, 1, size_.filters},
            .needs_input = false,
            .needs_output = false};
  }

  void forward(const Pass& pass, std::span<const TensorView>, TensorView out) override {
    with_element(out.dtype, [&](auto element) {
      using T = decltype(element);
      for_each_pixel(pass.stream, out.shape,
                     Repeat<T>{values_.value.data(), size_.atoms, out.as<T>()});
    });
  }

  void backward(const Pass& pass, const BackwardArguments& a) override {
    if (float* const sum = values_.summed_gradient())
      with_element(a.out_gradient.dtype, [&](auto element) {
        using T = decltype(element);
        for_each(pass.stream, values_.value.size(), AddImages<T>{a.out_gradient.as<T>(), sum});
      });
    put_gradient_by_pixel(pass, a.in_gradient[0],
                          []<class T>(const Sink<T>& sink) { return PutZero<T>{sink}; });
  }

  std::vector<Parameter*> parameters() override {
    if (values_.value.empty()) return {};
    return {&values_};
  }

  void initialise(std::uint64_t seed) override {
    Rng rng(seed, static_cast<std::uint64_t>(context_.index) * 8);
    std::vector<float> values(to_size(values_.value.size()));
    for (float& v : values) v = start_.mean + start_.deviation * draw(rng);
    values_.value.copy_from({.device = context_.device}, values);
  }

  // One image: whoever reads it repeats it.
  std::string to_onnx(OnnxBuilder& graph, std::span<const OnnxValue>) const override {
    const std::vector<float> values = values_.value.to_host({.device = context_.device});
    return graph.floats("values", {1, size_.filters, size_.atoms, 1},
                        in_file_order(values_.value.shape(), values));
  }

  LayerSummary summary() const override {
    return {.filters = cat(size_.filters), .note = cat(values_.value.size(), " trained values")};
  }

 private:
  float draw(Rng& rng) const {
    if (!start_.normal) return rng.uniform(-1, 1);
    constexpr float kTwoPi = 6.2831853f;  // Box and Muller
    const float radius = std::sqrt(-2 * std::log(1 - rng.uniform()));
    return radius * std::cos(kTwoPi * rng.uniform());
  }

  ImplicitSize size_;
  ImplicitStart start_;
  Parameter values_;  // {1, atoms, 1, filters}; AlexeyAB decays them like other weights
};

LayerPtr channel_values_layer(Section& section, const LayerContext& context, float mean) {
  constexpr float kDeviation = .02f;  // YOLOR
  ChannelValueKeys keys;
  section.read(keys);
  return std::make_unique<ImplicitLayer>(section, context, ImplicitSize{keys.filters, 1},
                                         ImplicitStart{mean, kDeviation, true});
}

}  // namespace

LayerPtr make_implicit(Section& section, const LayerContext& context) {
  ImplicitKeys keys;
  section.read(keys);
  return std::make_unique<ImplicitLayer>(section, context, ImplicitSize{keys.filters, keys.atoms},
                                         ImplicitStart{keys.mean, keys.std, false});
}

void describe_implicit(KeyDocs& docs) { docs.add(ImplicitKeys{}); }

LayerPtr make_implicit_add(Section& section, const LayerContext& context) {
  return channel_values_layer(section, context, 0);
}

void describe_implicit_add(KeyDocs& docs) { docs.add(ChannelValueKeys{}); }

LayerPtr make_implicit_mul(Section& section, const LayerContext& context) {
  return channel_values_layer(section, context, 1);
}

void describe_implicit_mul(KeyDocs& docs) { docs.add(ChannelValueKeys{}); }

}  // namespace darknet
