#include "kernels/batch_norm.h"

#include "core/elementwise.h"
#include "core/parts.h"
#include "kernels/with_functor.h"

namespace darknet {
namespace {

// Sums of z and z^2 about the channel's first value, so that a large mean does not cancel.
template <class T>
struct Moments {
  const T* first;
  struct Channel {
    float first;
  };
  DN_HD Channel channel(std::int64_t c) const { return {first[c]}; }
  DN_HD Sums<2> operator()(const Channel& k, float z) const {
    const float d = z - k.first;
    return {{d, d * d}};
  }
};

template <class T>
struct Statistics {
  BatchNorm b;
  View<const T> z;
  // Not where the result would not be finite: such statistics would stay (try_fix_nan).
  DN_HD static void keep(float& rolling, float now) {
    const float next = kRollingKeep * rolling + (1 - kRollingKeep) * now;
    if (next - next == 0) rolling = next;
  }
  DN_HD void operator()(std::int64_t c, const double* sums) const {
    const auto n = static_cast<double>(z.shape.pixels());
    const double shift = sums[0] / n, squares = sums[1] - sums[0] * shift;
    const double variance = n > 1 ? math::max(squares / (n - 1), 0.) : 0;  // NaN stays NaN
    b.mean[c] = static_cast<float>(z.data[c] + shift);
    b.inverse_deviation[c] = static_cast<float>(1 / math::sqrt(variance + kBatchNormEpsilon));
    keep(b.rolling_mean[c], b.mean[c]);
    if (n > 1) keep(b.rolling_variance[c], static_cast<float>(variance));  // one has no variance
  }
};

// (z - mean) inverse_deviation is the normalised value x^.
struct Normalised {
  float mean, inverse_deviation, scale, bias;
  DN_HD float value(float z) const { return (z - mean) * inverse_deviation; }
  DN_HD float scaled(float normalised) const { return normalised * scale + bias; }
};

template <class F>
struct Normalise {
  F f;
  BatchNorm b;
  DN_HD Normalised channel(std::int64_t c) const {
    return {b.mean[c], b.inverse_deviation[c], b.scale[c], b.bias[c]};
  }
  DN_HD float operator()(const Normalised& k, float z) const {
    return f.value(k.scaled(k.value(z)));
  }
};

template <class F>
struct NormaliseRolling {
  F f;
  BatchNorm b;
  DN_HD Normalised channel(std::int64_t c) const {
    const float r = 1 / math::sqrt(b.rolling_variance[c] + kBatchNormEpsilon);
    return {b.rolling_mean[c], r, b.scale[c], b.bias[c]};
  }
  DN_HD float operator()(const Normalised& k, float z) const {
    return f.value(k.scaled(k.value(z)));
  }
};

struct BackwardPoint {
  float normalised, gradient;  // x^ and dL/d(scale x^ + bias)
};

template <class F>
DN_HD BackwardPoint backward_at(const F& f, const Normalised& k, float z, float gradient) {
  const float x = k.value(z);
  return {x, gradient * slope(f, k.scaled(x))};
}

template <class F>
struct BackwardSums : Normalise<F> {
  DN_HD Sums<2> operator()(const Normalised& k, float z, float gradient) const {
    const BackwardPoint v = backward_at(this->f, k, z, gradient);
    return {{v.gradient, v.gradient * v.normalised}};
  }
};

// What the second pass subtracts: with s0 = sum dL/du and s1 = sum dL/du x^,
// dL/dz = scale r (dL/du - s0 / n - x^ s1 / (n - 1)).
struct BackwardFinish {
  BatchNormGradient to;
  float* means;  // 2 per channel: [0] s0 / n, [1] s1 / (n - 1)
  DN_HD void operator()(std::int64_t c, const double* sums) const {
    const auto n = static_cast<double>(to.gradient.shape.pixels());
    const std::int64_t channels = to.gradient.shape.c;
    means[c] = static_cast<float>(sums[0] / n);
    means[channels + c] = n > 1 ? static_cast<float>(sums[1] / (n - 1)) : 0;
    if (to.bias) to.bias[c] += static_cast<float>(sums[0]);
    if (to.scale) to.scale[c] += static_cast<float>(sums[1]);
  }
};

template <class F>
struct BackwardInput {
  F f;
  BatchNorm b;
  const float* means;  // of BackwardFinish
  std::int64_t channels;
  // 1 where a channel has several values. One alone is its own mean: its gradient is 0, which
  // rounding would miss. Not a bool: GCC 12 does not vectorise its choice with 16-bit elements.
  float several;
  struct Channel {
    Normalised normalised;
    float factor, mean, slope;
  };
  DN_HD Channel channel(std::int64_t c) const {
    const Normalised n = Normalise<F>{f, b}.channel(c);
    return {n, several * n.scale * n.inverse_deviation, means[c], means[channels + c]};
  }
  DN_HD float operator()(const Channel& k, float z, float gradient) const {
    const BackwardPoint v = backward_at(f, k.normalised, z, gradient);
    return k.factor * (v.gradient - k.mean - v.normalised * k.slope);
  }
};

struct FoldWeights {
  BatchNorm b;
  FoldedWeights w;
  DN_HD void operator()(std::int64_t row, std::int64_t i) const {
    const float r = folded_factor(b, w.channel_is_column ? i : row);
    w.folded_weights[row * w.columns + i] = w.weights[row * w.columns + i] * r;
  }
};

struct FoldBias {
  BatchNorm b;
  float* bias;
  DN_HD void operator()(std::int64_t c) const {
    bias[c] = b.bias[c] - b.rolling_mean[c] * folded_factor(b, c);
  }
};

std::int64_t means_bytes(const Shape& s) {
  return part_bytes(2 * s.c * std::int64_t{sizeof(float)});
}

}  // namespace

std::int64_t batch_norm_scratch(const Shape& s) {
  return reduce_channels_scratch(s, 2) + means_bytes(s);
}

void batch_norm_forward(const Stream& s, const BatchNorm& b, const TensorView& z,
                        const TensorView& out, void* scratch) {
  with_functor(b.activation, z.dtype, [&](auto f, auto element) {
    using T = decltype(element);
    const View<const T> in = input<T>(z);
    reduce_channels<2>(s, z.shape, Moments<T>{in.data}, Statistics<T>{b, in}, scratch, in);
    map_pixels(s, Normalise<decltype(f)>{f, b}, out.as<T>(), in);
  });
}

void batch_norm_inference(const Stream& s, const BatchNorm& b, const TensorView& z,
                          const TensorView& out) {
  with_functor(b.activation, z.dtype, [&](auto f, auto element) {
    using T = decltype(element);
    map_pixels(s, NormaliseRolling<decltype(f)>{f, b}, out.as<T>(), input<T>(z));
  });
}

void batch_norm_backward(const Stream& s, const BatchNorm& b, const TensorView& z,
                         const BatchNormGradient& to, void* scratch) {
  float* const means = static_cast<float*>(scratch);
  void* const partial = part(scratch, means_bytes(z.shape));
  with_functor(b.activation, z.dtype, [&](auto f, auto element) {
    using F = decltype(f);
    using T = decltype(element);
    const View<const T> in = input<T>(z), gradient = input<T>(to.gradient);
    reduce_channels<2>(s, z.shape, BackwardSums<F>{{f, b}}, BackwardFinish{to, means}, partial, in,
                       gradient);
    if (to.input)
      map_pixels(s, BackwardInput<F>{f, b, means, z.shape.c, z.shape.pixels() > 1 ? 1.f : 0.f},
                 to.gradient.as<T>(), in, gradient);
  });
}

void fold_batch_norm(const Stream& s, const BatchNorm& b, const FoldedWeights& w) {
  for_each_pixel(s, {1, 1, w.rows, w.columns}, FoldWeights{b, w});
  for_each(s, w.channel_is_column ? w.columns : w.rows, FoldBias{b, w.folded_bias});
}

}  // namespace darknet
