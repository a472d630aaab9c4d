// A network in the terms of ONNX: operators, constants, inputs and outputs. Plain data, which knows
// neither protobuf (onnx/files.h) nor this program's layers (nn/onnx_builder.h).
#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace darknet {

inline constexpr std::int64_t kOnnxOpset = 13;  // the operators' version that is written

enum class OnnxType : std::uint8_t { f32, f16, i64 };

// A constant. `floats` holds the values of f32 and f16, `integers` those of i64, the last dimension
// fastest.
struct OnnxTensor {
  std::string name;
  std::vector<std::int64_t> dims;
  OnnxType type = OnnxType::f32;
  std::vector<float> floats;
  std::vector<std::int64_t> integers;
};

struct OnnxAttribute {
  std::string name;
  std::variant<std::int64_t, float, std::string, std::vector<std::int64_t>, std::vector<float>>
      value;
};

struct OnnxNode {
  std::string op, name;
  std::vector<std::string> inputs, outputs;  // names of tensors
  std::vector<OnnxAttribute> attributes;
};

// An input or an output of the network. A dimension is a number, or the name of one that is known
// only when the network runs.
struct OnnxPort {
  std::string name;
  OnnxType type = OnnxType::f32;
  std::vector<std::variant<std::int64_t, std::string>> dims;
};

struct OnnxModel {
  std::string name;
  std::vector<OnnxNode> nodes;  // each after those that it reads
  std::vector<OnnxTensor> constants;
  std::vector<OnnxPort> inputs, outputs;
  std::vector<std::pair<std::string, std::string>> metadata;  // key, value
};

}  // namespace darknet
