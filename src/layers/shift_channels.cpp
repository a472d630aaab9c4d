// [shift_channels] from (YOLOR): the layer before plus an earlier one that has one value per
// channel of an image.
#include "core/elementwise.h"
#include "layers/image_sums.h"
#include "nn/layer_index.h"
#include "nn/onnx_builder.h"

namespace darknet {
namespace {

template <class T>
struct Shift {
  View<const T> by, in;
  View<T> out;
  std::int64_t area;  // pixels of an image
  DN_HD void operator()(std::int64_t p, std::int64_t c) const {
    out.at(p, c) = in.at(p, c) + by.at(p / area, c);
  }
};

struct ShiftKeys {
  std::int64_t from = 0;
  template <class V>
  void fields(V&& v) {
    v("from", from, Integers{}, "the layer with what is added; negative: counted back");
  }
};

class ShiftLayer final : public Layer {
 public:
  ShiftLayer(Section& section, const LayerContext& context) : Layer(section, context) {
    ShiftKeys keys;
    section.read(keys);
    if (!section.has("from")) section.fail("from", "is missing: which layer is to be added?");
    sources_ = {layer_index(section, "from", keys.from, context), context.index - 1};
  }

  std::vector<std::int64_t> sources() const override { return sources_; }

  Requirements reshape(std::span<const Shape> in, Ops&, const PlanOptions&) override {
    const Shape expected{in[1].n, 1, 1, in[1].c};
    if (in[0] != expected)
      fail(title(), ": layer ", sources_[0], " is ", to_string(in[0]),
           " (n h w c); to be added to the layer before it, of ", to_string(in[1]), ", it must be ",
           to_string(expected), "; name such a layer in from=");
    return {.output = in[1],
            .workspace = sum_by_image_scratch(in[1]),
            .needs_input = false,
            .needs_output = false};
  }

  void forward(const Pass& pass, std::span<const TensorView> in, TensorView out) override {
    with_element(out.dtype, [&](auto element) {
      using T = decltype(element);
      for_each_pixel(
          pass.stream, out.shape,
          Shift<T>{in[0].as<T>(), in[1].as<T>(), out.as<T>(), out.shape.h * out.shape.w});
    });
  }

  void backward(const Pass& pass, const BackwardArguments& a) override {
    const GradientSlot &by = a.in_gradient[0], &in = a.in_gradient[1];
    if (by.view)
      with_element(by.view.dtype, [&](auto element) {
        using T = decltype(element);
        sum_by_image<T>(pass, SumOfValues{}, {by.view.as<T>(), by.add}, a.out_gradient);
      });
    if (in.view) put_pixels(pass.stream, a.out_gradient, in.view, in.add);
  }

  std::string to_onnx(OnnxBuilder& graph, std::span<const OnnxValue> in) const override {
    return graph.add("Add", {in[1].name, in[0].name});
  }

  LayerSummary summary() const override { return {.note = cat("plus ", sources_[0])}; }

 private:
  std::vector<std::int64_t> sources_;  // what is added, and to what
};

}  // namespace

LayerPtr make_shift_channels(Section& section, const LayerContext& context) {
  return std::make_unique<ShiftLayer>(section, context);
}

void describe_shift_channels(KeyDocs& docs) { docs.add(ShiftKeys{}); }

}  // namespace darknet
