// [yolo]: a detection head of independent sigmoids (YOLOv3 and later): its keys, its kernels and
// the layer. What a kernel computes of one anchor is in kernels/yolo.h.
#include "kernels/yolo.h"
#include <algorithm>
#include <set>
#include "core/elementwise.h"
#include "core/log.h"
#include "layers/detection_head.h"
#include "losses/class_keys.h"

namespace darknet {
namespace {

constexpr const char *kDefaultLoss = "ce", *kNewCoordsLoss = "mse";  // of objectness and classes
constexpr float kClassMatch = .25f;  // Darknet's compare_yolo_class: any class above it

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

// Darknet's output: x, y, objectness and classes through the sigmoid (x, y scaled by scale_x_y), w
// and h raw (new_coords: through the sigmoid too). First all through the sigmoid, in one loop that
// vectorises, then what is left to do to the boxes.
struct Sigmoid {
  DN_HD float operator()(float x) const { return math::fast_sigmoid(x); }
};
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

// A dense tensor as the rows of its images: a loop over a row is longer than one over a pixel.
template <class T>
View<T> by_rows(const View<T>& v) {
  const std::int64_t row = v.shape.w * v.shape.c;
  return {v.data, {v.shape.n, v.shape.h, 1, row}, row};
}

struct ByShape {
  YoloKeys keys;
  DN_HD TruthChoice operator()(const AssignArguments& a, const Truth& t, std::int64_t) const {
    return keys.choose(t, a.anchors, a.grid());
  }
};

template <class C>
struct Assign {
  YoloArguments a;
  C class_loss;

  template <int N>
  DN_HD void run(std::int64_t image, std::int64_t anchor) const {
    AnchorPlace at = a.place(image, anchor);
    const AnchorGroup<N> group(a, a.keys, at);
    AnchorRecord* const records = a.records + image * a.layout.anchors_of_image(a.grid()) + anchor;
    const float least = math::min(a.keys.ignore_thresh, a.keys.truth_thresh);
    const AnchorRecord negative{.weight = a.keys.obj_normalizer.value};
    for (int k = 0; k < N; ++k, a.advance(at)) {
      records[k] = negative;
      if (group.chosen(k) || group.best(k).iou > least)
        assign_all({at, group.box(k)}, group.best(k), records[k]);
    }
  }

 private:
  DN_HD void assign_all(const PredictedBox& at, const BestOverlap& best, AnchorRecord& r) const {
    const YoloBoxes boxes{a, at};
    // The ground truth that sets all classes, or -1.
    std::int64_t first = match_by_overlap(at, best, r);
    for (std::int64_t t = 0; t < a.truths_of(at); ++t) {
      if (!a.chosen_by(at, t)) continue;
      assign(at, t, first, r);
      if (first < 0) first = t;
    }
    if (first >= 0 && a.keys.iou_thresh < 1) boxes.average();
    if (first >= 0 && a.keys.new_coords) boxes.through_sigmoid();
  }

  DN_HD bool predicts_some_class(const PredictedBox& at) const {
    for (std::int64_t k = 0; k < a.keys.classes; ++k)
      if (a.outputs(at)[a.layout.class_entry(k)] > kClassMatch) return true;
    return false;
  }

  // ignore_thresh and truth_thresh; the ground truth that the anchor is assigned to by its
  // prediction, or -1.
  DN_HD std::int64_t match_by_overlap(const PredictedBox& at, const BestOverlap& best,
                                      AnchorRecord& r) const {
    if (best.iou > a.keys.ignore_thresh && predicts_some_class(at)) {
      if (a.rules.target_is_overlap() || a.smooth())
        r.target = best.iou;
      else
        r.state = AnchorState::ignored;
    }
    if (!(best.iou > a.keys.truth_thresh)) return -1;
    r.state = AnchorState::positive, r.iou = best.iou, r.truths = 1;
    r.target = a.rules.target_is_overlap() ? best.iou : a.smooth() ? best.iou * best.iou : 1;
    const Truth& object = a.truth(at, best.truth);
    const YoloClasses<C> classes{a, at, class_loss};
    classes.set_gradient(best.truth, r);
    if (a.smooth()) classes.soften(best.truth, best.iou);
    YoloBoxes{a, at}.add_gradient(object.box, a.keys.iou_normalizer * a.multiplier(object.class_id),
                                  r);
    return best.truth;
  }

