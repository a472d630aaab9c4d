// [yolo]: a detection head of independent sigmoids (YOLOv3 and later). Its launches are in
// kernels/yolo.h; here are its keys, its memory and what it offers as a Head.
#include "kernels/yolo.h"
#include <algorithm>
#include <cmath>
#include <set>
#include "cfg/anchors_key.h"
#include "core/log.h"
#include "detect/head.h"
#include "losses/class_keys.h"
#include "losses/objectness.h"
#include "nn/layer.h"

namespace darknet {
namespace {

struct YoloKeys {
  std::int64_t classes = 20, num = 1, max = 200;
  std::vector<std::int64_t> mask, counters_per_class;
  std::vector<float> anchors;
  float jitter = .2f, resize = 1, random = 0;
  float ignore_thresh = .5f, truth_thresh = 1, iou_thresh = 1;
  BoxLoss iou_loss = BoxLoss::mse;
  Overlap iou_thresh_kind = Overlap::iou;
  NmsKind nms_kind = NmsKind::by_class;
  float iou_normalizer = .75f, obj_normalizer = 1, cls_normalizer = 1, delta_normalizer = 1;
  float label_smooth_eps = 0, max_delta = 0, scale_x_y = 1, beta_nms = .6f;
  bool objectness_smooth = false, new_coords = false;

  template <class V>
  void fields(V&& v) {
    v("classes", classes, Integers{1, 1 << 16}, "number of classes");
    v("num", num, Integers{1, kMostAnchors}, "anchors of all heads together");
    v("mask", mask, ListOf<std::int64_t>{{0, kMostAnchors - 1}},
      "this head's anchors; without it all");
    v("anchors", anchors, ListOf<float>{{1e-6f, 1e6f}},
      "width,height of every anchor in input pixels");
    v("max", max, TrainingOnly{Integers{1, 100000}}, "most truths of an image");
    v("jitter", jitter, TrainingOnly{Reals{0, .99f}},
      "augmentation: how far the crop's sides move");
    v("resize", resize, TrainingOnly{Reals{.01f, 100}}, "augmentation: largest zoom");
    v("random", random, TrainingOnly{Reals{0, 10}},
      "multi-scale training: 1 = factor 1.4, else the factor");
    v("ignore_thresh", ignore_thresh, TrainingOnly{Reals{0, 1}},
      "unassigned anchors above this IoU are not judged");
    v("truth_thresh", truth_thresh, TrainingOnly{Reals{0, 1}},
      "anchors above this IoU learn their truth; 1: none");
    v("iou_thresh", iou_thresh, TrainingOnly{Reals{0, 1}},
      "anchors whose shape overlaps a truth more learn it; 1: none");
    v("iou_thresh_kind", iou_thresh_kind, TrainingOnly{Choice<Overlap>{}},
      "overlap that iou_thresh compares");
    v("iou_loss", iou_loss, TrainingOnly{Choice<BoxLoss>{}}, "loss of the boxes");
    v("iou_normalizer", iou_normalizer, TrainingOnly{Reals{0, 1e6f}}, "weight of the box loss");
    v("obj_normalizer", obj_normalizer, TrainingOnly{Reals{0, 1e6f}},
      "weight of the objectness loss");
    v("cls_normalizer", cls_normalizer, TrainingOnly{Reals{0, 1e6f}},
      "weight of the true class with counters_per_class");
    v("delta_normalizer", delta_normalizer, TrainingOnly{Reals{0, 1e6f}},
      "factor on every gradient of this head");
    v("label_smooth_eps", label_smooth_eps, TrainingOnly{Reals{0, 1}},
      "class targets become 1 - eps/2 and eps/2");
    v("max_delta", max_delta, TrainingOnly{Reals{0}},
      "limit on box gradients and class multipliers; 0: none");
    v("counters_per_class", counters_per_class,
      TrainingOnly{ListOf<std::int64_t>{{1, std::int64_t{1} << 40}}},
      "objects per class; rare classes get a larger weight");
    v("scale_x_y", scale_x_y, Reals{.1f, 10}, "stretch of the centre's sigmoid around its middle");
    v("new_coords", new_coords, Flag{},
      "w, h = (2 sigmoid)^2 anchors; the convolution below is logistic");
    v("objectness_smooth", objectness_smooth, TrainingOnly{Flag{}},
      "Darknet's soft objectness targets");
    v("nms_kind", nms_kind, Choice<NmsKind>{}, "how overlapping detections are removed");
    v("beta_nms", beta_nms, Reals{0, 10}, "exponent of nms_kind=diounms");
  }
};

void check_anchors(Section& section, YoloKeys& k) {
  take_anchors(section, k.num, k.anchors);
  if (k.mask.empty())
    for (std::int64_t n = 0; n < k.num; ++n) k.mask.push_back(n);
  for (const std::int64_t m : k.mask)
    if (m >= k.num)
      section.fail("mask", cat("there is no anchor ", m, " among ", k.num, ", counted from 0"));
  if (std::set(k.mask.begin(), k.mask.end()).size() != k.mask.size())
    section.fail("mask", "an anchor is named twice");
  if (section.training() && !k.counters_per_class.empty() &&
      static_cast<std::int64_t>(k.counters_per_class.size()) != k.classes)
    section.fail("counters_per_class",
                 cat("classes=", k.classes, " need as many numbers, there are ",
                     k.counters_per_class.size()));
}

class YoloLayer final : public Layer, public Head {
 public:
  YoloLayer(Section& section, const LayerContext& context) : Layer(section, context) {
    section.read(yolo_);
    check_anchors(section, yolo_);
    objectness_ = read_objectness(section, yolo_.new_coords ? "mse" : "ce");
    const std::string name = read_class_loss_name(section, yolo_.new_coords ? "mse" : "ce");
    class_loss_ = read_sigmoid_class_loss(section, name);
    if (section.training()) check_losses(section);
    fill_settings();
  }

