// [dropout] probability: when training, sets values to zero and enlarges the others so that the
// mean stays. Which ones depends on (seed, iteration, layer, subdivision, element) alone.
#include "core/for_each.h"
#include "core/rng.h"
#include "kernels/copy.h"
#include "nn/layer.h"
#include "nn/onnx_builder.h"

namespace darknet {
namespace {

template <class T>
struct Drop {
  View<const T> in;
  Sink<T> out;
  std::uint64_t seed, stream;
  const StepState* step;
  float probability;
  DN_HD void operator()(std::int64_t p, std::int64_t c) const {
    const auto iteration = static_cast<std::uint64_t>(step ? step->iteration : 0);
    const auto element = static_cast<std::uint64_t>(p * out.to.shape.c + c);
    const bool keep = random_uniform(mix(seed) ^ iteration, stream, element) >= probability;
    out.put(p, c, keep ? in.at(p, c) / (1 - probability) : 0);
  }
};

struct DropoutKeys {
  float probability = .2f;
  template <class V>
  void fields(V&& v) {
    v("probability", probability, TrainingOnly{Reals{0, .9999f}},
      "share of the values set to zero");
  }
};

class DropoutLayer final : public Layer {
 public:
  DropoutLayer(Section& section, const LayerContext& context) : Layer(section, context) {
    section.read(dropout_);
  }

  Requirements reshape(std::span<const Shape> in, Ops&, const PlanOptions&) override {
    return {.output = in[0], .needs_input = false, .needs_output = false, .in_place = true};
  }

  void forward(const Pass& pass, std::span<const TensorView> in, TensorView out) override {
    if (pass.mode == Mode::training)
      drop(pass, in[0], {out, false});
    else if (in[0].data != out.data)
      copy_pixels(pass.stream, in[0], out);
  }

  void backward(const Pass& pass, const BackwardArguments& a) override {
    const GradientSlot& slot = a.in_gradient[0];
    if (slot.view) drop(pass, a.out_gradient, slot);
  }

  std::string to_onnx(OnnxBuilder& graph, std::span<const OnnxValue> in) const override {
    return graph.add("Identity", {in[0].name});  // it drops only when training
  }

  LayerSummary summary() const override { return {.note = cat("p = ", dropout_.probability)}; }

 private:
  void drop(const Pass& pass, const TensorView& in, const GradientSlot& out) const {
    const auto stream = static_cast<std::uint64_t>(context_.index) << 32 |
                        static_cast<std::uint64_t>(pass.subdivision);
    with_element(in.dtype, [&](auto element) {
      using T = decltype(element);
      const Sink<T> sink{out.view.as<T>(), out.add};
      for_each_pixel(pass.stream, in.shape,
                     Drop<T>{in.as<T>(), sink, pass.seed, stream, pass.step, dropout_.probability});
    });
  }

  DropoutKeys dropout_;
};

}  // namespace

LayerPtr make_dropout(Section& section, const LayerContext& context) {
  return std::make_unique<DropoutLayer>(section, context);
}

void describe_dropout(KeyDocs& docs) { docs.add(DropoutKeys{}); }

}  // namespace darknet
