// [maxpool] and [local_avgpool]: pooling by Darknet's geometry (PoolSpec); with maxpool_depth=1 the
// maximum over groups of channels instead, with maxpool_zero_nonmax=1 the input where it is the
// maximum of its window, and 0 elsewhere.
#include "core/for_each.h"
#include "core/math.h"
#include "kernels/copy.h"
#include "kernels/pool.h"
#include "layers/output_stage.h"
#include "layers/pixel_gradient.h"
#include "nn/layer.h"
#include "nn/onnx_builder.h"

namespace darknet {
namespace {

// Output channel g is the largest of the input channels g, g + out, g + 2 out, ... (the first of
// equals).
template <class T>
struct DepthMax {
  View<const T> in;
  std::int64_t groups;
  DN_HD std::int64_t winner(std::int64_t p, std::int64_t g) const {
    std::int64_t best = g;
    for (std::int64_t k = g + groups; k < in.shape.c; k += groups)
      if (in.at(p, k) > in.at(p, best)) best = k;
    return best;
  }
};

template <class T>
struct DepthMaxForward {
  DepthMax<T> of;
  View<T> out;
  DN_HD void operator()(std::int64_t p, std::int64_t g) const {
    out.at(p, g) = of.in.at(p, of.winner(p, g));
  }
};

template <class T>
struct DepthMaxBackward {
  DepthMax<T> of;
  View<const T> gradient;
  Sink<T> in;
  DN_HD void operator()(std::int64_t p, std::int64_t c) const {
    const std::int64_t g = c % of.groups;
    in.put(p, c, of.winner(p, g) == c ? float{gradient.at(p, g)} : 0);
  }
};

// Whether an input is the largest of the window around it: of an output of its own place.
template <class T>
struct Peaks {
  View<const T> in;
  std::int64_t size, before;  // pixels of a window, and how many of them come before its own
  DN_HD bool peak(std::int64_t p, std::int64_t c) const {
    const Shape& s = in.shape;
    const std::int64_t x = p % s.w - before, y = p / s.w % s.h - before, n = p / (s.w * s.h);
    const float own = in.at(p, c);
    bool largest = true;
    for (std::int64_t i = math::max(-y, std::int64_t{0}); i < math::min(size, s.h - y); ++i)
      for (std::int64_t j = math::max(-x, std::int64_t{0}); j < math::min(size, s.w - x); ++j)
        largest &= !(float{in.at(in.pixel(n, y + i, x + j), c)} > own);
    return largest;
  }
};

template <class T>
struct PeaksForward {
  Peaks<T> of;
  View<T> out;
  DN_HD void operator()(std::int64_t p, std::int64_t c) const {
    out.at(p, c) = of.peak(p, c) ? float{of.in.at(p, c)} : 0;
  }
};

// AlexeyAB gives a peak the gradients of all windows that it is the largest of.
template <class T>
struct PeaksBackward {
  Peaks<T> of;
  View<const T> gradient;
  Sink<T> in;
  DN_HD void operator()(std::int64_t p, std::int64_t c) const {
    in.put(p, c, of.peak(p, c) ? float{gradient.at(p, c)} : 0);
  }
};

struct PoolKeys {
  std::int64_t stride = 1, stride_x = 0, stride_y = 0, size = 0, padding = -1;
  template <class V>
  void fields(V&& v) {
    v("stride", stride, Integers{1, 255}, "step of the window");
    v("stride_x", stride_x, Integers{0, 255}, "step to the right; 0: stride");
    v("stride_y", stride_y, Integers{0, 255}, "step down; 0: stride");
    v("size", size, Integers{0, 255}, "width and height of the window; 0: stride");
    v("padding", padding, Integers{-1, 510}, "both sides together; -1: size - 1");
  }
};

struct DepthKeys {
  bool maxpool_depth = false, maxpool_zero_nonmax = false;
  std::int64_t out_channels = 1;
  template <class V>
  void fields(V&& v) {
    v("maxpool_depth", maxpool_depth, Flag{}, "pool over channels instead of pixels");
    v("out_channels", out_channels, Integers{1, 1 << 20}, "channels left by maxpool_depth=1");
    v("maxpool_zero_nonmax", maxpool_zero_nonmax, Flag{},
      "1: the input where it is the largest of its window, and 0 elsewhere; needs stride=1 or "
      "antialiasing");
  }
};

PoolKeys read_pool_keys(Section& section) {
  PoolKeys keys;
  section.read(keys);
  if (keys.stride_x == 0) keys.stride_x = keys.stride;
  if (keys.stride_y == 0) keys.stride_y = keys.stride;
  if (keys.size == 0) keys.size = keys.stride;
  if (keys.padding < 0) keys.padding = keys.size - 1;
  if ((keys.padding + 1) / 2 >= keys.size && keys.padding > 0)
    section.fail_between(
        {"padding", "size", "stride"},
        cat("padding=", keys.padding, " leaves windows of size=", keys.size, " without any input"));
  return keys;
}

class PoolLayer final : public Layer {
 public:
  PoolLayer(Section& section, const LayerContext& context, PoolKind kind)
      : Layer(section, context), kind_(kind), pool_(read_pool_keys(section)) {}

