#include "nn/output_activation.h"

#include "kernels/activate.h"

namespace darknet {

bool OutputActivation::keeps(Mode mode) const {
  return mode == Mode::training && !derivative_from_output(activation_);
}

void OutputActivation::require(Requirements& r, const PlanOptions& options) const {
  if (keeps(options.mode)) r.saved += r.output.size() * size_of(options.precision);
  r.needs_output = !is_linear(activation_) && derivative_from_output(activation_);
}

TensorView OutputActivation::before(const Pass& pass, const TensorView& out) const {
  if (!keeps(pass.mode)) return out;
  return {pass.saved, out.dtype, out.shape, out.shape.c};
}

void OutputActivation::forward(const Pass& pass, const TensorView& out) const {
  if (!is_linear(activation_)) activate(pass.stream, activation_, before(pass, out), nullptr, out);
}

void OutputActivation::backward(const Pass& pass, const TensorView& out,
                                const TensorView& gradient) const {
  if (is_linear(activation_)) return;
  const TensorView known = keeps(pass.mode) ? before(pass, gradient) : out;
  activation_backward(pass.stream, activation_, known, gradient);
}

}  // namespace darknet
