// [shortcut] from, activation: the layer before plus earlier layers. Where these have other sizes,
// Darknet's rule: pixels by whole steps, missing channels count as zero. With weights_type a
// weighted sum (layers/weighted_shortcut.h).
#include <algorithm>
#include "core/elementwise.h"
#include "kernels/copy.h"
#include "layers/weighted_shortcut.h"
#include "nn/layer_index.h"
#include "nn/output_activation.h"

namespace darknet {
namespace {

// Darknet (shortcut_cpu): for x < min(w1, w2), out[x * sample] += from[x * stride], likewise y,
// with stride = from / out and sample = out / from, at least 1.
struct Fit {
  Shape from, out;
  std::int64_t stride, sample;
  DN_HD bool covers(std::int64_t y, std::int64_t x, std::int64_t c) const {
    return y < math::min(from.h, out.h) && x < math::min(from.w, out.w) &&
           c < math::min(from.c, out.c);
  }
};

template <class T>
struct AddFitted {
  Fit fit;
  View<const T> a, b;
  View<T> out;
  DN_HD void operator()(std::int64_t p, std::int64_t c) const {
    const Shape& s = fit.out;
    const std::int64_t x = p % s.w, y = p / s.w % s.h, n = p / (s.w * s.h), k = fit.sample;
    const bool hit = x % k == 0 && y % k == 0 && fit.covers(y / k, x / k, c);
    float sum = a.at(p, c);
    if (hit) sum += b.at(b.pixel(n, y / k * fit.stride, x / k * fit.stride), c);
    out.at(p, c) = sum;
  }
};

// a * a_scale + b * b_scale + offset, on the CPU: a row of the output. Each tensor holds f32 or
// integers.
template <class A, class B, class Out>
struct AddIntegers {
  View<const A> a;
  View<const B> b;
  View<Out> out;
  float a_scale, b_scale, offset;
  void operator()(std::int64_t row) const {
    const std::int64_t count = out.shape.w * out.shape.c;
    const A* const x = a.data + row * count;
    const B* const y = b.data + row * count;
    Out* const to = out.data + row * count;
    const float by_x = a_scale, by_y = b_scale, more = offset;
#pragma omp simd  // the output may be an input
    for (std::int64_t i = 0; i < count; ++i) {
      const float sum = static_cast<float>(x[i]) * by_x + static_cast<float>(y[i]) * by_y + more;
      to[i] = static_cast<Out>(stored(sum));
    }
  }
  static auto stored(float sum) {
    if constexpr (std::is_same_v<Out, float>)
      return sum;
    else
      return static_cast<std::int32_t>(math::min(math::max(0.f, sum + .5f), 255.f));
  }
};

// f(element) for f32 or integers.
template <class F>
void with_integers(const TensorView& t, const F& f) {
  if (t.dtype == DType::u8)
    f(std::uint8_t{});
  else
    f(float{});
}

template <class T>
struct GradientFitted {
  Fit fit;
  View<const T> gradient;
  Sink<T> from;
  DN_HD void operator()(std::int64_t p, std::int64_t c) const {
    const Shape& s = fit.from;
    const std::int64_t x = p % s.w, y = p / s.w % s.h, n = p / (s.w * s.h), k = fit.stride;
    const bool hit = x % k == 0 && y % k == 0 && fit.covers(y / k, x / k, c);
    float value = 0;
    if (hit) value = gradient.at(gradient.pixel(n, y / k * fit.sample, x / k * fit.sample), c);
    from.put(p, c, value);
  }
};

class ShortcutLayer final : public Layer {
 public:
  ShortcutLayer(Section& section, const LayerContext& context, const ShortcutKeys& keys)
      : Layer(section, context),
        sources_(shortcut_sources(section, context, keys)),
        activation_(keys.activation) {}

  std::vector<std::int64_t> sources() const override { return sources_; }

  Requirements reshape(std::span<const Shape> in, Ops&, const PlanOptions& options) override {
    fits_.clear();
    for (std::size_t i = 1; i < in.size(); ++i) fits_.push_back(fit(in[i], in[0], sources_[i]));
    Requirements r{.output = in[0], .needs_input = false, .in_place = true};
    activation_.require(r, options);
    // Where they no longer fit with this size, the network plans without integers (plan_size).
    in_integers_ = !options.integer_inputs.empty() && adds_integers();
    if (in_integers_) set_scales(options);
    return r;
  }

  void forward(const Pass& pass, std::span<const TensorView> in, TensorView out) override {
    if (in_integers_) return add_integers(pass.stream, in[0], in[1], out);
    const TensorView sum = activation_.before(pass, out);
    for (std::size_t i = 0; i < fits_.size(); ++i)
      add(pass.stream, fits_[i], i == 0 ? in[0] : sum, in[i + 1], sum);
    activation_.forward(pass, out);
  }

  void backward(const Pass& pass, const BackwardArguments& a) override {
    activation_.backward(pass, a.out, a.out_gradient);
    for (std::size_t i = 0; i < sources_.size(); ++i) {
      const GradientSlot& slot = a.in_gradient[i];
      if (!slot.view) continue;
      if (slot.view.shape == a.out_gradient.shape)
        put_pixels(pass.stream, a.out_gradient, slot.view, slot.add);
      else
        put_fitted(pass.stream, fits_[i - 1], a.out_gradient, slot);
    }
  }

  std::string to_onnx(OnnxBuilder& graph, std::span<const OnnxValue> in) const override {
    std::string sum = in[0].name;
    for (std::size_t i = 0; i < fits_.size(); ++i)
      sum = graph.add("Add", {sum, fitted(graph, fits_[i], in[i + 1].name)});
    return activation_.to_onnx(graph, sum);
  }

