#include "kernels/pool.h"

#include "core/for_each.h"
#include "core/math.h"
#include "kernels/copy.h"

namespace darknet {
namespace {

// Where windows lie: output i covers [i*stride - before, ... + size) on each axis.
struct Geometry {
  Shape in, out;
  std::int64_t size, stride_y, stride_x, before;

  struct Window {  // the part of a window that lies in the image
    std::int64_t y0, y1, x0, x1;
    DN_HD std::int64_t pixels() const { return (y1 - y0) * (x1 - x0); }
  };
  DN_HD Window window(std::int64_t y, std::int64_t x) const {
    const std::int64_t top = y * stride_y - before, left = x * stride_x - before;
    return {math::max<std::int64_t>(top, 0), math::min(top + size, in.h),
            math::max<std::int64_t>(left, 0), math::min(left + size, in.w)};
  }
  // The outputs [first, last] on an axis whose windows cover input position p.
  DN_HD std::int64_t first(std::int64_t p, std::int64_t stride) const {
    const std::int64_t room = p + before - size;  // the last position that a window ends before p
    return room < 0 ? 0 : room / stride + 1;
  }
  DN_HD std::int64_t last(std::int64_t p, std::int64_t stride, std::int64_t count) const {
    return math::min((p + before) / stride, count - 1);
  }
};

struct Place {  // of a pixel in its image
  std::int64_t n, y, x;
};
DN_HD Place place_of(std::int64_t pixel, const Shape& s) {
  return {pixel / (s.h * s.w), pixel / s.w % s.h, pixel % s.w};
}

struct MaxForward {
  Geometry g;
  View<const float> in;
  View<float> out;
  std::int32_t* winners;  // null at inference; of each output element: the pixel within its image
  DN_HD void operator()(std::int64_t p, std::int64_t c) const {
    const Place at = place_of(p, g.out);
    const Geometry::Window w = g.window(at.y, at.x);
    std::int64_t winner = w.y0 * g.in.w + w.x0;
    const std::int64_t image = at.n * g.in.h * g.in.w;
    for (std::int64_t y = w.y0; y < w.y1; ++y)
      for (std::int64_t x = w.x0; x < w.x1; ++x)
        if (in.at(image + y * g.in.w + x, c) > in.at(image + winner, c)) winner = y * g.in.w + x;
    out.at(p, c) = in.at(image + winner, c);
    if (winners) winners[p * g.out.c + c] = static_cast<std::int32_t>(winner);
  }
};

// Calls take(output pixel, window) for every window that covers the input pixel.
template <class Take>
DN_HD void for_windows(const Geometry& g, const Place& at, const Take& take) {
  for (std::int64_t y = g.first(at.y, g.stride_y); y <= g.last(at.y, g.stride_y, g.out.h); ++y)
    for (std::int64_t x = g.first(at.x, g.stride_x); x <= g.last(at.x, g.stride_x, g.out.w); ++x)
      take((at.n * g.out.h + y) * g.out.w + x, g.window(y, x));
}

struct MaxBackward {
  Geometry g;
  View<const float> gradient;
  const std::int32_t* winners;
  Sink in;
  DN_HD void operator()(std::int64_t p, std::int64_t c) const {
    const Place at = place_of(p, g.in);
    const std::int64_t here = at.y * g.in.w + at.x;
    float sum = 0;
    for_windows(g, at, [&](std::int64_t o, const Geometry::Window&) {
      if (winners[o * g.out.c + c] == here) sum += gradient.at(o, c);
    });
    in.put(p, c, sum);
  }
};

struct AverageForward {
  Geometry g;
  View<const float> in;
  View<float> out;
  DN_HD void operator()(std::int64_t p, std::int64_t c) const {
    const Place at = place_of(p, g.out);
    const Geometry::Window w = g.window(at.y, at.x);
    float sum = 0;
    for (std::int64_t y = w.y0; y < w.y1; ++y)
      for (std::int64_t x = w.x0; x < w.x1; ++x) sum += in.at((at.n * g.in.h + y) * g.in.w + x, c);
    out.at(p, c) = sum / static_cast<float>(w.pixels());
  }
};

struct AverageBackward {
  Geometry g;
  View<const float> gradient;
  Sink in;
  DN_HD void operator()(std::int64_t p, std::int64_t c) const {
    float sum = 0;
    for_windows(g, place_of(p, g.in), [&](std::int64_t o, const Geometry::Window& w) {
      sum += gradient.at(o, c) / static_cast<float>(w.pixels());
    });
    in.put(p, c, sum);
  }
};

class LaunchedPool final : public PoolPlan {
 public:
  LaunchedPool(const PoolSpec& spec, const PlanOptions& options)
      : kind_(spec.kind),
        geometry_{spec.in, spec.out(), spec.size, spec.stride_y, spec.stride_x, spec.padding / 2},
        training_(options.mode == Mode::training) {}

  std::int64_t workspace() const override { return 0; }
  std::int64_t saved() const override {
    const bool keeps = training_ && kind_ == PoolKind::max;
    return keeps ? geometry_.out.size() * std::int64_t{sizeof(std::int32_t)} : 0;
  }
  std::string description() const override { return "launched"; }

  void forward(const Stream& s, TensorView in, TensorView out, void* saved, void*) override {
    if (kind_ == PoolKind::average)
      return for_each_pixel(s, geometry_.out, AverageForward{geometry_, in.as<>(), out.as<>()});
    auto* const winners = training_ ? static_cast<std::int32_t*>(saved) : nullptr;
    for_each_pixel(s, geometry_.out, MaxForward{geometry_, in.as<>(), out.as<>(), winners});
  }

  void backward(const Stream& s, TensorView out_gradient, TensorView in_gradient, bool add,
                const void* saved, void*) override {
    const Sink sink{in_gradient.as<>(), add};
    if (kind_ == PoolKind::average)
      return for_each_pixel(s, geometry_.in, AverageBackward{geometry_, out_gradient.as<>(), sink});
    for_each_pixel(
        s, geometry_.in,
        MaxBackward{geometry_, out_gradient.as<>(), static_cast<const std::int32_t*>(saved), sink});
  }

 private:
  PoolKind kind_;
  Geometry geometry_;
  bool training_;
};

}  // namespace

std::unique_ptr<PoolPlan> make_launched_pool(const PoolSpec& spec, const PlanOptions& options) {
  return std::make_unique<LaunchedPool>(spec, options);
}

}  // namespace darknet
