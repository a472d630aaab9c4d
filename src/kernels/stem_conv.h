// Convolution of images, the first layer of most networks: 3x3 kernels over three channels, by our
// own launches. A tensor core takes 8 or 16 channels at a time, most of which would be zeros:
// libraries take about twice as long (docs/cuda.md).
#pragma once
#include <memory>

#include "core/ops.h"

namespace darknet {

// Whether make_stem_conv() computes it: three channels, 3x3 kernels, stride 1 or 2, 4 to 64 filters
// in multiples of 4, an output of the input's type, and no gradient of the input.
bool is_stem_conv(const ConvSpec&, const PlanOptions&);

// Products and sums are f32 in every precision, and the weights are not rounded. Sums are formed in
// an order that depends on the shape alone, as `exact` and `deterministic` ask. Weights are packed
// into memory of `device`, where the tensors are, which are dense. There is no backward_data.
std::shared_ptr<ConvPlan> make_stem_conv(const ConvSpec&, const Epilogue&, const PlanOptions&,
                                         const Device& device);

}  // namespace darknet
