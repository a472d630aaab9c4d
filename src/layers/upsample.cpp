// [upsample] stride, scale: nearest-neighbour enlargement; a negative stride shrinks by summing
// blocks, as Darknet does, which is the transposed operation.
#include <cstring>

#include "core/elementwise.h"
#include "kernels/copy.h"
#include "nn/layer.h"
#include "nn/onnx_builder.h"

namespace darknet {
namespace {

// The pixels of the large side that one of the small side stands for: a square with this one at its
// upper left.
struct UpsampleBlocks {
  Shape small;
  std::int64_t stride;
  DN_HD std::int64_t first(std::int64_t p) const {
    const std::int64_t row = p / small.w, x = p - row * small.w;
    return (row * small.w * stride + x) * stride;
  }
  DN_HD std::int64_t pixel(std::int64_t first, std::int64_t dy, std::int64_t dx) const {
    return first + dy * small.w * stride + dx;
  }
};

// Both have an index for a pixel of the small side and some of its channels.
template <class T>
struct Enlarge {
  UpsampleBlocks blocks;
  View<const T> in;
  Sink<T> out;
  float scale;
  template <int N>
  DN_HD void run(std::int64_t p, std::int64_t c) const {
    Vec<float, N> values = convert<float>(load_vec<N>(in, p, c));
    for (int k = 0; k < N; ++k) values[k] *= scale;
    const std::int64_t first = blocks.first(p);
    for (std::int64_t dy = 0; dy < blocks.stride; ++dy)
      for (std::int64_t dx = 0; dx < blocks.stride; ++dx)
        put_vec<N>(out, blocks.pixel(first, dy, dx), c, values);
  }
};

// The same of integers, on the CPU: a row of the large side.
struct EnlargeIntegers {
  View<const std::uint8_t> in;
  View<std::uint8_t> out;
  std::int64_t stride;
  void operator()(std::int64_t row) const {
    const auto bytes = static_cast<std::size_t>(in.shape.c);
    const std::int64_t from = row / stride * in.shape.w, to = row * out.shape.w;
    for (std::int64_t x = 0; x < out.shape.w; ++x)
      std::memcpy(&out.at(to + x, 0), &in.at(from + x / stride, 0), bytes);
  }
};

template <class T>
struct SumBlocks {
  UpsampleBlocks blocks;
  View<const T> in;
  Sink<T> out;
  float scale;
  template <int N>
  DN_HD void run(std::int64_t p, std::int64_t c) const {
    Vec<float, N> sum{};
    const std::int64_t first = blocks.first(p);
    for (std::int64_t dy = 0; dy < blocks.stride; ++dy)
      for (std::int64_t dx = 0; dx < blocks.stride; ++dx) {
        const auto values = convert<float>(load_vec<N>(in, blocks.pixel(first, dy, dx), c));
        for (int k = 0; k < N; ++k) sum[k] += values[k];
      }
    for (int k = 0; k < N; ++k) sum[k] *= scale;
    put_vec<N>(out, p, c, sum);
  }
};

struct UpsampleKeys {
  std::int64_t stride = 2;
  float scale = 1;
  template <class V>
  void fields(V&& v) {
    v("stride", stride, Integers{-64, 64}, "factor of enlargement; negative: shrinks, summing");
    v("scale", scale, Reals{-1e6f, 1e6f}, "factor on every value");
  }
};

class UpsampleLayer final : public Layer {
 public:
  UpsampleLayer(Section& section, const LayerContext& context) : Layer(section, context) {
    section.read(upsample_);
    if (upsample_.stride == 0) section.fail("stride", "0 is not a factor");
  }

  Requirements reshape(std::span<const Shape> in, Ops&, const PlanOptions&) override {
    const std::int64_t k = factor();
    Shape out = in[0];
    if (shrinks()) {
      if (out.h % k != 0 || out.w % k != 0)
        fail(title(), ": stride=-", k, " does not divide its input of ", out.w, 'x', out.h);
      out.h /= k, out.w /= k;
    } else {
      out.h *= k, out.w *= k;
    }
    return {.output = out, .needs_input = false, .needs_output = false};
  }

  void forward(const Pass& pass, std::span<const TensorView> in, TensorView out) override {
    if (out.dtype == DType::u8) return enlarge_integers(pass.stream, in[0], out);
    put(pass.stream, shrinks(), in[0], {out, false});
  }

  void backward(const Pass& pass, const BackwardArguments& a) override {
    const GradientSlot& slot = a.in_gradient[0];
    if (slot.view) put(pass.stream, !shrinks(), a.out_gradient, slot);
  }

  std::string to_onnx(OnnxBuilder& graph, std::span<const OnnxValue> in) const override {
    const std::int64_t k = factor();
    if (shrinks()) {
      const std::vector<OnnxAttribute> blocks{{"kernel_shape", std::vector{k, k}},
                                              {"strides", std::vector{k, k}}};
      const std::string means = graph.add("AveragePool", {in[0].name}, blocks);
      return graph.scale(means, upsample_.scale * static_cast<float>(k * k));
    }
    const auto by = static_cast<float>(k);
    const std::string large =
        graph.add("Resize", {in[0].name, "", graph.floats32("scales", {1, 1, by, by})},
                  {{"mode", "nearest"},
                   {"nearest_mode", "floor"},
                   {"coordinate_transformation_mode", "asymmetric"}});
    return graph.scale(large, upsample_.scale);
  }

  bool keeps_integers() const override { return !shrinks() && upsample_.scale == 1; }

  LayerSummary summary() const override { return {.size = cat(shrinks() ? "/" : "*", factor())}; }

 private:
  bool shrinks() const { return upsample_.stride < 0; }
  std::int64_t factor() const { return shrinks() ? -upsample_.stride : upsample_.stride; }
  void enlarge_integers(const Stream& s, const TensorView& in, const TensorView& out) const {
    const EnlargeIntegers row{in.as<std::uint8_t>(), out.as<std::uint8_t>(), factor()};
    run_on_host(s, {.rows = out.shape.n * out.shape.h, .grain = out.shape.w * out.shape.c}, row,
                IndexLoop<EnlargeIntegers>::run);
  }
  void put(const Stream& s, bool sums, const TensorView& in, const GradientSlot& to) const {
    with_element(in.dtype, [&](auto element) {
      using T = decltype(element);
      const View<const T> from = in.as<T>();
      const Sink<T> sink{to.view.as<T>(), to.add};
      const UpsampleBlocks blocks{sums ? to.view.shape : in.shape, factor()};
      if (sums)
        for_each_vec<kVecWidth<T>>(
            s, blocks.small, SumBlocks<T>{blocks, from, sink, upsample_.scale}, from, sink.to);
      else
        for_each_vec<kVecWidth<T>>(s, blocks.small, Enlarge<T>{blocks, from, sink, upsample_.scale},
                                   from, sink.to);
    });
  }

  UpsampleKeys upsample_;
};

}  // namespace

LayerPtr make_upsample(Section& section, const LayerContext& context) {
  return std::make_unique<UpsampleLayer>(section, context);
}

void describe_upsample(KeyDocs& docs) { docs.add(UpsampleKeys{}); }

}  // namespace darknet
