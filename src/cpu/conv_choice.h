// Which algorithm and layouts a convolution uses: what a tuning table says, else a rule of its
// shape, shared by the plans and by the library-only convolutions they are measured against. Makes
// descriptors, runs nothing.
#pragma once
#include <string>
#include <vector>

#include "core/ops.h"
#include "cpu/onednn.h"

namespace darknet::onednn {

enum class Choice : std::uint8_t {
  planned,  // what the plans use
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

// A descriptor and the word for how it came about: "winograd" (in the layouts it likes best),
// "direct" (NHWC), "blocked" (direct, in the library's blocked layouts), "planar" (direct, NCHW).
template <class Pd>
struct Chosen {
  Pd pd;
  std::string algorithm;
  bool tuned = false;  // by a measured entry of the table
};

Chosen<ForwardDesc> choose_forward(const ConvSpec&, const Epilogue& fused, const PlanOptions&,
                                   Choice);
Chosen<DataDesc> choose_backward_data(const ConvSpec&, const PlanOptions&, const ForwardDesc& hint,
                                      Choice);
Chosen<WeightsDesc> choose_backward_weights(const ConvSpec&, const PlanOptions&,
                                            const ForwardDesc& hint, Choice);

// The words that a direction could have, without those for which the library has only its reference
// code.
std::vector<std::string> algorithms_of(ConvDirection, const ConvSpec&, const Epilogue&,
                                       const PlanOptions&);

}  // namespace darknet::onednn
