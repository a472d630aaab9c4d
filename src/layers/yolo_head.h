// What [yolo] and [Gaussian_yolo] share: heads of independent sigmoids whose ground truths choose
// anchors by shape. Keys: YoloKeys or derived; Boxes: kernels/yolo.h, kernels/gaussian.h.
#pragma once
#include <algorithm>
#include <string>
#include <utility>
#include <vector>
#include "core/elementwise.h"
#include "kernels/yolo.h"
#include "layers/detection_head.h"
#include "losses/class_keys.h"

namespace darknet {

// Keys of as many numbers as a file gives.
struct YoloLists {
  std::vector<std::int64_t> mask, counters_per_class;
  AnchorsKey anchors{AnchorUnit::input_pixel};
  template <class V>
  void fields(V&& v) {
    v("mask", mask, ListOf<std::int64_t>{{0, kMaxAnchors - 1}},
      "this head's anchors; without it all");
    anchors.fields(v);
    v("counters_per_class", counters_per_class,
      TrainingOnly{ListOf<std::int64_t>{{1, std::int64_t{1} << 40}}},
      "objects per class; rare classes get a larger weight");
  }
};

// Throws where they do not go together, and leaves keys.num anchors. Of more anchors than `num`
// that `mask` asks for, `num` is raised, with a warning.
void check_lists(Section&, YoloKeys&, YoloLists&);
// Throws on losses that these keys do not allow.
void check_yolo_losses(const Section&, const YoloKeys&, const Objectness&, const SigmoidClassLoss&);
// Darknet: max(count) / count, capped at max_delta. Empty where the counts are not one per class.
std::vector<float> class_multipliers(const YoloKeys&, const std::vector<std::int64_t>& counts);

template <class Keys>
struct ChooseByShape {
  Keys keys;
  DN_HD TruthChoice operator()(const AssignArguments& a, const Truth& t, std::int64_t) const {
    return keys.choose(t, a.anchors, a.grid());
  }
};

template <class Keys, class Boxes>
class YoloHead : public KeyedHead<Keys> {
 public:
  YoloHead(Section& section, const LayerContext& context) : KeyedHead<Keys>(section, context) {
    section.read(this->keys_);
  }

  Requirements reshape(std::span<const Shape> in, Ops& ops, const PlanOptions& options) override {
    const Requirements r = DetectionHead::reshape(in, ops, options);
    upload_multipliers();
    return r;
  }

 protected:
  // The other keys. `default_loss`: of objectness and classes.
  void read(Section& section, const char* default_loss) {
    Keys& keys = this->keys_;
    YoloLists lists;
    section.read(lists);
    check_lists(section, keys, lists);
    DetectionHead::Setup setup{
        .keys = keys,
        .nms = keys,
        .anchors = std::move(lists.anchors),
        .mask = std::move(lists.mask),
        .box_entries = 4 * Keys::kBoxStride,
        .objectness = read_objectness(section, default_loss, keys.obj_normalizer),
        .gradient_factor = keys.delta_normalizer};
    class_loss_ = read_sigmoid_class_loss(section, default_loss);
    setup.keeps_class_gradients = differs_by_class(class_loss_);
    if (section.training() || setup.objectness.calibrate)
      check_yolo_losses(section, keys, setup.objectness, class_loss_);
    multipliers_of_classes_ = class_multipliers(keys, lists.counters_per_class);
    objectness_rules_ = setup.objectness.rules;
    this->set_up(std::move(setup));
  }
  const ObjectnessRules& objectness_rules() const { return objectness_rules_; }

  virtual typename Boxes::Arguments arguments(const YoloArguments&) const = 0;

  void assign_truths(const Stream& s, const AssignArguments& a) const override {
    for_each(s, a.truths.images * a.truths.capacity,
             ChooseAnchors<ChooseByShape<Keys>>{a, {this->keys_}});
    const auto all =
        arguments({a, this->keys_, multipliers_.empty() ? nullptr : multipliers_.data()});
    std::visit(
        [&](const auto& loss) {
          const AssignYolo<Boxes, std::decay_t<decltype(loss)>> assign{all, loss};
          for_each_vec<1>(s, a.layout.anchors_by_image(a.grid()), assign);
        },
        class_loss_);
  }

 private:
  void upload_multipliers() {
    if (multipliers_of_classes_.empty() || !multipliers_.empty()) return;
    multipliers_ = Tensor(this->context_.device, vector_shape(this->keys_.classes));
    Stream stream;  // nvcc 13 does not compile {.device = ...} in a template
    stream.device = this->context_.device;
    multipliers_.copy_from(stream, multipliers_of_classes_);
  }

  SigmoidClassLoss class_loss_;
  ObjectnessRules objectness_rules_;
  std::vector<float> multipliers_of_classes_;
  Tensor multipliers_;
};

}  // namespace darknet