  bool works_in_f32() const override { return true; }

  Requirements reshape(std::span<const Shape> in, Ops&, const PlanOptions& options) override {
    const std::int64_t needed = settings_.anchors * settings_.entries();
    if (in[0].c != needed)
      fail(title(), ": gets ", in[0].c, " channels; ", settings_.anchors, " anchors of 5 + ",
           yolo_.classes, " numbers need filters=", needed, " in the convolution before it");
    if (yolo_.new_coords && !accepted_)
      fail(title(), ": new_coords=1 needs activation=logistic in the convolution before it");
    shape_ = in[0];
    settings_.net_width = context_.net_width, settings_.net_height = context_.net_height;
    Requirements r{.output = in[0], .needs_input = false, .needs_output = false};
    if (options.mode == Mode::inference) return r;
    if (sums_.bytes() == 0) sums_ = Buffer(context_.device, sizeof(TelemetrySums));
    upload_multipliers();
    r.saved = records_at() + anchors() * std::int64_t{sizeof(AnchorRecord)};
    r.workspace =
        std::max(telemetry_scratch(anchors()), shape_.n * std::max(yolo_.max, context_.truths) *
                                                   std::int64_t{sizeof(TruthChoice)});
    return r;
  }

  void forward(const Pass& pass, std::span<const TensorView> in, TensorView out) override {
    yolo_decode(pass.stream, settings_, in[0].as<>(), out.as<>());
    if (pass.mode == Mode::inference || !pass.truths.data) return;
    const YoloArguments a{.settings = settings_,
                          .logits = in[0].as<>(),
                          .out = out.as<>(),
                          .gradient = gradient(pass).as<>(),
                          .truths = pass.truths,
                          .choices = static_cast<TruthChoice*>(pass.workspace),
                          .records = records(pass)};
    yolo_assign(pass.stream, class_loss_, a);
    const ObjectnessArguments o{a.logits,  a.gradient,
                                a.records, {settings_.anchors, settings_.entries(), 4},
                                pass.step, objectness_.normalise_by_positives};
    apply_objectness(pass.stream, objectness_.loss, o);
    sum_telemetry(pass.stream, o, static_cast<TelemetrySums*>(sums_.data()), pass.workspace);
  }

  void backward(const Pass& pass, const BackwardArguments& a) override {
    const GradientSlot& slot = a.in_gradient[0];
    if (slot.view)
      yolo_backward(pass.stream, gradient(pass).as<>(), {yolo_.delta_normalizer, pass.step},
                    slot.view.as<>(), slot.add);
  }

