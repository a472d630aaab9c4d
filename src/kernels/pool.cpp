#include "kernels/pool.h"

#include <algorithm>
#include <limits>

#include "core/elementwise.h"
#include "core/math.h"
#include "kernels/copy.h"

namespace darknet {
namespace {

// Where windows lie: output i covers [i*stride - before, ... + size) on each axis. In 32 bits: a
// GPU divides 64-bit numbers several times slower.
struct PoolGeometry {
  std::int32_t in_h, in_w, out_h, out_w, size, stride_y, stride_x, before;

  struct Place {  // of a pixel in its image
    std::int32_t y, x;
    std::int64_t image;  // the index of its first pixel, in the tensor that is asked for
  };
  DN_HD Place of_output(std::int64_t pixel) const {
    return place(pixel, out_h, out_w, std::int64_t{in_h} * in_w);
  }
  DN_HD Place of_input(std::int64_t pixel) const {
    return place(pixel, in_h, in_w, std::int64_t{out_h} * out_w);
  }

  // The part of the window of an output that lies in the image, from the window's own corner.
  struct Window {
    std::int32_t top, left;       // of the whole window, in the image
    std::int32_t y0, y1, x0, x1;  // within the window
    DN_HD std::int32_t pixels() const { return (y1 - y0) * (x1 - x0); }
  };
  DN_HD Window window(std::int32_t y, std::int32_t x) const {
    const std::int32_t top = y * stride_y - before, left = x * stride_x - before;
    return {top,
            left,
            math::max(-top, 0),
            math::min(size, in_h - top),
            math::max(-left, 0),
            math::min(size, in_w - left)};
  }
  // The last output on an axis of `count` whose window covers input position p.
  DN_HD std::int32_t last(std::int32_t p, std::int32_t stride, std::int32_t count) const {
    return math::min((p + before) / stride, count - 1);
  }
  // Whether every input pixel lies in exactly one window.
  bool tiles() const {
    return before == 0 && stride_y == size && stride_x == size && out_h * size >= in_h &&
           out_w * size >= in_w;
  }

 private:
  DN_HD static Place place(std::int64_t pixel, std::int32_t h, std::int32_t w,
                           std::int64_t pixels_of_other) {
    const auto p = static_cast<std::uint32_t>(pixel), columns = static_cast<std::uint32_t>(w);
    const auto rows = static_cast<std::uint32_t>(h);
    const std::uint32_t line = p / columns, n = line / rows;
    return {static_cast<std::int32_t>(line - n * rows),
            static_cast<std::int32_t>(p - line * columns), n * pixels_of_other};
  }
};

// f(input pixel, its place within the window) for the pixels of an output's window, line by line.
template <class F>
DN_HD void for_window(const PoolGeometry& g, std::int64_t output, F f) {
  const PoolGeometry::Place at = g.of_output(output);
  const PoolGeometry::Window w = g.window(at.y, at.x);
  for (std::int32_t y = w.y0; y < w.y1; ++y) {
    const std::int64_t line = at.image + std::int64_t{w.top + y} * g.in_w + w.left;
    for (std::int32_t x = w.x0; x < w.x1; ++x) f(line + x, y * g.size + x);
  }
}

template <class T, class Winner>
struct MaxForward {
  PoolGeometry g;
  View<const T> in;
  View<T> out;
  View<Winner> winners;  // null at inference; of each output element: the place within its window
  template <int N>
  DN_HD void run(std::int64_t p, std::int64_t c) const {
    Vec<float, N> max{};
    Vec<std::int32_t, N> winner{};
    bool first = true;
    for_window(g, p, [&](std::int64_t pixel, std::int32_t place) {
      const auto values = load_vec<N>(in, pixel, c);
      for (int k = 0; k < N; ++k) {
        const float value = values[k];
        const bool wins = first | (value > max[k]);
        max[k] = wins ? value : max[k];
        winner[k] = wins ? place : winner[k];
      }
      first = false;
    });
    store_vec<N>(out, p, c, convert<T>(max));
    if (winners.data) store_vec<N>(winners, p, c, convert<Winner>(winner));
  }
};

// f(output pixel, place of the input pixel within its window, window) for every window that covers
// the input pixel.
template <class F>
DN_HD void for_windows(const PoolGeometry& g, std::int64_t input, F f) {
  const PoolGeometry::Place at = g.of_input(input);
  for (std::int32_t y = g.last(at.y, g.stride_y, g.out_h); y >= 0; --y) {
    const std::int32_t within_y = at.y - (y * g.stride_y - g.before);
    if (within_y >= g.size) break;
    for (std::int32_t x = g.last(at.x, g.stride_x, g.out_w); x >= 0; --x) {
      const std::int32_t within_x = at.x - (x * g.stride_x - g.before);
      if (within_x >= g.size) break;
      f(at.image + std::int64_t{y} * g.out_w + x, within_y * g.size + within_x, g.window(y, x));
    }
  }
}

template <class T, class Winner>
struct MaxBackward {
  PoolGeometry g;
  View<const T> gradient;
  View<const Winner> winners;
  Sink<T> in;
  template <int N>
  DN_HD void run(std::int64_t p, std::int64_t c) const {
    Vec<float, N> sum{};
    for_windows(g, p, [&](std::int64_t o, std::int32_t place, const PoolGeometry::Window&) {
      const auto winner = load_vec<N>(winners, o, c);
      const auto values = load_vec<N>(gradient, o, c);
      for (int k = 0; k < N; ++k)
        sum[k] += static_cast<std::int32_t>(winner[k]) == place ? float{values[k]} : 0;
    });
    put_vec<N>(in, p, c, sum);
  }
};

// The same where windows tile the image: an output gives its window's pixels theirs.
template <class T, class Winner>
struct MaxBackwardOfTiles {
  PoolGeometry g;
  View<const T> gradient;
  View<const Winner> winners;
  Sink<T> in;
  template <int N>
  DN_HD void run(std::int64_t o, std::int64_t c) const {
    const auto winner = load_vec<N>(winners, o, c);
    const auto values = load_vec<N>(gradient, o, c);
    for_window(g, o, [&](std::int64_t pixel, std::int32_t place) {
      Vec<float, N> share;
      for (int k = 0; k < N; ++k)
        share[k] = static_cast<std::int32_t>(winner[k]) == place ? float{values[k]} : 0;
      put_vec<N>(in, pixel, c, share);
    });
  }
};

template <class T>
struct AverageForward {
  PoolGeometry g;
  View<const T> in;
  View<T> out;
  DN_HD void operator()(std::int64_t p, std::int64_t c) const {
    float sum = 0;
    std::int32_t pixels = 0;
    for_window(g, p, [&](std::int64_t pixel, std::int32_t) { sum += in.at(pixel, c), ++pixels; });
    out.at(p, c) = sum / static_cast<float>(pixels);
  }
};

template <class T>
struct AverageBackward {
  PoolGeometry g;
  View<const T> gradient;
  Sink<T> in;
  DN_HD void operator()(std::int64_t p, std::int64_t c) const {
    float sum = 0;
    for_windows(g, p, [&](std::int64_t o, std::int32_t, const PoolGeometry::Window& w) {
      sum += gradient.at(o, c) / static_cast<float>(w.pixels());
    });
    in.put(p, c, sum);
  }
};

std::int32_t narrow(std::int64_t v) { return static_cast<std::int32_t>(v); }

PoolGeometry geometry_of(const PoolSpec& s) {
  const Shape out = s.out();
  if (std::max(s.in.pixels(), out.pixels()) > std::numeric_limits<std::int32_t>::max())
    fail("pooling of ", to_string(s.in), ": at most 2^31 - 1 pixels; use a smaller batch or input");
  return {.in_h = narrow(s.in.h),
          .in_w = narrow(s.in.w),
          .out_h = narrow(out.h),
          .out_w = narrow(out.w),
          .size = narrow(s.size),
          .stride_y = narrow(s.stride_y),
          .stride_x = narrow(s.stride_x),
          .before = narrow(s.padding / 2)};
}

class LaunchedPool final : public PoolPlan {
 public:
  LaunchedPool(const PoolSpec& spec, const PlanOptions& options)
      : spec_(spec), out_(spec.out()), geometry_(geometry_of(spec)) {
    keeps_ = options.mode == Mode::training && spec.kind == PoolKind::max;
  }

