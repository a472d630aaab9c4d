// Batch normalisation with the activation behind it, in as few passes over memory as it takes.
// Numerics as in AlexeyAB's Darknet: variance over n - 1, epsilon 1e-5 under the root, rolling
// statistics .9 old + .1 new; the gradient is exact. The tensors of one call share an element type;
// statistics and parameters are f32.
#pragma once
#include <cstdint>
#include "core/activation.h"
#include "core/device.h"
#include "core/math.h"
#include "core/tensor.h"

namespace darknet {

inline constexpr float kRollingKeep = .9f;  // share of the rolling statistics that a pass keeps
inline constexpr float kBatchNormEpsilon = 1e-5f;  // Darknet (AlexeyAB): under the root

// Arrays of one value per channel. What a call does not need may be null.
struct BatchNorm {
  Activation activation = activations::Linear{};  // of the normalised, scaled and shifted value
  const float* scale = nullptr;
  const float* bias = nullptr;
  float* rolling_mean = nullptr;
  float* rolling_variance = nullptr;
  float* mean = nullptr;               // of the batch, kept from forward to backward
  float* inverse_deviation = nullptr;  // 1 / sqrt(variance + epsilon), likewise
};

// What the rolling statistics multiply a channel by.
DN_HD inline float folded_factor(const BatchNorm& b, std::int64_t c) {
  return b.scale[c] / math::sqrt(b.rolling_variance[c] + kBatchNormEpsilon);
}

std::int64_t batch_norm_scratch(const Shape&);  // bytes that the training calls below need

// out = activation(scale (z - mean) / sqrt(variance + epsilon) + bias) by the batch's statistics,
// which also enter the rolling ones. z and out may be the same memory.
void batch_norm_forward(const Stream&, const BatchNorm&, const TensorView& z, const TensorView& out,
                        void* scratch);
// The same by the rolling statistics.
void batch_norm_inference(const Stream&, const BatchNorm&, const TensorView& z,
                          const TensorView& out);

struct BatchNormGradient {
  TensorView gradient;     // in: dL/dout; out: dL/dz
  float* scale = nullptr;  // += dL/dscale, dL/dbias; null: not wanted
  float* bias = nullptr;
  bool input = true;  // whether dL/dz is wanted; otherwise `gradient` is left as it is
};
void batch_norm_backward(const Stream&, const BatchNorm&, const TensorView& z,
                         const BatchNormGradient&, void* scratch);

// weights and bias of a convolution or a matrix (rows of `columns` values, one row per channel; of
// a transposed convolution one column) with the rolling statistics folded in.
struct FoldedWeights {
  const float* weights = nullptr;
  float* folded_weights = nullptr;
  float* folded_bias = nullptr;
  std::int64_t rows = 0, columns = 0;
  bool channel_is_column = false;
};
void fold_batch_norm(const Stream&, const BatchNorm&, const FoldedWeights&);

}  // namespace darknet
