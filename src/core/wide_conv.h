// A convolution of 16-bit activations out of a plan for f32 ones, with conversions around it.
#pragma once
#include <memory>
#include "core/ops.h"

namespace darknet {

// `f32_plan` was made for `spec` and options that are these but for their precision. Converted
// tensors lie behind its workspace; what `options` let be f32 is not converted.
std::shared_ptr<ConvPlan> widened(std::shared_ptr<ConvPlan> f32_plan, const ConvSpec& spec,
                                  const PlanOptions& options);

}  // namespace darknet