  DN_HD void assign(const PredictedBox& at, std::int64_t t, std::int64_t first,
                    AnchorRecord& r) const {
    const Truth& object = a.truth(at, t);
    const float m = a.multiplier(object.class_id);
    YoloBoxes{a, at}.add_gradient(object.box, a.keys.iou_normalizer * m, r);
    r.iou = iou(at.box, object.box);
    r.truths += 1;
    r.state = AnchorState::positive;
    if (!a.smooth()) {
      r.target = a.rules.target_is_overlap() ? r.iou : 1;
      r.weight = m * a.keys.obj_normalizer.value;
    }  // Darknet: with objectness_smooth the target stays what match_by_overlap left
    const YoloClasses<C> classes{a, at, class_loss};
    first < 0 ? classes.set_gradient(t, r) : classes.add_class(t, first, r);
  }
};

void check_lists(Section& section, const YoloKeys& keys, YoloLists& lists) {
  take_anchors(section, keys.num, lists.anchors);
  for (const std::int64_t m : lists.mask)
    if (m >= keys.num)
      section.fail_between({"mask", "num"},
                           cat("there is no anchor ", m, " among ", keys.num, ", counted from 0"));
  if (std::set(lists.mask.begin(), lists.mask.end()).size() != lists.mask.size())
    section.fail("mask", "an anchor is named twice");
  const auto counters = std::ssize(lists.counters_per_class);
  if (section.training() && counters > 0 && counters != keys.classes)
    section.fail_between(
        {"counters_per_class", "classes"},
        cat("classes=", keys.classes, " need as many numbers, there are ", counters));
}

class YoloLayer final : public KeyedHead<YoloKeys> {
 public:
  YoloLayer(Section& section, const LayerContext& context) : KeyedHead(section, context) {
    YoloLists lists;
    section.read(keys_);
    section.read(lists);
    check_lists(section, keys_, lists);
    const char* const default_loss = keys_.new_coords ? kNewCoordsLoss : kDefaultLoss;
    Setup setup{.keys = keys_,
                .nms = keys_,
                .anchors = std::move(lists.anchors),
                .mask = std::move(lists.mask),
                .objectness = read_objectness(section, default_loss, keys_.obj_normalizer),
                .gradient_factor = keys_.delta_normalizer};
    class_loss_ = read_sigmoid_class_loss(section, default_loss);
    setup.keeps_class_gradients = differs_by_class(class_loss_);
    if (section.training() || setup.objectness.calibrate) check_losses(section, setup.objectness);
    counters_per_class_ = std::move(lists.counters_per_class);
    set_up(std::move(setup));
  }

  Requirements reshape(std::span<const Shape> in, Ops& ops, const PlanOptions& options) override {
    const Requirements r = DetectionHead::reshape(in, ops, options);
    if (keys_.new_coords && !accepted_)
      fail(title(), ": new_coords=1 needs activation=logistic in the convolution before it");
    upload_multipliers();
    return r;
  }
  bool accept_activation(const Activation& a) override {
    accepted_ = keys_.new_coords && std::holds_alternative<activations::Logistic>(a);
    return accepted_;
  }

 private:
  void check_losses(const Section&, const Objectness&) const;
  void upload_multipliers();

  void decode_outputs(const Stream& s, View<const float> logits, View<float> out) const override {
    const Shape& grid = logits.shape;
    if (logits.pixel_stride == grid.c && out.pixel_stride == grid.c)
      map_pixels(s, Sigmoid{}, by_rows(out), by_rows(logits));
    else
      map_pixels(s, Sigmoid{}, out, logits);
    for_each_pixel(s, {grid.n, grid.h, grid.w, layout().anchors},
                   DecodeBox{keys_, layout().entries, logits, out});
  }
  Decoding decoding() const override {
    return {.scale_x_y = keys_.scale_x_y, .side_of_root = side_of_root()};
  }
  void assign_truths(const Stream& s, const AssignArguments& a) const override {
    for_each(s, a.truths.images * a.truths.capacity, ChooseAnchors<ByShape>{a, {keys_}});
    const YoloArguments arguments{a, keys_, multipliers_.empty() ? nullptr : multipliers_.data()};
    std::visit(
        [&](const auto& loss) {
          const Assign<std::decay_t<decltype(loss)>> assign{arguments, loss};
          for_each_vec<1>(s, a.layout.anchors_by_image(a.grid()), assign);
        },
        class_loss_);
  }

  std::vector<std::int64_t> counters_per_class_;
  SigmoidClassLoss class_loss_;
  Tensor multipliers_;
  bool accepted_ = false;
};

void YoloLayer::check_losses(const Section& section, const Objectness& objectness) const {
  const ObjectnessRules& rules = objectness.rules;
  const bool smooth = keys_.objectness_smooth && rules.target_from_keys();
  require_hard_targets(section, objectness, smooth || rules.target_is_overlap());
  require_posterior(section, objectness, smooth || rules.target_is_overlap());
  if (smooth)
    log::warn(
        cat(title(),
            ": objectness_smooth keeps Darknet's rule, in which assigned anchors whose "
            "prediction overlaps little are trained towards 0; obj_target=one or iou fixes it"));
  if (keys_.label_smooth_eps > 0)
    require_hard_class_targets(section, class_loss_, "label_smooth_eps");
  if (smooth && differs_by_class(class_loss_))  // positives may then have a negative's gradient
    require_hard_class_targets(section, class_loss_, "objectness_smooth");
  if (keys_.truth_thresh < 1 && objectness.needs_labels)
    section.fail_between(
        {"truth_thresh", "obj_norm", "obj_prior", "obj_normalizer"},
        "with truth_thresh below 1 the positives depend on predictions and cannot be counted "
        "from the labels, as obj_norm=positives or positives_ema, obj_prior=auto and "
        "obj_normalizer=auto ask");
}

// Darknet: max(count) / count, capped at max_delta. Where nothing is trained their number was not
// checked.
void YoloLayer::upload_multipliers() {
  if (std::ssize(counters_per_class_) != keys_.classes || !multipliers_.empty()) return;
  const auto max =
      static_cast<float>(*std::max_element(counters_per_class_.begin(), counters_per_class_.end()));
  std::vector<float> values;
  for (const std::int64_t count : counters_per_class_) {
    const float m = max / static_cast<float>(count);
    values.push_back(keys_.max_delta > 0 ? std::min(m, keys_.max_delta) : m);
  }
  multipliers_ = Tensor(context_.device, vector_shape(keys_.classes));
  multipliers_.copy_from({.device = context_.device}, values);
}

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
