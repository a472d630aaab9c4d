// [reorg] and [reorg3d] stride, reverse: blocks of pixels become channels. [reorg3d] does it as one
// expects; [reorg] keeps Darknet's historic order, which yolov2 weights were trained with. [reorg]
// extra: all values of an image in the order of files, channel by channel, and zeros behind them.
#include "core/for_each.h"
#include "core/log.h"
#include "kernels/copy.h"
#include "layers/pixel_gradient.h"
#include "nn/layer.h"
#include "nn/onnx_builder.h"

namespace darknet {
namespace {

struct Element {  // of one image
  std::int64_t y, x, c;
};

struct Sizes {  // of one image
  std::int64_t h, w, c;
  DN_HD std::int64_t flat(const Element& e) const { return (e.c * h + e.y) * w + e.x; }  // CHW
  DN_HD Element element(std::int64_t flat) const {
    return {flat / w % h, flat % w, flat / (h * w)};
  }
};

// Between the shape with many channels (h, w, c) and the one with large pixels (h s, w s, c / s^2).
struct ReorgBlocks {
  Sizes deep, large;
  std::int64_t stride;
  DN_HD Element to_large(const Element& e) const {
    const std::int64_t offset = e.c / large.c;
    return {e.y * stride + offset / stride, e.x * stride + offset % stride, e.c % large.c};
  }
  DN_HD Element to_deep(const Element& e) const {
    const std::int64_t offset = e.y % stride * stride + e.x % stride;
    return {e.y / stride, e.x / stride, offset * large.c + e.c};
  }
};

// A permutation of the elements of an image: which input element an output element is, and back.
// Darknet's historic order (reorg_old) applies ReorgBlocks to the sizes of its *input*, as if that
// were the deep one, and reads the results as CHW positions in arrays of other sizes.
struct Rearrangement {
  ReorgBlocks blocks;
  Sizes in, out;
  bool historic, reverse;
  DN_HD Element in_of(const Element& e) const {
    if (reverse) return blocks.to_deep(e);
    if (!historic) return blocks.to_large(e);
    return in.element(blocks.large.flat(blocks.to_large(blocks.deep.element(out.flat(e)))));
  }
  DN_HD Element out_of(const Element& e) const {
    if (reverse) return blocks.to_large(e);
    if (!historic) return blocks.to_deep(e);
    return out.element(blocks.deep.flat(blocks.to_deep(blocks.large.element(in.flat(e)))));
  }
};

template <bool kForward, class T>
struct Permute {
  Rearrangement order;
  View<const T> from;
  Sink<T> to;
  DN_HD void operator()(std::int64_t p, std::int64_t c) const {
    const Shape& s = to.to.shape;
    const Element here{p / s.w % s.h, p % s.w, c};
    const Element there = kForward ? order.in_of(here) : order.out_of(here);
    to.put(p, c, from.at(from.pixel(p / (s.h * s.w), there.y, there.x), there.c));
  }
};

struct ReorgKeys {
  std::int64_t stride = 1;
  bool reverse = false;
  template <class V>
  void fields(V&& v) {
    v("stride", stride, Integers{1, 64}, "width and height of a block");
    v("reverse", reverse, Flag{}, "channels become blocks of pixels");
  }
};

Sizes sizes_of(const Shape& s) { return {s.h, s.w, s.c}; }

class ReorgLayer final : public Layer {
 public:
  ReorgLayer(Section& section, const LayerContext& context, bool historic)
      : Layer(section, context), historic_(historic) {
    section.read(reorg_);
    if (historic && reorg_.stride == 1)
      log::warn(cat(title(),
                    ": with stride=1 its output is its input; the [reorg] of YOLOR's cfgs is "
                    "[reorg3d] stride=2"));
  }

  Requirements reshape(std::span<const Shape> in, Ops&, const PlanOptions&) override {
    const Shape out = output(in[0]);
    order_ = {{}, sizes_of(in[0]), sizes_of(out), historic_, reorg_.reverse};
    const std::int64_t s = reorg_.stride;
    const Sizes& i = order_.in;
    order_.blocks = {order_.out, order_.in, s};
    if (reorg_.reverse) order_.blocks = {order_.in, order_.out, s};
    if (historic_ && !reorg_.reverse) order_.blocks = {i, {i.h * s, i.w * s, i.c / (s * s)}, s};
    return {.output = out, .needs_input = false, .needs_output = false};
  }

  void forward(const Pass& pass, std::span<const TensorView> in, TensorView out) override {
    permute<true>(pass.stream, in[0], {out, false});
  }

  void backward(const Pass& pass, const BackwardArguments& a) override {
    const GradientSlot& slot = a.in_gradient[0];
    if (slot.view) permute<false>(pass.stream, a.out_gradient, slot);
  }

