// [scale_channels] from, scale_wh, activation: an earlier layer times the layer before, which has
// one value per channel of an image, or with scale_wh=1 one per pixel. [sam] from: one per element.
// [control_channels] from (YOLOR): the layer before times an earlier one with a value per channel.
#include "core/elementwise.h"
#include "layers/image_sums.h"
#include "nn/layer_index.h"
#include "nn/output_activation.h"

namespace darknet {
namespace {

// The factor of element (p, c): which of `factors` it is.
enum class Per : std::uint8_t { channel, pixel, element };

template <Per kPer, class T>
struct Factor {
  View<const T> of;
  std::int64_t area;  // pixels of an image
  DN_HD float at(std::int64_t p, std::int64_t c) const {
    if constexpr (kPer == Per::channel) return of.at(p / area, c);
    if constexpr (kPer == Per::pixel) return of.at(p, 0);
    return of.at(p, c);
  }
};

template <Per kPer, class T>
struct Scale {
  Factor<kPer, T> factor;
  View<const T> from;
  Sink<T> out;
  DN_HD void operator()(std::int64_t p, std::int64_t c) const {
    out.put(p, c, from.at(p, c) * factor.at(p, c));
  }
};

struct Product {
  DN_HD Sums<1> operator()(float a, float b) const { return {{a * b}}; }
};

template <class T>
struct PixelProduct {  // the sum over the channels of a pixel
  View<const T> a, b;
  Sink<T> to;
  DN_HD void operator()(std::int64_t p) const {
    float sum = 0;
    for (std::int64_t c = 0; c < a.shape.c; ++c) sum += a.at(p, c) * b.at(p, c);
    to.put(p, 0, sum);
  }
};

struct ScaleKeys {
  std::int64_t from = 0;
  Activation activation = activations::Linear{};
  template <class V>
  void fields(V&& v) {
    v("from", from, Integers{}, "the layer to be scaled; negative: counted back");
    v("activation", activation, Choice<Activation>{}, "function of the product");
  }
};

struct WhKeys {
  bool scale_wh = false;
  template <class V>
  void fields(V&& v) {
    v("scale_wh", scale_wh, Flag{}, "1: one factor per pixel instead of one per channel");
  }
};

struct ControlKeys {
  std::int64_t from = 0;
  template <class V>
  void fields(V&& v) {
    v("from", from, Integers{}, "the layer with the factors; negative: counted back");
  }
};

class ScaleLayer final : public Layer {
 public:
  ScaleLayer(Section& section, const LayerContext& context, Per per)
      : Layer(section, context), per_(per) {
    ScaleKeys keys;
    section.read(keys);
    if (!section.has("from")) section.fail("from", "is missing: which layer is to be scaled?");
    sources_ = {context.index - 1, layer_index(section, "from", keys.from, context)};
    activation_ = OutputActivation(keys.activation);
  }
  ScaleLayer(Section& section, const LayerContext& context, ControlKeys keys)
      : Layer(section, context), per_(Per::channel) {
    section.read(keys);
    if (!section.has("from")) section.fail("from", "is missing: which layer has the factors?");
    sources_ = {layer_index(section, "from", keys.from, context), context.index - 1};
  }

  std::vector<std::int64_t> sources() const override { return sources_; }

  Requirements reshape(std::span<const Shape> in, Ops&, const PlanOptions& options) override {
    const Shape expected = factors_for(in[1]);
    if (in[0] != expected)
      fail(title(), ": the factors, layer ", sources_[0], ", are ", to_string(in[0]),
           " (n h w c); for layer ", sources_[1], " of ", to_string(in[1]), " they must be ",
           to_string(expected), "; name another layer in from=");
    Requirements r{.output = in[1]};
    r.workspace = sum_by_image_scratch(in[1]);
    activation_.require(r, options);
    return r;
  }

  void forward(const Pass& pass, std::span<const TensorView> in, TensorView out) override {
    scale(pass.stream, in[0], in[1], {activation_.before(pass, out), false});
    activation_.forward(pass, out);
  }

  void backward(const Pass& pass, const BackwardArguments& a) override {
    activation_.backward(pass, a.out, a.out_gradient);
    const GradientSlot &factors = a.in_gradient[0], &from = a.in_gradient[1];
    if (factors.view) factor_gradient(pass, a.out_gradient, a.in[1], factors);
    if (from.view) scale(pass.stream, a.in[0], a.out_gradient, from);
  }

  std::string to_onnx(OnnxBuilder& graph, std::span<const OnnxValue> in) const override {
    return activation_.to_onnx(graph, graph.add("Mul", {in[1].name, in[0].name}));
  }

  LayerSummary summary() const override {
    const std::int64_t other = sources_[sources_[1] == context_.index - 1 ? 0 : 1];
    return {.note = cat("times ", other, ", ", activation_.name())};
  }

 private:
  Shape factors_for(const Shape& from) const {
    if (per_ == Per::channel) return {from.n, 1, 1, from.c};
    if (per_ == Per::pixel) return {from.n, from.h, from.w, 1};
    return from;
  }

  template <Per kPer>
  static void scale_by(const Stream& s, const TensorView& factors, const TensorView& from,
                       const GradientSlot& out) {
    with_element(from.dtype, [&](auto element) {
      using T = decltype(element);
      const Factor<kPer, T> factor{factors.as<T>(), from.shape.h * from.shape.w};
      const Sink<T> sink{out.view.as<T>(), out.add};
      for_each_pixel(s, from.shape, Scale<kPer, T>{factor, from.as<T>(), sink});
    });
  }

  void scale(const Stream& s, const TensorView& factors, const TensorView& from,
             const GradientSlot& out) const {
    if (per_ == Per::channel) return scale_by<Per::channel>(s, factors, from, out);
    if (per_ == Per::pixel) return scale_by<Per::pixel>(s, factors, from, out);
    scale_by<Per::element>(s, factors, from, out);
  }

  // Darknet (AlexeyAB) divides this sum by the number of pixels; we give the true gradient.
  void factor_gradient(const Pass& pass, const TensorView& gradient, const TensorView& from,
                       const GradientSlot& to) const {
    if (per_ == Per::element) return scale_by<Per::element>(pass.stream, from, gradient, to);
    with_element(gradient.dtype, [&](auto element) {
      using T = decltype(element);
      const Sink<T> sink{to.view.as<T>(), to.add};
      if (per_ == Per::pixel)
        for_each(pass.stream, gradient.shape.pixels(),
                 PixelProduct<T>{gradient.as<T>(), from.as<T>(), sink});
      else
        sum_by_image<T>(pass, Product{}, sink, gradient, from);
    });
  }

  Per per_;
  std::vector<std::int64_t> sources_;  // the factors, then what they scale
  OutputActivation activation_;
};

}  // namespace

LayerPtr make_scale_channels(Section& section, const LayerContext& context) {
  WhKeys wh;
  section.read(wh);
  return std::make_unique<ScaleLayer>(section, context, wh.scale_wh ? Per::pixel : Per::channel);
}

void describe_scale_channels(KeyDocs& docs) {
  docs.add(ScaleKeys{});
  docs.add(WhKeys{});
}

LayerPtr make_sam(Section& section, const LayerContext& context) {
  return std::make_unique<ScaleLayer>(section, context, Per::element);
}

void describe_sam(KeyDocs& docs) { docs.add(ScaleKeys{}); }

LayerPtr make_control_channels(Section& section, const LayerContext& context) {
  return std::make_unique<ScaleLayer>(section, context, ControlKeys{});
}

void describe_control_channels(KeyDocs& docs) { docs.add(ControlKeys{}); }

}  // namespace darknet
