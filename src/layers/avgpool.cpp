// [avgpool]: the mean over all pixels of an image, channel by channel.
#include "core/elementwise.h"
#include "kernels/copy.h"
#include "nn/layer.h"
#include "nn/onnx_builder.h"

namespace darknet {
namespace {

template <class T>
struct Mean {
  T* out;
  std::int64_t pixels;
  DN_HD void operator()(std::int64_t c, const double* sums) const {
    out[c] = static_cast<float>(sums[0] / static_cast<double>(pixels));
  }
};

template <class T>
struct Spread {
  View<const T> gradient;
  Sink<T> in;
  float share;
  std::int64_t area;
  DN_HD void operator()(std::int64_t p, std::int64_t c) const {
    in.put(p, c, share * gradient.at(p / area, c));
  }
};

class AvgpoolLayer final : public Layer {
 public:
  using Layer::Layer;

  Requirements reshape(std::span<const Shape> in, Ops&, const PlanOptions&) override {
    const Shape one{1, in[0].h, in[0].w, in[0].c};
    return {.output = {in[0].n, 1, 1, in[0].c},
            .workspace = reduce_channels_scratch(one, 1),
            .needs_input = false,
            .needs_output = false};
  }

  void forward(const Pass& pass, std::span<const TensorView> in, TensorView out) override {
    with_element(out.dtype, [&](auto element) {
      using T = decltype(element);
      for (std::int64_t n = 0; n < out.shape.n; ++n) {
        const View<const T> image = input<T>(in[0].images(n, 1));
        const Mean<T> mean{out.images(n, 1).as<T>().data, image.shape.pixels()};
        reduce_channels<1>(pass.stream, image.shape, SumOfValues{}, mean, pass.workspace, image);
      }
    });
  }

  void backward(const Pass& pass, const BackwardArguments& a) override {
    const GradientSlot& slot = a.in_gradient[0];
    if (!slot.view) return;
    const std::int64_t area = slot.view.shape.h * slot.view.shape.w;
    const float share = 1 / static_cast<float>(area);
    with_element(slot.view.dtype, [&](auto element) {
      using T = decltype(element);
      const Sink<T> sink{slot.view.as<T>(), slot.add};
      for_each_pixel(pass.stream, slot.view.shape,
                     Spread<T>{a.out_gradient.as<T>(), sink, share, area});
    });
  }

  std::string to_onnx(OnnxBuilder& graph, std::span<const OnnxValue> in) const override {
    return graph.add("GlobalAveragePool", {in[0].name});
  }
};

}  // namespace

LayerPtr make_avgpool(Section& section, const LayerContext& context) {
  return std::make_unique<AvgpoolLayer>(section, context);
}

void describe_avgpool(KeyDocs&) {}

}  // namespace darknet
