// A network as a model of ONNX, which other programs run.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "core/named.h"
#include "nn/network.h"
#include "nn/onnx_graph.h"

namespace darknet {

// What the outputs of a network with detection heads are.
enum class OnnxDecode : std::uint8_t {
  raw,    // each head's logits, as its layer reads them: N x anchors (5 + classes) x H x W
  boxes,  // the decoded anchors of all heads, in one output
  nms     // what non-maximum suppression leaves of them
};
constexpr auto choices(OnnxDecode) {
  return std::to_array<Named<OnnxDecode>>(
      {{"raw", OnnxDecode::raw}, {"boxes", OnnxDecode::boxes}, {"nms", OnnxDecode::nms}});
}

// Of the output of OnnxDecode::boxes. A box is cx, cy, w, h in pixels of the network's input.
enum class OnnxLayout : std::uint8_t {
  rows,    // N x anchors x (5 + classes): box, objectness, the probability of each class
  columns  // N x (4 + classes) x anchors: box, objectness * probability of each class
};
constexpr auto choices(OnnxLayout) {
  return std::to_array<Named<OnnxLayout>>(
      {{"rows", OnnxLayout::rows}, {"columns", OnnxLayout::columns}});
}

struct OnnxOptions {
  OnnxDecode decode = OnnxDecode::boxes;
  OnnxLayout layout = OnnxLayout::rows;
  bool dynamic_batch = false;           // else the network's
  bool half = false;                    // 16-bit floats between input and heads, which stay 32-bit
  bool fold_batch_norm = true;          // into weights, else nodes of their own
  float threshold = .25f;               // for OnnxDecode::nms: least objectness * probability
  float nms = .45f;                     // for OnnxDecode::nms: the largest overlap, IoU
  std::vector<std::string> names = {};  // of the classes; none: not written
};

// Of a network for inference, after parameters_changed(). The input is N x C x H x W, RGB, 0 to 1.
// Throws, naming the layer, what ONNX cannot express; and where OnnxDecode::nms finds no head.
OnnxModel onnx_model(const Network&, const OnnxOptions&);

}  // namespace darknet
