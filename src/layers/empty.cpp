// Layers that pass their input on: [empty], alias [silence]; [contrastive], whose loss on
// embeddings is not computed.
#include "core/log.h"
#include "kernels/copy.h"
#include "nn/layer.h"
#include "nn/onnx_builder.h"

namespace darknet {
namespace {

class PassLayer final : public Layer {
 public:
  using Layer::Layer;

  Requirements reshape(std::span<const Shape> in, Ops&, const PlanOptions&) override {
    return {.output = in[0], .needs_input = false, .needs_output = false, .in_place = true};
  }
  void forward(const Pass& pass, std::span<const TensorView> in, TensorView out) override {
    if (in[0].data != out.data) copy_pixels(pass.stream, in[0], out);
  }
  void backward(const Pass& pass, const BackwardArguments& a) override {
    const GradientSlot& slot = a.in_gradient[0];
    if (slot.view) put_pixels(pass.stream, a.out_gradient, slot.view, slot.add);
  }
  std::string to_onnx(OnnxBuilder& graph, std::span<const OnnxValue> in) const override {
    return graph.add("Identity", {in[0].name});
  }
};

}  // namespace

LayerPtr make_empty(Section& section, const LayerContext& context) {
  return std::make_unique<PassLayer>(section, context);
}

void describe_empty(KeyDocs&) {}

LayerPtr make_contrastive(Section& section, const LayerContext& context) {
  if (context.mode == Mode::training)
    log::warn(cat(to_string(section.where()), ": [", section.type(),
                  "]: its loss on embeddings is not computed; detection is trained without it"));
  return std::make_unique<PassLayer>(section, context);
}

void describe_contrastive(KeyDocs&) {}

}  // namespace darknet
