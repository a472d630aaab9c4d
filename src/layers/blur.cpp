#include "core/for_each.h"
#include "core/index.h"
#include "core/math.h"
#include "kernels/copy.h"
#include "layers/output_stage.h"

namespace darknet {
namespace {

// A tap weighs the product of one weight of each axis; zeros lie around the input.
struct BlurGeometry {
  std::int64_t size, padding;  // 3 and 1, or 2 and 0
  Strides stride;
  DN_HD float weight(std::int64_t tap) const { return size == 2 || tap == 1 ? .5f : .25f; }
};

template <class T>
struct BlurForward {
  BlurGeometry g;
  View<const T> in;
  View<T> out;
  DN_HD void operator()(std::int64_t p, std::int64_t c) const {
    const Shape &s = in.shape, &o = out.shape;
    const std::int64_t x = p % o.w * g.stride.x - g.padding,
                       y = p / o.w % o.h * g.stride.y - g.padding, n = p / (o.w * o.h);
    float sum = 0;
    for (std::int64_t dy = math::max(-y, std::int64_t{0}); dy < math::min(g.size, s.h - y); ++dy)
      for (std::int64_t dx = math::max(-x, std::int64_t{0}); dx < math::min(g.size, s.w - x); ++dx)
        sum += g.weight(dy) * g.weight(dx) * in.at(in.pixel(n, y + dy, x + dx), c);
    out.at(p, c) = sum;
  }
};

template <class T>
struct BlurBackward {
  BlurGeometry g;
  View<const T> gradient;
  View<T> in;
  DN_HD void operator()(std::int64_t p, std::int64_t c) const {
    const Shape &s = in.shape, &o = gradient.shape;
    const std::int64_t x = p % s.w + g.padding, y = p / s.w % s.h + g.padding, n = p / (s.w * s.h);
    float sum = 0;
    for (std::int64_t dy = 0; dy < g.size; ++dy)
      for (std::int64_t dx = 0; dx < g.size; ++dx) {
        const std::int64_t top = y - dy, left = x - dx;
        if (top < 0 || left < 0 || top % g.stride.y != 0 || left % g.stride.x != 0) continue;
        const std::int64_t row = top / g.stride.y, column = left / g.stride.x;
        if (row < o.h && column < o.w)
          sum += g.weight(dy) * g.weight(dx) * gradient.at(gradient.pixel(n, row, column), c);
      }
    in.at(p, c) = sum;
  }
};

class Blur final : public OutputStage {
 public:
  explicit Blur(const BlurGeometry& g) : g_(g) {}

  Shape output(const Shape& in) const override {
    if (in.h + 2 * g_.padding < g_.size || in.w + 2 * g_.padding < g_.size)
      fail("antialiasing=2 needs at least 2x2 pixels, there are ", in.w, 'x', in.h,
           ": leave it out, or give a larger input");
    return {in.n, (in.h + 2 * g_.padding - g_.size) / g_.stride.y + 1,
            (in.w + 2 * g_.padding - g_.size) / g_.stride.x + 1, in.c};
  }
  bool needs_input() const override { return false; }

  void forward(const Stream& s, const TensorView& in, const TensorView& out) const override {
    launch<BlurForward>(s, in, out);
  }

  void backward(const Stream& s, const TensorView&, const TensorView& out_gradient,
                const TensorView& in_gradient) const override {
    launch<BlurBackward>(s, out_gradient, in_gradient);
  }

  std::string to_onnx(OnnxBuilder& graph, const std::string& x, const Shape& in) const override {
    std::vector<float> weights;
    for (std::int64_t i = 0; i < in.c * g_.size * g_.size; ++i)
      weights.push_back(g_.weight(i % g_.size) * g_.weight(i / g_.size % g_.size));
    const std::string blur = graph.floats("blur", {in.c, 1, g_.size, g_.size}, std::move(weights));
    const std::int64_t p = g_.padding;
    return graph.add("Conv", {x, blur},
                     {{"kernel_shape", std::vector{g_.size, g_.size}},
                      {"strides", std::vector{g_.stride.y, g_.stride.x}},
                      {"pads", std::vector{p, p, p, p}},
                      {"group", in.c}});
  }

  std::string note() const override {
    return cat("blurred ", g_.size, 'x', g_.size, '/', g_.stride.x);
  }

 private:
  template <template <class> class Functor>
  void launch(const Stream& s, const TensorView& from, const TensorView& to) const {
    with_element(to.dtype, [&](auto element) {
      using T = decltype(element);
      for_each_pixel(s, to.shape, Functor<T>{g_, from.as<T>(), to.as<T>()});
    });
  }

  BlurGeometry g_;
};

}  // namespace

std::unique_ptr<OutputStage> make_blur(std::int64_t antialiasing, const Strides& stride) {
  const bool pairs = antialiasing == 2;
  return std::make_unique<Blur>(BlurGeometry{pairs ? 2 : 3, pairs ? 0 : 1, stride});
}

}  // namespace darknet
