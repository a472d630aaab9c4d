// What a key of a layer does to the layer's output as a whole: antialiasing=, an activation over
// channels. The layer itself does not know of it.
#pragma once
#include <memory>
#include <string>

#include "nn/layer.h"
#include "nn/onnx_builder.h"

namespace darknet {

// All tensors of a call have one element type.
class OutputStage {
 public:
  virtual ~OutputStage() = default;
  virtual Shape output(const Shape& in) const = 0;  // throws where there would be none
  virtual bool needs_input() const = 0;             // whether backward() reads `in`
  virtual void forward(const Stream&, const TensorView& in, const TensorView& out) const = 0;
  // Overwrites the gradient of `in`.
  virtual void backward(const Stream&, const TensorView& in, const TensorView& out_gradient,
                        const TensorView& in_gradient) const = 0;
  virtual std::string to_onnx(OnnxBuilder&, const std::string& x, const Shape& in) const = 0;
  virtual std::string note() const = 0;  // for LayerSummary
};

// `layer`, which was made from the section, with the stage behind it. Both are one layer of the
// network, with the parameters of `layer`.
LayerPtr with_output_stage(LayerPtr layer, std::unique_ptr<OutputStage>, Section&,
                           const LayerContext&);
// The layer below all stages that with_output_stage() put behind it; without any, the layer itself.
Layer& without_output_stage(Layer&);

// How far apart the pixels of an output are.
struct Strides {
  std::int64_t y = 1, x = 1;
};
struct AntialiasingKeys {
  std::int64_t antialiasing = 0;
  template <class V>
  void fields(V&& v) {
    v("antialiasing", antialiasing, Integers{0, 2},
      "stride 1, then a blur with the layer's stride: 1 of 3x3 pixels, 2 of 2x2; 0: none");
  }
};
// The blur of AlexeyAB's antialiasing=1 or 2: 1 2 1 on both axes with zeros around, or the mean of
// 2x2 pixels.
std::unique_ptr<OutputStage> make_blur(std::int64_t antialiasing, const Strides&);

}  // namespace darknet
