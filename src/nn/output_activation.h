// The activation at the end of a layer that computes something simple before it ([shortcut],
// [scale_channels], [sam]): where the layer writes, what has to be kept, the gradient.
#pragma once
#include "core/activation.h"
#include "nn/layer.h"
#include "nn/onnx_builder.h"

namespace darknet {

class OutputActivation {
 public:
  explicit OutputActivation(Activation activation = activations::Linear{})
      : activation_(activation) {}

  // Adds to what the layer itself requires.
  void require(Requirements&, const PlanOptions&) const;
  // Where the layer puts its values before forward() is called.
  TensorView before(const Pass&, const TensorView& out) const;
  void forward(const Pass&, const TensorView& out) const;
  // gradient: of out, becomes that of before(). `out` may be null where require() did not ask.
  void backward(const Pass&, const TensorView& out, const TensorView& gradient) const;
  std::string to_onnx(OnnxBuilder& graph, const std::string& x) const {
    return graph.activate(x, activation_);
  }
  bool linear() const { return is_linear(activation_); }
  std::string name() const { return std::string(name_of(activation_)); }

 private:
  bool keeps(Mode) const;  // the values before it, for the derivative
  Activation activation_;
};

}  // namespace darknet
