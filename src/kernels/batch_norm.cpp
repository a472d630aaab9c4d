#include "kernels/batch_norm.h"

#include "core/for_each.h"
#include "core/parts.h"
#include "kernels/with_functor.h"

namespace darknet {
namespace {

constexpr float kEpsilon = 1e-5f;  // Darknet (AlexeyAB): under the root

// Sums of z and z^2 about the channel's first value, so that a large mean does not cancel.
template <class T>
struct Moments {
  View<const T> z;
  DN_HD Sums<2> operator()(std::int64_t p, std::int64_t c) const {
    const float d = z.at(p, c) - z.data[c];
    return {{d, d * d}};
  }
};

template <class T>
struct Statistics {
  BatchNorm b;
  View<const T> z;
  DN_HD void operator()(std::int64_t c, const double* sums) const {
    const auto n = static_cast<double>(z.shape.pixels());
    const double shift = sums[0] / n, squares = sums[1] - sums[0] * shift;
    const double variance = n > 1 && squares > 0 ? squares / (n - 1) : 0;
    b.mean[c] = static_cast<float>(z.data[c] + shift);
    b.inverse_deviation[c] = static_cast<float>(1 / math::sqrt(variance + kEpsilon));
    b.rolling_mean[c] = kRollingKeep * b.rolling_mean[c] + (1 - kRollingKeep) * b.mean[c];
    if (n > 1)  // one value has no variance
      b.rolling_variance[c] =
          kRollingKeep * b.rolling_variance[c] + (1 - kRollingKeep) * static_cast<float>(variance);
  }
};

template <class F, class T>
struct Normalise {
  F f;
  BatchNorm b;
  View<const T> z;
  View<T> out;
  DN_HD void operator()(std::int64_t p, std::int64_t c) const {
    const float x = (z.at(p, c) - b.mean[c]) * b.inverse_deviation[c];
    out.at(p, c) = f.value(x * b.scale[c] + b.bias[c]);
  }
};

template <class F, class T>
struct NormaliseRolling {
  F f;
  BatchNorm b;
  View<const T> z;
  View<T> out;
  DN_HD void operator()(std::int64_t p, std::int64_t c) const {
    const float r = 1 / math::sqrt(b.rolling_variance[c] + kEpsilon);
    out.at(p, c) = f.value((z.at(p, c) - b.rolling_mean[c]) * r * b.scale[c] + b.bias[c]);
  }
};

// The derivative at the input u. Of the sign it is taken from u itself: the chained comparisons of
// derivative(value(u)) keep GCC from vectorising.
template <class F>
DN_HD float slope(const F& f, float u) {
  if constexpr (F::from == DerivativeFrom::output)
    return f.derivative(f.value(u));
  else
    return f.derivative(u);
}

struct BackwardPoint {
  float normalised, gradient;  // x^ and dL/d(scale x^ + bias)
};

template <class F, class T>
struct Backward {
  F f;
  BatchNorm b;
  View<const T> z;
  View<T> gradient;
  DN_HD BackwardPoint at(std::int64_t p, std::int64_t c) const {
    const float x = (z.at(p, c) - b.mean[c]) * b.inverse_deviation[c];
    const float u = x * b.scale[c] + b.bias[c];
    return {x, gradient.at(p, c) * slope(f, u)};
  }
};

template <class F, class T>
struct BackwardSums {
  Backward<F, T> back;
  DN_HD Sums<2> operator()(std::int64_t p, std::int64_t c) const {
    const BackwardPoint v = back.at(p, c);
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

template <class F, class T>
struct BackwardInput {
  Backward<F, T> back;
  const float* mean;
  const float* slope;
  DN_HD void operator()(std::int64_t p, std::int64_t c) const {
    const BackwardPoint v = back.at(p, c);
    back.gradient.at(p, c) = back.b.scale[c] * back.b.inverse_deviation[c] *
                             (v.gradient - mean[c] - v.normalised * slope[c]);
  }
};

struct FoldWeights {
  BatchNorm b;
  FoldedWeights w;
  DN_HD void operator()(std::int64_t row, std::int64_t i) const {
    const float r = b.scale[row] / math::sqrt(b.rolling_variance[row] + kEpsilon);
    w.folded_weights[row * w.columns + i] = w.weights[row * w.columns + i] * r;
  }
};

struct FoldBias {
  BatchNorm b;
  float* bias;
  DN_HD void operator()(std::int64_t c) const {
    const float r = b.scale[c] / math::sqrt(b.rolling_variance[c] + kEpsilon);
    bias[c] = b.bias[c] - b.rolling_mean[c] * r;
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
    const View<const T> in = z.as<T>();
    reduce_channels<2>(s, z.shape, Moments<T>{in}, Statistics<T>{b, in}, scratch);
    for_each_pixel(s, z.shape, Normalise<decltype(f), T>{f, b, in, out.as<T>()});
  });
}

void batch_norm_inference(const Stream& s, const BatchNorm& b, const TensorView& z,
                          const TensorView& out) {
  with_functor(b.activation, z.dtype, [&](auto f, auto element) {
    using T = decltype(element);
    for_each_pixel(s, z.shape, NormaliseRolling<decltype(f), T>{f, b, z.as<T>(), out.as<T>()});
  });
}

void batch_norm_backward(const Stream& s, const BatchNorm& b, const TensorView& z,
                         const BatchNormGradient& to, void* scratch) {
  float* const means = static_cast<float*>(scratch);
  void* const partial = part(scratch, means_bytes(z.shape));
  with_functor(b.activation, z.dtype, [&](auto f, auto element) {
    using F = decltype(f);
    using T = decltype(element);
    const Backward<F, T> back{f, b, z.as<T>(), to.gradient.as<T>()};
    reduce_channels<2>(s, z.shape, BackwardSums<F, T>{back}, BackwardFinish{to, means}, partial);
    if (to.input) for_each_pixel(s, z.shape, BackwardInput<F, T>{back, means, means + z.shape.c});
  });
}

void fold_batch_norm(const Stream& s, const BatchNorm& b, const FoldedWeights& w) {
  for_each_pixel(s, {1, 1, w.rows, w.columns}, FoldWeights{b, w});
  for_each(s, w.rows, FoldBias{b, w.folded_bias});
}

}  // namespace darknet
