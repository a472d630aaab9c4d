// [yolo]: a detection head of independent sigmoids (YOLOv3 and later). What a kernel computes of
// one anchor is in kernels/yolo.h.
#include "core/log.h"
#include "layers/sigmoid_outputs.h"
#include "layers/yolo_head.h"

namespace darknet {
namespace {

constexpr const char *kDefaultLoss = "ce", *kNewCoordsLoss = "mse";  // of objectness and classes

// x, y scaled by scale_x_y; w and h raw (new_coords: through the sigmoid too).
struct DecodeBox {
  YoloKeys keys;
  std::int64_t entries;
  View<const float> in;
  View<float> out;
  DN_HD void operator()(std::int64_t pixel, std::int64_t n) const {  // one anchor
    const float* const x = &in.at(pixel, n * entries);
    float* const y = &out.at(pixel, n * entries);
    const float shift = (keys.scale_x_y - 1) / 2;
    y[0] = keys.scale_x_y * y[0] - shift, y[1] = keys.scale_x_y * y[1] - shift;
    if (!keys.new_coords) y[2] = x[2], y[3] = x[3];
  }
};

class YoloLayer final : public YoloHead<YoloKeys, YoloBoxes> {
 public:
  YoloLayer(Section& section, const LayerContext& context) : YoloHead(section, context) {
    read(section, keys_.new_coords ? kNewCoordsLoss : kDefaultLoss);
    if (section.training() && keys_.objectness_smooth && objectness_rules().target_from_keys())
      log::warn(
          cat(title(),
              ": objectness_smooth keeps Darknet's rule, in which assigned anchors whose "
              "prediction overlaps little are trained towards 0; obj_target=one or iou fixes it"));
  }

  Requirements reshape(std::span<const Shape> in, Ops& ops, const PlanOptions& options) override {
    const Requirements r = YoloHead::reshape(in, ops, options);
    if (keys_.new_coords && !accepted_)
      fail(title(), ": new_coords=1 needs activation=logistic in the convolution before it");
    return r;
  }
  bool accept_activation(const Activation& a) override {
    if (!keys_.new_coords) return YoloHead::accept_activation(a);
    accepted_ = std::holds_alternative<activations::Logistic>(a);
    return accepted_;
  }

 private:
  YoloArguments arguments(const YoloArguments& a) const override { return a; }
  void decode_outputs(const Stream& s, View<const float> logits, View<float> out) const override {
    const Shape& grid = logits.shape;
    sigmoid_outputs(s, logits, out);
    for_each_pixel(s, {grid.n, grid.h, grid.w, layout().anchors},
                   DecodeBox{keys_, layout().entries, logits, out});
  }
  Decoding decoding() const override {
    return {.scale_x_y = keys_.scale_x_y, .side_of_root = side_of_root()};
  }

  bool accepted_ = false;
};

}  // namespace

LayerPtr make_yolo(Section& section, const LayerContext& context) {
  return std::make_unique<YoloLayer>(section, context);
}

void describe_yolo(KeyDocs& docs) {
  docs.add(YoloKeys{});
  docs.add(YoloLists{});
  const std::string without = cat(kDefaultLoss, "; with new_coords=1 ", kNewCoordsLoss);
  describe_objectness(docs, without);
  describe_class_losses(docs, without);
}

}  // namespace darknet
