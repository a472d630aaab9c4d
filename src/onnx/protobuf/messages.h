// The code that calls protobuf, as a module (core/modules.h). The messages are made from ONNX's own
// definition, onnx/onnx.proto.
#pragma once
#include <string>

#include "core/modules.h"
#include "nn/onnx_graph.h"

namespace darknet {

// They may throw std::bad_alloc, and Error of a model that is larger than protobuf allows, or of
// bytes that are no sound model.
struct OnnxMessages {
  static constexpr char kFile[] = "darknet_onnx.so";
  std::string (*write)(const OnnxModel&);
  // Constants of other types than OnnxType has stay without values, attributes of other kinds than
  // OnnxAttribute has are left out; values in nodes of the operator Constant are constants.
  OnnxModel (*read)(const std::string& bytes);
};

}  // namespace darknet