  Head* head() override { return this; }
  bool accept_activation(Activation a) override {
    accepted_ = yolo_.new_coords && a == Activation::logistic;
    return accepted_;
  }
  LayerSummary summary() const override {
    return {.note = cat(settings_.anchors, " anchors, ", yolo_.classes, " classes, objectness ",
                        name_of(objectness_.loss))};
  }

  const HeadSettings& settings() const override { return offered_; }
  void decode(View<const float> output, const Shape& net, float threshold,
              std::vector<Detection>& to) const override;
  std::int64_t positives(std::span<const Truth> truths, const Shape& net) const override;
  std::vector<AnchorShape> anchor_shapes(const Shape&) const override {
    std::vector<AnchorShape> shapes;
    for (const std::int64_t m : yolo_.mask)
      shapes.push_back({yolo_.anchors[static_cast<std::size_t>(2 * m)],
                        yolo_.anchors[static_cast<std::size_t>(2 * m + 1)]});
    return shapes;
  }
  std::int64_t candidates(const Shape&) const override {
    return shape_.h * shape_.w * settings_.anchors;
  }
  float prior() const override { return objectness_.prior; }
  float stationary_prior(double eta) const override {
    return darknet::stationary_prior(objectness_.loss, eta, 1, 1);
  }
  std::vector<std::int64_t> objectness_channels() const override {
    std::vector<std::int64_t> channels;
    for (std::int64_t n = 0; n < settings_.anchors; ++n)
      channels.push_back(n * settings_.entries() + 4);
    return channels;
  }
  const TelemetrySums* sums() const override {
    return static_cast<const TelemetrySums*>(sums_.data());
  }
  HeadTelemetry told_by(const TelemetrySums& s) const override { return to_telemetry(s); }
  HeadTelemetry telemetry(const Stream& s) const override { return told_by(to_host(s, sums())); }

 private:
  void check_losses(const Section& section) const;
  void fill_settings();
  void upload_multipliers();
  std::int64_t anchors() const { return shape_.pixels() * settings_.anchors; }
  std::int64_t records_at() const { return shape_.size() * size_of(DType::f32); }
  TensorView gradient(const Pass& pass) const { return {pass.saved, DType::f32, shape_, shape_.c}; }
  AnchorRecord* records(const Pass& pass) const {
    return reinterpret_cast<AnchorRecord*>(static_cast<char*>(pass.saved) + records_at());
  }