  // The steps, which become 1. Before the first reshape.
  Strides take_strides() {
    const Strides strides{pool_.stride_y, pool_.stride_x};
    pool_.stride_y = pool_.stride_x = 1;
    return strides;
  }

  Requirements reshape(std::span<const Shape> in, Ops& ops, const PlanOptions& options) override {
    const PoolSpec spec{.in = in[0],
                        .kind = kind_,
                        .size = pool_.size,
                        .stride_y = pool_.stride_y,
                        .stride_x = pool_.stride_x,
                        .padding = pool_.padding};
    plan_ = ops.pool(spec, options);
    if (!plan_) plan_ = make_launched_pool(spec, options);
    return {.output = spec.out(),
            .workspace = plan_->workspace(),
            .saved = plan_->saved(),
            .needs_input = false,
            .needs_output = false};
  }

  void forward(const Pass& pass, std::span<const TensorView> in, TensorView out) override {
    plan_->forward(pass.stream, in[0], out, pass.saved, pass.workspace);
  }

  void backward(const Pass& pass, const BackwardArguments& a) override {
    const GradientSlot& slot = a.in_gradient[0];
    if (slot.view)
      plan_->backward(pass.stream, a.out_gradient, slot.view, slot.add, pass.saved, pass.workspace);
  }

  std::string to_onnx(OnnxBuilder& graph, std::span<const OnnxValue> in) const override {
    const std::int64_t before = pool_.padding / 2, after = pool_.padding - before;
    std::vector<OnnxAttribute> attributes{{"kernel_shape", std::vector{pool_.size, pool_.size}},
                                          {"strides", std::vector{pool_.stride_y, pool_.stride_x}},
                                          {"pads", std::vector{before, before, after, after}}};
    if (kind_ == PoolKind::max) return graph.add("MaxPool", {in[0].name}, attributes);
    attributes.push_back({"count_include_pad", std::int64_t{0}});
    return graph.add("AveragePool", {in[0].name}, attributes);
  }

  bool keeps_integers() const override { return kind_ == PoolKind::max; }

  LayerSummary summary() const override {
    std::string size = cat(pool_.size, 'x', pool_.size, '/', pool_.stride_x);
    if (pool_.stride_y != pool_.stride_x) size += cat('x', pool_.stride_y);
    return {.size = size};
  }

 private:
  PoolKind kind_;
  PoolKeys pool_;
  std::shared_ptr<PoolPlan> plan_;
};

class DepthPoolLayer final : public Layer {
 public:
  DepthPoolLayer(Section& section, const LayerContext& context, const DepthKeys& depth)
      : Layer(section, context), depth_(depth) {
    // Darknet: sizes and strides have no part in it. Its cfgs give size=1 and stride=1.
    PoolKeys unused;
    section.read(unused);
    for (const char* key : {"size", "stride", "stride_x", "stride_y"})
      if (section.has(key) && !section.equals(key, 1))
        section.ignore(key, "has no effect with maxpool_depth=1");
    if (unused.padding > 0) section.ignore("padding", "has no effect with maxpool_depth=1");
  }

  Requirements reshape(std::span<const Shape> in, Ops&, const PlanOptions&) override {
    Shape out = in[0];
    out.c = depth_.out_channels;
    if (out.c > in[0].c)
      fail(title(), ": out_channels=", out.c, " is more than its ", in[0].c, " input channels");
    return {.output = out, .needs_output = false};
  }

  void forward(const Pass& pass, std::span<const TensorView> in, TensorView out) override {
    with_element(out.dtype, [&](auto element) {
      using T = decltype(element);
      for_each_pixel(pass.stream, out.shape, DepthMaxForward<T>{of<T>(in[0]), out.as<T>()});
    });
  }

  void backward(const Pass& pass, const BackwardArguments& a) override {
    put_gradient_by_pixel(pass, a.in_gradient[0], [&]<class T>(const Sink<T>& sink) {
      return DepthMaxBackward<T>{of<T>(a.in[0]), a.out_gradient.as<T>(), sink};
    });
  }

  // Rounds of `out_channels` channels, of which the last may have fewer.
  std::string to_onnx(OnnxBuilder& graph, std::span<const OnnxValue> in) const override {
    const std::int64_t kept = depth_.out_channels, channels = in[0].shape.c;
    const std::int64_t whole = channels / kept * kept, rest = channels - whole;
    std::string x = in[0].name;
    if (rest > 0) x = graph.slice(x, {{1, 0, whole}});
    x = graph.reshape(x, {0, whole / kept, kept, in[0].shape.h * in[0].shape.w});
    x = graph.add("ReduceMax", {x},
                  {{"axes", std::vector<std::int64_t>{1}}, {"keepdims", std::int64_t{0}}});
    x = graph.reshape(x, {0, kept, in[0].shape.h, in[0].shape.w});
    if (rest == 0) return x;
    const std::string last = graph.slice(in[0].name, {{1, whole, channels}});
    const std::string more = graph.add("Max", {graph.slice(x, {{1, 0, rest}}), last});
    return graph.concat({more, graph.slice(x, {{1, rest, kept}})}, 1);
  }

