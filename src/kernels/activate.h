// Launches that apply activations and their derivatives where no plan does it. Formulas:
// core/activation.h.
#pragma once
#include <cstdint>
#include "core/activation.h"
#include "core/device.h"
#include "core/ops.h"
#include "core/tensor.h"

namespace darknet {

// The tensors of one call share an element type; arrays of one value per channel are f32.

// out = f(in + bias[channel]); bias may be null, and in and out the same memory.
void activate(const Stream&, const Activation&, const TensorView& in, const float* bias,
              const TensorView& out);

// The rest of a convolution's epilogue, in place, where the plan did `done` of `wanted`.
void activate_rest(const Stream&, const Epilogue& wanted, const Epilogue& done,
                   const TensorView& out, const float* bias);

// gradient *= f'. `known` is the output where derivative_from_output(f), else the input.
void activation_backward(const Stream&, const Activation&, const TensorView& known,
                         const TensorView& gradient);

// The same, and bias_gradient[channel] += the sums of the result. Needs activation_bias_scratch()
// bytes.
std::int64_t activation_bias_scratch(const Shape&);
void activation_bias_backward(const Stream&, const Activation&, const TensorView& known,
                              const TensorView& gradient, float* bias_gradient, void* scratch);

}  // namespace darknet