  bool adds_integers() const override {
    return fits_.size() == 1 && fits_[0].from == fits_[0].out && activation_.linear();
  }

  LayerSummary summary() const override {
    std::string note = "plus";
    for (std::size_t i = 1; i < sources_.size(); ++i) note += cat(' ', sources_[i]);
    return {.note = note + ", " + activation_.name()};
  }

 private:
  // What is added, in the shape of the output: cut to what is covered, its pixels apart by `sample`
  // with zeros between them, zeros behind.
  static std::string fitted(OnnxBuilder& graph, const Fit& f, std::string x) {
    if (f.from == f.out) return x;
    const std::int64_t h = std::min(f.from.h, f.out.h), w = std::min(f.from.w, f.out.w),
                       c = std::min(f.from.c, f.out.c), s = f.stride, k = f.sample;
    x = graph.slice(x, {{1, 0, c}, {2, 0, (h - 1) * s + 1, s}, {3, 0, (w - 1) * s + 1, s}});
    if (k > 1) {
      const std::string rows = graph.reshape(x, {0, c, h * w, 1});
      const std::string ends = graph.integers("pads", {0, 0, 0, 0, 0, 0, 0, k - 1});
      x = graph.reshape(graph.add("Pad", {rows, ends}), {0, c, h, w * k});
      const std::string below = graph.integers("pads", {0, 0, 0, 0, 0, 0, 0, (k - 1) * w * k});
      x = graph.reshape(graph.add("Pad", {x, below}), {0, c, h * k, w * k});
    }
    const std::int64_t more_c = f.out.c - c, more_h = f.out.h - h * k, more_w = f.out.w - w * k;
    if (more_c == 0 && more_h == 0 && more_w == 0) return x;
    return graph.add("Pad", {x, graph.integers("pads", {0, 0, 0, 0, 0, more_c, more_h, more_w})});
  }

  Fit fit(const Shape& from, const Shape& out, std::int64_t source) const {
    const Fit f{from, out, std::max<std::int64_t>(from.w / out.w, 1),
                std::max<std::int64_t>(out.w / from.w, 1)};
    const bool same = f.stride == std::max<std::int64_t>(from.h / out.h, 1) &&
                      f.sample == std::max<std::int64_t>(out.h / from.h, 1);
    if (!same)
      fail(title(), ": layer ", source, " is ", from.w, 'x', from.h, " and the layer before it ",
           out.w, 'x', out.h, "; one must be a multiple of the other");
    return f;
  }

  // From what the inputs hold, f32 or integers, to what the output holds.
  void set_scales(const PlanOptions& options) {
    const IntegerScale real, out = options.integer_output ? *options.integer_output : real;
    const IntegerScale a = options.integer_inputs[0].value_or(real);
    const IntegerScale b = options.integer_inputs[1].value_or(real);
    a_scale_ = a.scale / out.scale, b_scale_ = b.scale / out.scale;
    offset_ = static_cast<float>(out.zero_point) - static_cast<float>(a.zero_point) * a_scale_ -
              static_cast<float>(b.zero_point) * b_scale_;
  }
  void add_integers(const Stream& s, const TensorView& a, const TensorView& b,
                    const TensorView& out) const {
    const HostGrid rows{.rows = out.shape.n * out.shape.h, .grain = out.shape.w * out.shape.c};
    with_integers(a, [&]<class A>(A) {
      with_integers(b, [&]<class B>(B) {
        with_integers(out, [&]<class Out>(Out) {
          using Add = AddIntegers<A, B, Out>;
          const Add add{a.as<A>(), b.as<B>(), out.as<Out>(), a_scale_, b_scale_, offset_};
          run_on_host(s, rows, add, IndexLoop<Add>::run);
        });
      });
    });
  }

  static void add(const Stream& s, const Fit& fit, const TensorView& a, const TensorView& b,
                  const TensorView& out) {
    with_element(out.dtype, [&](auto element) {
      using T = decltype(element);
      if (fit.from == fit.out)
        map_pixels(s, Plus{}, out.as<T>(), input<T>(a), input<T>(b));
      else
        for_each_pixel(s, out.shape, AddFitted<T>{fit, a.as<T>(), b.as<T>(), out.as<T>()});
    });
  }

  static void put_fitted(const Stream& s, const Fit& fit, const TensorView& gradient,
                         const GradientSlot& slot) {
    with_element(gradient.dtype, [&](auto element) {
      using T = decltype(element);
      const Sink<T> sink{slot.view.as<T>(), slot.add};
      for_each_pixel(s, slot.view.shape, GradientFitted<T>{fit, gradient.as<T>(), sink});
    });
  }

  std::vector<std::int64_t> sources_;  // the layer before, then `from`
  std::vector<Fit> fits_;              // of every `from`
  OutputActivation activation_;
  bool in_integers_ = false;  // one of its tensors at least
  float a_scale_ = 1, b_scale_ = 1, offset_ = 0;
};

}  // namespace

std::vector<std::int64_t> shortcut_sources(const Section& section, const LayerContext& context,
                                           const ShortcutKeys& keys) {
  std::vector<std::int64_t> sources = layer_indices(section, "from", keys.from, context);
  sources.insert(sources.begin(), context.index - 1);
  return sources;
}

LayerPtr make_shortcut(Section& section, const LayerContext& context) {
  ShortcutKeys keys;
  section.read(keys);
  if (keys.weights_type != ShortcutWeights::none) return weighted_shortcut(section, context, keys);
  if (keys.weights_normalization != ShortcutNormalization::none)
    section.ignore("weights_normalization", "no effect: without weights_type there are no weights");
  return std::make_unique<ShortcutLayer>(section, context, keys);
}

void describe_shortcut(KeyDocs& docs) { docs.add(ShortcutKeys{}); }

}  // namespace darknet
