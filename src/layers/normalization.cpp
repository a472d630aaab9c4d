// [normalization], alias [lrn]: local response normalisation over channels (Krizhevsky et al.,
// 2012): y = x n^-beta with n = kappa + alpha times the sum of the squares of the channels from
// (size - 1) / 2 below to size / 2 above. [l2norm]: the channels of a pixel divided by the root of
// the sum of their squares.
#include "core/for_each.h"
#include "kernels/copy.h"
#include "layers/pixel_gradient.h"
#include "nn/layer.h"
#include "nn/onnx_builder.h"

namespace darknet {
namespace {

struct NormalizationKeys {
  std::int64_t size = 5;
  float alpha = .0001f, beta = .75f, kappa = 1;
  template <class V>
  void fields(V&& v) {
    v("size", size, Integers{1, 1 << 16}, "channels whose squares are summed");
    v("alpha", alpha, Reals{0, 1e6f}, "factor on the sum");
    v("beta", beta, Reals{0, 100}, "exponent");
    v("kappa", kappa, Reals{1e-6f, 1e6f}, "added to the sum");
  }
};
static_assert(std::is_trivially_copyable_v<NormalizationKeys>);

template <class T>
struct Normalize {
  NormalizationKeys keys;
  View<const T> in;

  DN_HD float square(std::int64_t p, std::int64_t c) const {
    const float x = in.at(p, c);
    return x * x;
  }
  DN_HD float norm(std::int64_t p, std::int64_t c) const {
    const std::int64_t first = math::max(c - (keys.size - 1) / 2, std::int64_t{0}),
                       end = math::min(c + keys.size / 2 + 1, in.shape.c);
    float sum = 0;
    for (std::int64_t k = first; k < end; ++k) sum += square(p, k);
    return keys.kappa + keys.alpha * sum;
  }
};

template <class T>
struct NormalizeForward {
  Normalize<T> of;
  View<T> out;
  DN_HD void operator()(std::int64_t p, std::int64_t c) const {
    out.at(p, c) = of.in.at(p, c) * math::pow(of.norm(p, c), -of.keys.beta);
  }
};

// Darknet leaves out what an input does to its neighbours.
template <class T>
struct NormalizeBackward {
  Normalize<T> of;
  View<const T> gradient;
  Sink<T> in;
  DN_HD void operator()(std::int64_t p, std::int64_t c) const {
    const NormalizationKeys& k = of.keys;
    const std::int64_t first = math::max(c - k.size / 2, std::int64_t{0}),
                       end = math::min(c + (k.size - 1) / 2 + 1, of.in.shape.c);
    float sum = 0;  // over the channels whose norms hold this one
    for (std::int64_t j = first; j < end; ++j)
      sum += gradient.at(p, j) * of.in.at(p, j) * math::pow(of.norm(p, j), -k.beta - 1);
    const float own = gradient.at(p, c) * math::pow(of.norm(p, c), -k.beta);
    in.put(p, c, own - 2 * k.alpha * k.beta * of.in.at(p, c) * sum);
  }
};

class NormalizationLayer final : public Layer {
 public:
  NormalizationLayer(Section& section, const LayerContext& context) : Layer(section, context) {
    section.read(normalization_);
  }

  Requirements reshape(std::span<const Shape> in, Ops&, const PlanOptions&) override {
    return {.output = in[0], .needs_output = false};
  }

  void forward(const Pass& pass, std::span<const TensorView> in, TensorView out) override {
    with_element(out.dtype, [&](auto element) {
      using T = decltype(element);
      for_each_pixel(pass.stream, out.shape, NormalizeForward<T>{of<T>(in[0]), out.as<T>()});
    });
  }

  void backward(const Pass& pass, const BackwardArguments& a) override {
    put_gradient_by_pixel(pass, a.in_gradient[0], [&]<class T>(const Sink<T>& sink) {
      return NormalizeBackward<T>{of<T>(a.in[0]), a.out_gradient.as<T>(), sink};
    });
  }

  // LRN divides alpha by the size.
  std::string to_onnx(OnnxBuilder& graph, std::span<const OnnxValue> in) const override {
    const NormalizationKeys& k = normalization_;
    if (k.size % 2 == 0)
      fail(title(), ": size=", k.size, " is even, which OpenCV does not take; make it odd");
    return graph.add("LRN", {in[0].name},
                     {{"size", k.size},
                      {"alpha", k.alpha * static_cast<float>(k.size)},
                      {"beta", k.beta},
                      {"bias", k.kappa}});
  }

