// Which algorithm and layouts a convolution uses: what a tuning table says, else a heuristic of its
// shape, shared by the plans and by the convolutions alone that they are measured against. Makes
// descriptors, runs nothing.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "core/ops.h"
#include "cpu/onednn.h"

namespace darknet::onednn {

enum class ConvSource : std::uint8_t {
  planned,  // what the plans use
  library,  // the library's convolution in the layouts that it likes best
};

std::string about(const ConvSpec&);  // for messages
Geometry geometry_of(const ConvSpec&);
// OHWI, the layout of parameters in memory.
Desc user_weights(const ConvSpec&, dnnl::memory::data_type = dnnl::memory::data_type::f32);
Desc any_weights(const ConvSpec&, dnnl::memory::data_type);  // in the library's favourite layout

// Winograd's algorithm with tiles of m x m outputs.
struct WinogradChoice {
  int m = 0;
  bool tuned = false;  // by a measured entry of the table

  std::string word() const { return cat("winograd", m); }
};
// Nothing: the library computes this direction.
std::optional<WinogradChoice> choose_winograd(ConvDirection, const ConvSpec&, const PlanOptions&);

// Whether the gradient of the weights from 16-bit tensors is to be computed in f32.
bool widens_weight_gradient(const ConvSpec&, const PlanOptions&);

// What of the epilogue the convolution does itself.
Epilogue fused_epilogue(const ConvSpec&, const Epilogue&, const PlanOptions&, ConvSource);
dnnl::primitive_attr attributes_of(const Epilogue& fused);
bool is_reference(const char* implementation);  // code of the library that is not made for speed

using ForwardDesc = dnnl::convolution_forward::primitive_desc;
using DataDesc = dnnl::convolution_backward_data::primitive_desc;
using WeightsDesc = dnnl::convolution_backward_weights::primitive_desc;

// A descriptor and the word for how it came about: "direct" (NHWC), "blocked" (in the library's
// blocked layouts), "planar" (NCHW).
template <class Pd>
struct Chosen {
  Pd pd;
  std::string algorithm;
  bool tuned = false;  // by a measured entry of the table
};

// The library's algorithm, which is used where choose_winograd() says nothing.
Chosen<ForwardDesc> choose_forward(const ConvSpec&, const Epilogue& fused, const PlanOptions&,
                                   ConvSource);
Chosen<DataDesc> choose_backward_data(const ConvSpec&, const PlanOptions&, const ForwardDesc& hint,
                                      ConvSource);
Chosen<WeightsDesc> choose_backward_weights(const ConvSpec&, const PlanOptions&,
                                            const ForwardDesc& hint, ConvSource);

// The words that a direction could have, without those for which the library has only its reference
// code.
std::vector<std::string> algorithms_of(ConvDirection, const ConvSpec&, const Epilogue&,
                                       const PlanOptions&);

}  // namespace darknet::onednn