  std::int64_t workspace() const override { return 0; }
  std::int64_t saved() const override {
    const std::int64_t bytes = small_ ? sizeof(std::uint8_t) : sizeof(std::int32_t);
    return keeps_ ? out_.size() * bytes : 0;
  }
  std::string description() const override { return "launched"; }

  void forward(const Stream& s, TensorView in, TensorView out, void* saved, void*) override {
    with_types(in.dtype, [&](auto element, auto winner) {
      using T = decltype(element);
      using Winner = decltype(winner);
      const View<const T> from = input<T>(in);
      const View<T> to = out.as<T>();
      if (spec_.kind == PoolKind::average)
        return for_each_pixel(s, out_, AverageForward<T>{geometry_, from, to});
      const View<Winner> winners = winners_in<Winner>(keeps_ ? saved : nullptr);
      for_each_vec<kVecWidth<T>>(s, out_, MaxForward<T, Winner>{geometry_, from, to, winners}, from,
                                 to, winners);
    });
  }

  void backward(const Stream& s, TensorView out_gradient, TensorView in_gradient, bool add,
                const void* saved, void*) override {
    with_types(in_gradient.dtype, [&](auto element, auto winner) {
      using T = decltype(element);
      using Winner = decltype(winner);
      const View<const T> from = input<T>(out_gradient);
      const Sink<T> to{in_gradient.as<T>(), add};
      if (spec_.kind == PoolKind::average)
        return for_each_pixel(s, spec_.in, AverageBackward<T>{geometry_, from, to});
      const View<const Winner> winners = winners_in<const Winner>(saved);
      const auto launch = [&](const Shape& shape, const auto& f) {
        for_each_vec<kVecWidth<T>>(s, shape, f, from, to.to, winners);
      };
      if (geometry_.tiles())
        launch(out_, MaxBackwardOfTiles<T, Winner>{geometry_, from, winners, to});
      else
        launch(spec_.in, MaxBackward<T, Winner>{geometry_, from, winners, to});
    });
  }

 private:
  template <class Winner, class Memory>
  View<Winner> winners_in(Memory* saved) const {
    return {static_cast<Winner*>(saved), out_, out_.c};
  }

  template <class F>
  void with_types(DType type, F f) const {
    with_element(type, [&](auto element) {
      if (small_)
        f(element, std::uint8_t{});
      else
        f(element, std::int32_t{});
    });
  }

  PoolSpec spec_;
  Shape out_;
  PoolGeometry geometry_;
  bool keeps_ = false;                           // winners
  bool small_ = spec_.size * spec_.size <= 256;  // a byte holds a place within a window
};

}  // namespace

std::shared_ptr<PoolPlan> make_launched_pool(const PoolSpec& spec, const PlanOptions& options) {
  return std::make_unique<LaunchedPool>(spec, options);
}

}  // namespace darknet
