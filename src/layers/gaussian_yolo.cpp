// [Gaussian_yolo]: [yolo] whose boxes are normal distributions (Choi et al., ICCV 2019). An anchor
// has 8 numbers for its box: of x, y, w and h a mean, as in [yolo], and a deviation through a
// sigmoid. Detections lose in probability what the deviations are on average.
#include "kernels/gaussian.h"
#include "layers/sigmoid_outputs.h"
#include "layers/yolo_head.h"

namespace darknet {
namespace {

constexpr const char* kGaussianLoss = "ce";  // of objectness and classes

// x, y scaled by scale_x_y; w and h raw.
struct DecodeGaussianBox {
  float scale_x_y;
  std::int64_t entries;
  View<const float> in;
  View<float> out;
  DN_HD void operator()(std::int64_t pixel, std::int64_t n) const {  // one anchor
    const float* const x = &in.at(pixel, n * entries);
    float* const y = &out.at(pixel, n * entries);
    const float shift = (scale_x_y - 1) / 2;
    y[0] = scale_x_y * y[0] - shift, y[2] = scale_x_y * y[2] - shift;
    y[4] = x[4], y[6] = x[6];
  }
};

class GaussianYoloLayer final : public YoloHead<GaussianKeys, GaussianBoxes> {
 public:
  GaussianYoloLayer(Section& section, const LayerContext& context) : YoloHead(section, context) {
    read(section, kGaussianLoss);
  }

 private:
  GaussianArguments arguments(const YoloArguments& a) const override { return {a, keys_}; }
  void decode_outputs(const Stream& s, View<const float> logits, View<float> out) const override {
    const Shape& grid = logits.shape;
    sigmoid_outputs(s, logits, out);
    for_each_pixel(s, {grid.n, grid.h, grid.w, layout().anchors},
                   DecodeGaussianBox{keys_.scale_x_y, layout().entries, logits, out});
  }
  Decoding decoding() const override {
    return {.scale_x_y = keys_.scale_x_y, .centre = keys_.to_centre(), .uncertain = true};
  }
  float certainty(const float* outputs) const override {
    return 1 - (outputs[1] + outputs[3] + outputs[5] + outputs[7]) / 4;
  }
};

}  // namespace

// NOLINTBEGIN(readability-identifier-naming): named after the section
LayerPtr make_Gaussian_yolo(Section& section, const LayerContext& context) {
  return std::make_unique<GaussianYoloLayer>(section, context);
}

void describe_Gaussian_yolo(KeyDocs& docs) {
  docs.add(GaussianKeys{});
  docs.add(YoloLists{});
  describe_objectness(docs, kGaussianLoss);
  describe_class_losses(docs, kGaussianLoss);
}
// NOLINTEND(readability-identifier-naming)

}  // namespace darknet
