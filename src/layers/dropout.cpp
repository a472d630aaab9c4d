// [dropout] probability, dropblock: when training, sets values to zero and enlarges the others so
// that the mean stays. Which ones depends on (seed, iteration, layer, subdivision, element or
// channel of an image) alone.
#include <algorithm>

#include "core/for_each.h"
#include "core/math.h"
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

// DropBlock (Ghiasi and others, NeurIPS 2018) with at most one square block in each channel of an
// image, as in Darknet, where size and probability grow until 85 % of the run. A block's chance is
// such that the share of values set to zero is the probability, as far as one block can be so much.
template <class T>
struct DropBlock {
  View<const T> in;
  Sink<T> out;
  std::uint64_t seed, stream;
  const StepState* step;
  float probability, side;  // of a block in pixels, at the end
  float growth;             // iterations; 0: none

  struct Block {
    std::int64_t side;
    float chance;
  };
  DN_HD Block block(std::int64_t iteration) const {
    const Shape& s = in.shape;
    const auto at = static_cast<float>(iteration);
    const float grown = at < growth ? at / growth : 1;
    const auto length =
        math::clamp(static_cast<std::int64_t>(side * grown), std::int64_t{1}, math::min(s.h, s.w));
    const float dropped = probability * grown * static_cast<float>(s.h * s.w);
    return {length, math::min(1.f, dropped / static_cast<float>(length * length))};
  }
  DN_HD void operator()(std::int64_t p, std::int64_t c) const {
    const Shape& s = in.shape;
    const std::int64_t iteration = step ? step->iteration : 0;
    const Block b = block(iteration);
    const std::uint64_t of_step = mix(seed) ^ static_cast<std::uint64_t>(iteration);
    const auto channel = static_cast<std::uint64_t>(p / (s.h * s.w) * s.c + c);
    const std::uint64_t corner = random_bits(of_step, stream, 2 * channel + 1);
    const auto rows = static_cast<std::uint64_t>(s.h - b.side + 1);
    const auto columns = static_cast<std::uint64_t>(s.w - b.side + 1);
    const auto y = p / s.w % s.h - static_cast<std::int64_t>((corner >> 32) % rows);
    const auto x = p % s.w - static_cast<std::int64_t>((corner & 0xFFFFFFFF) % columns);
    const bool within = x >= 0 && x < b.side && y >= 0 && y < b.side;
    const bool keep = !within || random_uniform(of_step, stream, 2 * channel) >= b.chance;
    const float share =
        b.chance * static_cast<float>(b.side * b.side) / static_cast<float>(s.h * s.w);
    out.put(p, c, keep ? in.at(p, c) / (1 - share) : 0);
  }
};

struct DropoutKeys {
  float probability = .2f;
  bool dropblock = false;
  float dropblock_size_rel = 0;
  std::int64_t dropblock_size_abs = 0;
  template <class V>
  void fields(V&& v) {
    v("probability", probability, TrainingOnly{Reals{0, .9999f}},
      "share of the values set to zero");
    v("dropblock", dropblock, TrainingOnly{Flag{}},
      "1: a square block of some channels at a time; block and probability grow until 85 % of "
      "max_batches");
    v("dropblock_size_rel", dropblock_size_rel, TrainingOnly{Reals{0, 1}},
      "side of a block, of the layer's width or height, whichever is less; 0: dropblock_size_abs");
    v("dropblock_size_abs", dropblock_size_abs, TrainingOnly{Integers{0, 1 << 15}},
      "side of a block, in pixels of the layer");
  }
};

class DropoutLayer final : public Layer {
 public:
  DropoutLayer(Section& section, const LayerContext& context) : Layer(section, context) {
    section.read(dropout_);
    if (section.training() && dropout_.dropblock && dropout_.dropblock_size_rel == 0 &&
        dropout_.dropblock_size_abs == 0)
      section.fail("dropblock",
                   "needs the side of a block: dropblock_size_rel=.3 (of the layer's), or "
                   "dropblock_size_abs=7 (pixels)");
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

  bool keeps_integers() const override { return true; }

  LayerSummary summary() const override {
    return {.note = cat("p = ", dropout_.probability, dropout_.dropblock ? " in blocks" : "")};
  }

 private:
  void drop(const Pass& pass, const TensorView& in, const GradientSlot& out) const {
    const auto stream = static_cast<std::uint64_t>(context_.index) << 32 |
                        static_cast<std::uint64_t>(pass.subdivision);
    with_element(in.dtype, [&](auto element) {
      using T = decltype(element);
      const Sink<T> sink{out.view.as<T>(), out.add};
      const float probability = dropout_.probability;
      if (dropout_.dropblock)
        for_each_pixel(pass.stream, in.shape,
                       DropBlock<T>{in.as<T>(), sink, pass.seed, stream, pass.step, probability,
                                    block_side(in.shape), growth()});
      else
        for_each_pixel(pass.stream, in.shape,
                       Drop<T>{in.as<T>(), sink, pass.seed, stream, pass.step, probability});
    });
  }

  float block_side(const Shape& in) const {
    const float relative = dropout_.dropblock_size_rel;
    if (relative > 0) return relative * static_cast<float>(std::min(in.h, in.w));
    return static_cast<float>(dropout_.dropblock_size_abs);
  }
  float growth() const { return .85f * static_cast<float>(context_.max_batches); }

  DropoutKeys dropout_;
};

}  // namespace

LayerPtr make_dropout(Section& section, const LayerContext& context) {
  return std::make_unique<DropoutLayer>(section, context);
}

void describe_dropout(KeyDocs& docs) { docs.add(DropoutKeys{}); }

}  // namespace darknet