  LayerSummary summary() const override {
    return {.filters = cat(depth_.out_channels), .note = "over channels"};
  }

 private:
  template <class T>
  DepthMax<T> of(const TensorView& in) const {
    return {in.as<T>(), depth_.out_channels};
  }
  DepthKeys depth_;
};

class PeakLayer final : public Layer {
 public:
  PeakLayer(Section& section, const LayerContext& context, bool blurred)
      : Layer(section, context), pool_(read_pool_keys(section)) {
    if (pool_.padding != pool_.size - 1)
      section.fail_between({"maxpool_zero_nonmax", "padding"},
                           cat("each input needs a window of its own: give padding=",
                               pool_.size - 1, ", or leave it out"));
    if (!blurred && (pool_.stride_x > 1 || pool_.stride_y > 1))
      section.fail_between(
          {"maxpool_zero_nonmax", "stride", "stride_x", "stride_y"},
          "each input needs a window of its own: give stride=1, or antialiasing=1 or 2");
  }

  Strides strides() const { return {pool_.stride_y, pool_.stride_x}; }  // of the blur behind it

  Requirements reshape(std::span<const Shape> in, Ops&, const PlanOptions&) override {
    return {.output = in[0], .needs_output = false};
  }

  void forward(const Pass& pass, std::span<const TensorView> in, TensorView out) override {
    with_element(out.dtype, [&](auto element) {
      using T = decltype(element);
      for_each_pixel(pass.stream, out.shape, PeaksForward<T>{of<T>(in[0]), out.as<T>()});
    });
  }

  void backward(const Pass& pass, const BackwardArguments& a) override {
    put_gradient_by_pixel(pass, a.in_gradient[0], [&]<class T>(const Sink<T>& sink) {
      return PeaksBackward<T>{of<T>(a.in[0]), a.out_gradient.as<T>(), sink};
    });
  }

  // x (1 - sign(maximum - x)).
  std::string to_onnx(OnnxBuilder& graph, std::span<const OnnxValue> in) const override {
    const std::int64_t before = pool_.padding / 2, after = pool_.padding - before;
    const std::string& x = in[0].name;
    const std::string largest = graph.add("MaxPool", {x},
                                          {{"kernel_shape", std::vector{pool_.size, pool_.size}},
                                           {"strides", std::vector<std::int64_t>{1, 1}},
                                           {"pads", std::vector{before, before, after, after}}});
    const std::string smaller = graph.add("Sign", {graph.add("Sub", {largest, x})});
    return graph.add("Sub", {x, graph.add("Mul", {x, smaller})});
  }

  LayerSummary summary() const override {
    return {.size = cat(pool_.size, 'x', pool_.size, "/1"), .note = "zero except at maxima"};
  }

 private:
  template <class T>
  Peaks<T> of(const TensorView& in) const {
    return {in.as<T>(), pool_.size, pool_.padding / 2};
  }
  PoolKeys pool_;
};

}  // namespace

LayerPtr make_maxpool(Section& section, const LayerContext& context) {
  DepthKeys keys;
  AntialiasingKeys blur;
  section.read(keys);
  section.read(blur);
  const bool blurred = blur.antialiasing > 0;
  if (keys.maxpool_depth) {
    for (const char* key : {"antialiasing", "maxpool_zero_nonmax"})
      if (section.has(key) && !section.equals(key, 0))
        section.ignore(key, "has no effect with maxpool_depth=1");
    return std::make_unique<DepthPoolLayer>(section, context, keys);
  }
  LayerPtr layer;
  Strides strides;
  if (keys.maxpool_zero_nonmax) {
    auto peaks = std::make_unique<PeakLayer>(section, context, blurred);
    strides = peaks->strides();
    layer = std::move(peaks);
  } else {
    auto pool = std::make_unique<PoolLayer>(section, context, PoolKind::max);
    if (blurred) strides = pool->take_strides();
    layer = std::move(pool);
  }
  if (!blurred) return layer;
  return with_output_stage(std::move(layer), make_blur(blur.antialiasing, strides), section,
                           context);
}

void describe_maxpool(KeyDocs& docs) {
  docs.add(PoolKeys{});
  docs.add(DepthKeys{});
  docs.add(AntialiasingKeys{});
}

LayerPtr make_local_avgpool(Section& section, const LayerContext& context) {
  return std::make_unique<PoolLayer>(section, context, PoolKind::average);
}

void describe_local_avgpool(KeyDocs& docs) { docs.add(PoolKeys{}); }

}  // namespace darknet
