// The weights of an ONNX model for a network of the same structure.
#pragma once
#include <cstdint>

#include "nn/network.h"
#include "nn/onnx_graph.h"

namespace darknet {

// Gives every parameter of the network its value. The model's Conv, Gemm and BatchNormalization
// nodes, in their order, are those of the layers with parameters, in theirs; other nodes are not
// looked at. A batch normalisation that only the layer has becomes one without effect (mean 0,
// variance 1), one that only the model has becomes a part of the weights. Throws, naming a node and
// a layer, where they do not agree in shape, strides, padding, dilation or groups, where one side
// has more of them, and where a value is not finite. To be followed by parameters_changed().
// Returns how many layers have got weights.
std::int64_t import_parameters(const OnnxModel&, Network&);

}  // namespace darknet
