// [upsample] stride, scale: nearest-neighbour enlargement; a negative stride shrinks by summing
// blocks, as Darknet does, which is the transposed operation.
#include "core/for_each.h"
#include "kernels/copy.h"
#include "nn/layer.h"

namespace darknet {
namespace {

template <class T>
struct Enlarge {  // one element of the large side each
  View<const T> in;
  Sink<T> out;
  std::int64_t stride;
  float scale;
  DN_HD void operator()(std::int64_t p, std::int64_t c) const {
    const Shape& s = out.to.shape;
    const std::int64_t x = p % s.w, y = p / s.w % s.h, n = p / (s.w * s.h);
    out.put(p, c, scale * in.at(in.pixel(n, y / stride, x / stride), c));
  }
};

// One element of the small side each. kStride 0: known at run time only; a constant lets the
// compiler vectorise.
template <int kStride, class T>
struct SumBlocks {
  View<const T> in;
  Sink<T> out;
  std::int64_t stride;
  float scale;
  DN_HD void operator()(std::int64_t p, std::int64_t c) const {
    const Shape& s = out.to.shape;
    const std::int64_t k = kStride > 0 ? kStride : stride;
    const std::int64_t x = p % s.w, y = p / s.w % s.h, n = p / (s.w * s.h);
    const std::int64_t first = in.pixel(n, y * k, x * k);
    float sum = 0;
    for (std::int64_t dy = 0; dy < k; ++dy)
      for (std::int64_t dx = 0; dx < k; ++dx) sum += in.at(first + dy * in.shape.w + dx, c);
    out.put(p, c, scale * sum);
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
    put(pass.stream, shrinks(), in[0], {out, false});
  }

  void backward(const Pass& pass, const BackwardArguments& a) override {
    const GradientSlot& slot = a.in_gradient[0];
    if (slot.view) put(pass.stream, !shrinks(), a.out_gradient, slot);
  }

  LayerSummary summary() const override { return {.size = cat(shrinks() ? "/" : "*", factor())}; }

 private:
  bool shrinks() const { return upsample_.stride < 0; }
  std::int64_t factor() const { return shrinks() ? -upsample_.stride : upsample_.stride; }
  void put(const Stream& s, bool sums, const TensorView& in, const GradientSlot& to) const {
    with_element(in.dtype, [&](auto element) {
      using T = decltype(element);
      const Sink<T> sink{to.view.as<T>(), to.add};
      if (!sums)
        for_each_pixel(s, to.view.shape, Enlarge<T>{in.as<T>(), sink, factor(), upsample_.scale});
      else if (factor() == 2)
        for_each_pixel(s, to.view.shape, SumBlocks<2, T>{in.as<T>(), sink, 2, upsample_.scale});
      else
        for_each_pixel(s, to.view.shape,
                       SumBlocks<0, T>{in.as<T>(), sink, factor(), upsample_.scale});
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