  std::string to_onnx(OnnxBuilder& graph, std::span<const OnnxValue> in) const override {
    const auto [h, w, c] = order_.blocks.deep;
    const std::int64_t s = reorg_.stride, few = order_.blocks.large.c;
    const std::string& x = in[0].name;
    if (reorg_.reverse) {
      const std::string blocks = graph.reshape(x, {0, s, s, few, h, w});
      const std::string pixels = graph.transpose(blocks, {0, 3, 4, 1, 5, 2});
      return graph.reshape(pixels, {0, few, h * s, w * s});
    }
    // Of the sizes of ReorgBlocks, which with Darknet's historic order are not those of in and out.
    const std::string pixels = graph.reshape(x, {0, few, h, s, w, s});
    const std::string blocks = graph.transpose(pixels, {0, 3, 5, 1, 2, 4});
    return graph.reshape(blocks, {0, order_.out.c, order_.out.h, order_.out.w});
  }

  LayerSummary summary() const override {
    return {.size = cat(reorg_.reverse ? "*" : "/", reorg_.stride)};
  }

 private:
  template <bool kForward>
  void permute(const Stream& s, const TensorView& from, const GradientSlot& to) const {
    with_element(from.dtype, [&](auto element) {
      using T = decltype(element);
      const Sink<T> sink{to.view.as<T>(), to.add};
      for_each_pixel(s, to.view.shape, Permute<kForward, T>{order_, from.as<T>(), sink});
    });
  }

  Shape output(const Shape& in) const {
    const std::int64_t s = reorg_.stride;
    const bool pixels = in.h % s == 0 && in.w % s == 0, channels = in.c % (s * s) == 0;
    if (!reorg_.reverse && !pixels)
      fail(title(), ": stride=", s, " does not divide its input of ", in.w, 'x', in.h);
    if ((reorg_.reverse || historic_) && !channels)
      fail(title(), ": the ", in.c,
           " input channels are not a multiple of stride*stride = ", s * s);
    if (reorg_.reverse) return {in.n, in.h * s, in.w * s, in.c / (s * s)};
    return {in.n, in.h / s, in.w / s, in.c * s * s};
  }

  ReorgKeys reorg_;
  bool historic_;
  Rearrangement order_{};
};

struct ExtraKeys {
  std::int64_t extra = 0;
  template <class V>
  void fields(V&& v) {
    v("extra", extra, Integers{0, 1 << 20},
      "above 0: the values of an image as one list, with so many zeros behind them");
  }
};

template <class T>
struct Lengthen {
  View<const T> in;
  View<T> out;
  DN_HD void operator()(std::int64_t n, std::int64_t i) const {
    const Shape& s = in.shape;
    const bool inside = i < s.features();
    const Element e = Sizes{s.h, s.w, s.c}.element(inside ? i : 0);
    out.at(n, i) = inside ? float{in.at(in.pixel(n, e.y, e.x), e.c)} : 0;
  }
};

template <class T>
struct LengthenBackward {
  View<const T> gradient;
  Sink<T> in;
  DN_HD void operator()(std::int64_t p, std::int64_t c) const {
    const Shape& s = in.to.shape;
    in.put(p, c, gradient.at(p / (s.h * s.w), c * s.h * s.w + p % (s.h * s.w)));
  }
};

class LengthenLayer final : public Layer {
 public:
  LengthenLayer(Section& section, const LayerContext& context, std::int64_t extra)
      : Layer(section, context), extra_(extra) {
    ReorgKeys unused;  // Darknet
    section.read(unused);
    if (unused.stride != 1) section.ignore("stride", "has no effect with extra=");
    if (unused.reverse) section.ignore("reverse", "has no effect with extra=");
  }

  Requirements reshape(std::span<const Shape> in, Ops&, const PlanOptions&) override {
    return {.output = {in[0].n, 1, 1, in[0].features() + extra_},
            .needs_input = false,
            .needs_output = false};
  }

  void forward(const Pass& pass, std::span<const TensorView> in, TensorView out) override {
    with_element(out.dtype, [&](auto element) {
      using T = decltype(element);
      for_each_pixel(pass.stream, out.shape, Lengthen<T>{in[0].as<T>(), out.as<T>()});
    });
  }

  void backward(const Pass& pass, const BackwardArguments& a) override {
    put_gradient_by_pixel(pass, a.in_gradient[0], [&]<class T>(const Sink<T>& sink) {
      return LengthenBackward<T>{a.out_gradient.as<T>(), sink};
    });
  }

  std::string to_onnx(OnnxBuilder& graph, std::span<const OnnxValue> in) const override {
    const std::string flat = graph.reshape(in[0].name, {0, in[0].shape.features(), 1, 1});
    return graph.add("Pad", {flat, graph.integers("pads", {0, 0, 0, 0, 0, extra_, 0, 0})});
  }

  LayerSummary summary() const override { return {.note = cat("a list and ", extra_, " zeros")}; }

 private:
  std::int64_t extra_;
};

}  // namespace

LayerPtr make_reorg(Section& section, const LayerContext& context) {
  ExtraKeys keys;
  section.read(keys);
  if (keys.extra > 0) return std::make_unique<LengthenLayer>(section, context, keys.extra);
  return std::make_unique<ReorgLayer>(section, context, true);
}

void describe_reorg(KeyDocs& docs) {
  docs.add(ReorgKeys{});
  docs.add(ExtraKeys{});
}

LayerPtr make_reorg3d(Section& section, const LayerContext& context) {
  return std::make_unique<ReorgLayer>(section, context, false);
}

void describe_reorg3d(KeyDocs& docs) { docs.add(ReorgKeys{}); }

}  // namespace darknet
