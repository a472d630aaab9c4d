// Which algorithm and layouts a convolution uses: a rule of its shape, shared by the plans and by
// the bare convolutions they are measured against. Makes descriptors, runs nothing.
#pragma once
#include <string>

#include "core/ops.h"
#include "cpu/onednn.h"

namespace darknet::onednn {

enum class Choice : std::uint8_t {
  rule,     // what the plans use
  library,  // direct convolution in the layouts the library likes best
};

std::string about(const ConvSpec&);  // for messages
Geometry geometry_of(const ConvSpec&);
Desc user_weights(const ConvSpec&);  // OHWI, the layout of parameters in memory

// What of the epilogue the convolution does itself.
Epilogue fused_epilogue(const ConvSpec&, const Epilogue&, const PlanOptions&, Choice);

using ForwardDesc = dnnl::convolution_forward::primitive_desc;
using DataDesc = dnnl::convolution_backward_data::primitive_desc;
using WeightsDesc = dnnl::convolution_backward_weights::primitive_desc;

ForwardDesc choose_forward(const ConvSpec&, const Epilogue& fused, const PlanOptions&, Choice);
DataDesc choose_backward_data(const ConvSpec&, const PlanOptions&, const ForwardDesc& hint, Choice);
WeightsDesc choose_backward_weights(const ConvSpec&, const PlanOptions&, const ForwardDesc& hint,
                                    Choice);

}  // namespace darknet::onednn
