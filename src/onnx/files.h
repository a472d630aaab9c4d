// ONNX files. Protobuf is loaded at the first call (onnx/protobuf/messages.h); a program that was
// built without it says what to install.
#pragma once
#include <filesystem>
#include <string>

#include "nn/onnx_graph.h"

namespace darknet {

// The bytes of a file. These throw Error: of a model that is too large, of a file that cannot be
// read or is no ONNX model, and where the program has no protobuf; and ModuleError.
std::string onnx_bytes(const OnnxModel&);
OnnxModel read_onnx(const std::filesystem::path&);
void require_onnx();  // where the program has no protobuf, before long work

}  // namespace darknet
