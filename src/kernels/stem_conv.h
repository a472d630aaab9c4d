// Convolution of images, the first layer of most networks: 3x3 kernels over three channels, by our
// own launches. Libraries fill a tensor core's 8 or 16 channels with zeros there. On an H200 the
// engines of cuDNN took 4 (f32) to 8 (f16) times as long as moving the tensors takes.
#pragma once
#include <memory>

#include "core/ops.h"

namespace darknet {

// Whether make_stem_conv() computes it: three channels, 3x3 kernels, stride 1 or 2, 4 to 64 filters
// in multiples of 4, an output of the input's type, and no gradient of the input.
bool is_stem_conv(const ConvSpec&, const PlanOptions&);

// Products and sums are f32 in every precision, and the weights are not rounded. Results depend on
// the shape alone, so that the plan is also one for `exact` and `deterministic`.
// Weights are packed into memory of `device`, where the tensors are.
std::shared_ptr<ConvPlan> make_stem_conv(const ConvSpec&, const Epilogue&, const PlanOptions&,
                                         const Device& device);

}  // namespace darknet
