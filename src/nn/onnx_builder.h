// How layers describe themselves to ONNX (Layer::to_onnx): nodes and constants are appended to a
// graph. Tensors of the graph are N x C x H x W.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/activation.h"
#include "core/tensor.h"
#include "nn/onnx_graph.h"

namespace darknet {

// A tensor of the graph that a layer reads. Its shape is {n, h, w, c}; of n a layer makes no use,
// since it may be another number when the graph runs.
struct OnnxValue {
  std::string name;
  Shape shape;
};

class OnnxBuilder {
 public:
  // `fold_batch_norm`: it becomes a part of the weights before it, else a node of its own.
  explicit OnnxBuilder(bool fold_batch_norm = true) : folds_(fold_batch_norm) {}
  bool folds_batch_norm() const { return folds_; }

  // An input of the graph; its name is returned.
  std::string add_input(OnnxPort);
  // What follows belongs to this part of the network, "3_convolutional": its first node is called
  // so, the others have their operator behind it. `floats`: the type of its constants.
  void begin(std::string part, OnnxType floats = OnnxType::f32);

  // Appends an operator with one output, whose name is returned.
  std::string add(const std::string& op, std::vector<std::string> inputs,
                  std::vector<OnnxAttribute> attributes = {});
  // Constants of the present part; `what` ends the name, which is returned. A second one of the
  // same name gets a number.
  std::string floats(const std::string& what, std::vector<std::int64_t> dims,
                     std::vector<float> values);
  // A list that stays f32 whatever begin() said, as some operators ask.
  std::string floats32(const std::string& what, std::vector<float> values);
  std::string integers(const std::string& what, std::vector<std::int64_t> values);

  // Operators that are used in many places. A dimension of 0 is that of the input.
  std::string reshape(const std::string& x, std::vector<std::int64_t> dims);
  std::string transpose(const std::string& x, std::vector<std::int64_t> order);
  struct Range {  // along one axis, from begin to before end
    std::int64_t axis, begin, end, step = 1;
  };
  std::string slice(const std::string& x, const std::vector<Range>&);
  std::string concat(std::vector<std::string> parts, std::int64_t axis);  // one: the part itself
  std::string scale(const std::string& x, float factor);                  // 1: x itself
  std::string cast(const std::string& x, OnnxType to);
  std::string activate(const std::string& x, const Activation&);

  OnnxModel& model() { return model_; }

 private:
  std::string unique(const std::string& name);

  bool folds_;
  OnnxModel model_;
  std::string part_;
  OnnxType floats_ = OnnxType::f32;
  std::map<std::string, int> used_;  // names, and how often
};

}  // namespace darknet