  YoloKeys yolo_;
  Objectness objectness_;
  SigmoidClassLoss class_loss_;
  YoloSettings settings_;
  HeadSettings offered_;
  Tensor multipliers_;
  Buffer sums_;
  Shape shape_;
  bool accepted_ = false;
};

void YoloLayer::check_losses(const Section& section) const {
  const bool smooth = yolo_.objectness_smooth && objectness_.target == ObjectnessTarget::from_keys;
  require_hard_targets(section, objectness_,
                       smooth || objectness_.target == ObjectnessTarget::overlap);
  if (smooth)
    log::warn(
        cat(title(),
            ": objectness_smooth keeps Darknet's rule, in which assigned anchors whose "
            "prediction overlaps little are trained towards 0; obj_target=one or iou mends it"));
  if (std::holds_alternative<losses::Focal>(class_loss_) && yolo_.label_smooth_eps > 0)
    section.fail("cls_loss",
                 "focal needs hard targets, and label_smooth_eps softens them; use quality_focal");
  if (yolo_.truth_thresh < 1 && (objectness_.normalise_by_positives || objectness_.prior < 0))
    section.fail("truth_thresh",
                 "below 1 the positives depend on predictions and cannot be counted "
                 "from the labels, as obj_norm=positives and obj_prior=auto ask");
}

void YoloLayer::fill_settings() {
  YoloSettings& s = settings_;
  s.classes = yolo_.classes, s.total = yolo_.num;
  s.anchors = static_cast<std::int64_t>(yolo_.mask.size());
  for (std::int64_t n = 0; n < s.total; ++n) {
    s.width[n] = yolo_.anchors[static_cast<std::size_t>(2 * n)];
    s.height[n] = yolo_.anchors[static_cast<std::size_t>(2 * n + 1)];
  }
  std::copy(yolo_.mask.begin(), yolo_.mask.end(), s.mask);
  s.scale_x_y = yolo_.scale_x_y, s.new_coords = yolo_.new_coords;
  s.ignore_thresh = yolo_.ignore_thresh, s.truth_thresh = yolo_.truth_thresh;
  s.iou_thresh = yolo_.iou_thresh, s.iou_thresh_kind = yolo_.iou_thresh_kind;
  s.box_loss = yolo_.iou_loss;
  s.overlap = overlap_of(yolo_.iou_loss);
  s.exact_box_gradient = objectness_.exact_box_gradient;
  s.box_weight = yolo_.iou_normalizer, s.objectness_weight = yolo_.obj_normalizer;
  s.class_weight = yolo_.cls_normalizer;
  s.label_smooth_eps = yolo_.label_smooth_eps, s.max_delta = yolo_.max_delta;
  s.objectness_smooth = yolo_.objectness_smooth;
  s.hard_target = objectness_.target == ObjectnessTarget::one;
  s.overlap_target = objectness_.target == ObjectnessTarget::overlap;
  offered_ = {.classes = yolo_.classes,
              .anchors = s.anchors,
              .max_truths = yolo_.max,
              .nms_kind = yolo_.nms_kind,
              .beta_nms = yolo_.beta_nms,
              .augmentation = {yolo_.jitter, yolo_.resize, yolo_.random},
              .objectness_loss = std::string(name_of(objectness_.loss)),
              .normalise_by_positives = objectness_.normalise_by_positives};
}

// Darknet: max(count) / count, capped at max_delta.
void YoloLayer::upload_multipliers() {
  if (yolo_.counters_per_class.empty() || !multipliers_.empty()) return;
  const auto most = static_cast<float>(
      *std::max_element(yolo_.counters_per_class.begin(), yolo_.counters_per_class.end()));
  std::vector<float> values;
  for (const std::int64_t count : yolo_.counters_per_class) {
    const float m = most / static_cast<float>(count);
    values.push_back(yolo_.max_delta > 0 ? std::min(m, yolo_.max_delta) : m);
  }
  multipliers_ = Tensor(context_.device, vector_shape(yolo_.classes));
  multipliers_.copy_from({.device = context_.device}, values);
  settings_.class_multipliers = multipliers_.data();
}

void YoloLayer::decode(View<const float> output, const Shape& net, float threshold,
                       std::vector<Detection>& to) const {
  const YoloSettings& s = settings_;
  for (std::int64_t pixel = 0; pixel < output.shape.pixels(); ++pixel) {
    for (std::int64_t n = 0; n < s.anchors; ++n) {
      const float* const o = &output.at(pixel, n * s.entries());
      if (!(o[4] > threshold)) continue;
      const float w = s.new_coords ? 4 * o[2] * o[2] : std::exp(o[2]);
      const float h = s.new_coords ? 4 * o[3] * o[3] : std::exp(o[3]);
      const auto column = static_cast<float>(pixel % output.shape.w);
      const auto row = static_cast<float>(pixel / output.shape.w);
      const Box box{(column + o[0]) / static_cast<float>(output.shape.w),
                    (row + o[1]) / static_cast<float>(output.shape.h),
                    w * s.width[s.mask[n]] / static_cast<float>(net.w),
                    h * s.height[s.mask[n]] / static_cast<float>(net.h)};
      for (std::int64_t k = 0; k < s.classes; ++k)
        if (const float p = o[4] * o[5 + k]; p > threshold)
          to.push_back({box, static_cast<std::int32_t>(k), o[4], p});
    }
  }
}

std::int64_t YoloLayer::positives(std::span<const Truth> truths, const Shape&) const {
  std::set<std::pair<std::int32_t, int>> anchors;
  for (const Truth& t : truths) {
    const TruthChoice c = yolo_choice(settings_, t, shape_);
    for (int n = 0; n < settings_.anchors; ++n)
      if (c.anchors >> n & 1) anchors.insert({c.cell, n});
  }
  return static_cast<std::int64_t>(anchors.size());
}

}  // namespace

LayerPtr make_yolo(Section& section, const LayerContext& context) {
  return std::make_unique<YoloLayer>(section, context);
}

void describe_yolo(KeyDocs& docs) {
  docs.add(YoloKeys{});
  docs.add(ObjectnessKeys{});
  describe_logit_losses(docs, "obj_");
  docs.add(ClassKeys{});
  describe_logit_losses(docs, "cls_");
}

}  // namespace darknet