  LayerSummary summary() const override {
    return {.note = cat("over ", normalization_.size, " channels")};
  }

 private:
  template <class T>
  Normalize<T> of(const TensorView& in) const {
    return {normalization_, in.as<T>()};
  }
  NormalizationKeys normalization_;
};

constexpr float kLeastSquares = 1e-12f;  // of a pixel: zeros stay zero

// y = x / |x| of a pixel.
template <class T>
struct UnitForward {
  View<const T> in;
  View<T> out;
  DN_HD static float squares(const View<const T>& x, std::int64_t p) {
    float sum = 0;
    for (std::int64_t c = 0; c < x.shape.c; ++c) sum += float{x.at(p, c)} * float{x.at(p, c)};
    return sum;
  }
  DN_HD void operator()(std::int64_t p) const {
    const float scale = 1 / math::sqrt(math::max(squares(in, p), kLeastSquares));
    for (std::int64_t c = 0; c < in.shape.c; ++c) out.at(p, c) = scale * in.at(p, c);
  }
};

// dx = (g - y sum(g y)) / |x|; 0 of a pixel that is as good as zero, where 1 / |x| has no bound.
// Darknet passes g on.
template <class T>
struct UnitBackward {
  View<const T> in, gradient;
  Sink<T> to;
  DN_HD void operator()(std::int64_t p) const {
    const float squares = UnitForward<T>::squares(in, p);
    const float scale = squares < kLeastSquares ? 0 : 1 / math::sqrt(squares);
    float along = 0;
    for (std::int64_t c = 0; c < in.shape.c; ++c)
      along += float{gradient.at(p, c)} * (scale * in.at(p, c));
    for (std::int64_t c = 0; c < in.shape.c; ++c)
      to.put(p, c, scale * (gradient.at(p, c) - along * (scale * in.at(p, c))));
  }
};

class UnitLayer final : public Layer {
 public:
  using Layer::Layer;

  Requirements reshape(std::span<const Shape> in, Ops&, const PlanOptions&) override {
    return {.output = in[0], .needs_output = false};
  }

  void forward(const Pass& pass, std::span<const TensorView> in, TensorView out) override {
    with_element(out.dtype, [&](auto element) {
      using T = decltype(element);
      for_each(pass.stream, out.shape.pixels(), UnitForward<T>{in[0].as<T>(), out.as<T>()});
    });
  }

  void backward(const Pass& pass, const BackwardArguments& a) override {
    const GradientSlot& slot = a.in_gradient[0];
    if (!slot.view) return;
    with_element(slot.view.dtype, [&](auto element) {
      using T = decltype(element);
      const Sink<T> sink{slot.view.as<T>(), slot.add};
      for_each(pass.stream, slot.view.shape.pixels(),
               UnitBackward<T>{a.in[0].as<T>(), a.out_gradient.as<T>(), sink});
    });
  }

  std::string to_onnx(OnnxBuilder& graph, std::span<const OnnxValue> in) const override {
    const std::string& x = in[0].name;
    const auto channels = static_cast<float>(in[0].shape.c);
    const std::string mean =
        graph.add("ReduceMean", {graph.add("Mul", {x, x})},
                  {{"axes", std::vector<std::int64_t>{1}}, {"keepdims", std::int64_t{1}}});
    const std::string least = graph.floats("least", {1}, {kLeastSquares / channels});
    const std::string length = graph.add("Sqrt", {graph.add("Add", {mean, least})});
    return graph.add("Div", {graph.scale(x, 1 / math::sqrt(channels)), length});
  }
};

}  // namespace

LayerPtr make_normalization(Section& section, const LayerContext& context) {
  return std::make_unique<NormalizationLayer>(section, context);
}

void describe_normalization(KeyDocs& docs) { docs.add(NormalizationKeys{}); }

LayerPtr make_l2norm(Section& section, const LayerContext& context) {
  return std::make_unique<UnitLayer>(section, context);
}

void describe_l2norm(KeyDocs&) {}

}  // namespace darknet
