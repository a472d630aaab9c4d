// [region]: the detection head of YOLOv2. Its launches are in kernels/region.h; here are its keys,
// its memory and what it offers as a Head.
#include "kernels/region.h"
#include <algorithm>
#include <cmath>
#include <set>
#include "cfg/anchors_key.h"
#include "core/text.h"
#include "detect/head.h"
#include "losses/class_keys.h"
#include "losses/objectness.h"
#include "nn/layer.h"

namespace darknet {
namespace {

struct RegionKeys {
  std::int64_t classes = 20, num = 1, coords = 4, max = 200, classfix = 0;
  std::vector<float> anchors;
  float jitter = .2f, resize = 1, random = 0, thresh = .5f;
  float coord_scale = 1, object_scale = 1, noobject_scale = 1, class_scale = 1, obj_normalizer = 1;
  bool softmax = false, rescore = false, bias_match = false;

  template <class V>
  void fields(V&& v) {
    v("classes", classes, Integers{1, 1 << 16}, "number of classes");
    v("num", num, Integers{1, kMostAnchors}, "anchors");
    v("coords", coords, Integers{4, 4}, "numbers of a box");
    v("anchors", anchors, ListOf<float>{{1e-6f, 1e6f}},
      "width,height of every anchor in grid cells");
    v("max", max, TrainingOnly{Integers{1, 100000}}, "most truths of an image");
    v("jitter", jitter, TrainingOnly{Reals{0, .99f}},
      "augmentation: how far the crop's sides move");
    v("resize", resize, TrainingOnly{Reals{.01f, 100}}, "augmentation: largest zoom");
    v("random", random, TrainingOnly{Reals{0, 10}},
      "multi-scale training: 1 = factor 1.4, else the factor");
    v("softmax", softmax, Flag{},
      "class scores through a softmax; 0: raw values with squared error");
    v("rescore", rescore, TrainingOnly{Flag{}},
      "objectness target of assigned anchors is the IoU with their truth");
    v("bias_match", bias_match, TrainingOnly{Flag{}},
      "a truth chooses by the anchors' shape, else by the predictions'");
    v("classfix", classfix, Integers{-1, 2},
      "-1: objectness learns the best IoU everywhere; 1, 2: ignored anchors learn classes");
    v("thresh", thresh, TrainingOnly{Reals{0, 1}},
      "unassigned anchors above this IoU are not judged");
    v("coord_scale", coord_scale, TrainingOnly{Reals{0, 1e6f}}, "weight of the box loss");
    v("object_scale", object_scale, TrainingOnly{Reals{0, 1e6f}},
      "weight of the objectness loss of assigned anchors");
    v("noobject_scale", noobject_scale, TrainingOnly{Reals{0, 1e6f}},
      "weight of the objectness loss of the others");
    v("class_scale", class_scale, TrainingOnly{Reals{0, 1e6f}}, "weight of the class loss");
    v("obj_normalizer", obj_normalizer, TrainingOnly{Reals{0, 1e6f}},
      "weight of the whole objectness loss");
  }
};

class RegionLayer final : public Layer, public Head {
 public:
  RegionLayer(Section& section, const LayerContext& context) : Layer(section, context) {
    section.read(region_);
    take_anchors(section, region_.num, region_.anchors);
    objectness_ = read_objectness(section, "mse");
    read_classes(section);
    if (section.training()) check_losses(section);
    fill_settings();
  }

  bool works_in_f32() const override { return true; }

  Requirements reshape(std::span<const Shape> in, Ops&, const PlanOptions& options) override {
    const std::int64_t needed = settings_.anchors * settings_.entries();
    if (in[0].c != needed)
      fail(title(), ": gets ", in[0].c, " channels; ", plural(settings_.anchors, "anchor"),
           " of 5 + ", region_.classes, " numbers need filters=", needed,
           " in the convolution before it");
    shape_ = in[0];
    Requirements r{.output = in[0], .needs_input = false, .needs_output = false};
    if (options.mode == Mode::inference) return r;
    if (sums_.bytes() == 0) sums_ = Buffer(context_.device, sizeof(TelemetrySums));
    r.saved = records_at() + anchors() * std::int64_t{sizeof(AnchorRecord)};
    r.workspace =
        std::max(telemetry_scratch(anchors()), shape_.n * std::max(region_.max, context_.truths) *
                                                   std::int64_t{sizeof(std::int32_t)});
    return r;
  }

  void forward(const Pass& pass, std::span<const TensorView> in, TensorView out) override {
    region_decode(pass.stream, settings_, in[0].as<>(), out.as<>());
    if (pass.mode == Mode::inference || !pass.truths.data) return;
    const RegionArguments a{.settings = settings_,
                            .logits = in[0].as<>(),
                            .out = out.as<>(),
                            .gradient = gradient(pass).as<>(),
                            .truths = pass.truths,
                            .choices = static_cast<std::int32_t*>(pass.workspace),
                            .records = records(pass),
                            .step = pass.step};
    region_assign(pass.stream, class_loss_, a);
    const ObjectnessArguments o{a.logits,  a.gradient,
                                a.records, {settings_.anchors, settings_.entries(), 4},
                                pass.step, objectness_.normalise_by_positives};
    apply_objectness(pass.stream, objectness_.loss, o);
    sum_telemetry(pass.stream, o, static_cast<TelemetrySums*>(sums_.data()), pass.workspace);
  }

  void backward(const Pass& pass, const BackwardArguments& a) override {
    const GradientSlot& slot = a.in_gradient[0];
    if (slot.view)
      yolo_backward(pass.stream, gradient(pass).as<>(), {1, pass.step}, slot.view.as<>(), slot.add);
  }

  Head* head() override { return this; }
  LayerSummary summary() const override {
    return {.note = cat(plural(settings_.anchors, "anchor"), ", ", plural(region_.classes, "class"),
                        ", objectness ", name_of(objectness_.loss))};
  }

  const HeadSettings& settings() const override { return offered_; }
  void decode(View<const float> output, const Shape& net, float threshold,
              std::vector<Detection>& to) const override;
  std::int64_t positives(std::span<const Truth> truths, const Shape&) const override {
    std::set<std::int32_t> anchors;
    for (const Truth& t : truths) anchors.insert(region_choice(settings_, t, shape_));
    return static_cast<std::int64_t>(anchors.size());
  }
  std::vector<AnchorShape> anchor_shapes(const Shape& net) const override {
    const float cell_w = static_cast<float>(net.w) / static_cast<float>(shape_.w),
                cell_h = static_cast<float>(net.h) / static_cast<float>(shape_.h);
    std::vector<AnchorShape> shapes;  // its anchors are in cells
    for (std::size_t n = 0; n + 1 < region_.anchors.size(); n += 2)
      shapes.push_back({region_.anchors[n] * cell_w, region_.anchors[n + 1] * cell_h});
    return shapes;
  }
  std::int64_t candidates(const Shape&) const override {
    return shape_.h * shape_.w * settings_.anchors;
  }
  float prior() const override { return objectness_.prior; }
  float stationary_prior(double eta) const override {
    return darknet::stationary_prior(objectness_.loss, eta, region_.object_scale,
                                     region_.noobject_scale);
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
  HeadTelemetry telemetry(const Stream& s) const override { return told_by(to_host(s, sums())); }
  HeadTelemetry told_by(const TelemetrySums& s) const override {
    HeadTelemetry t = to_telemetry(s);
    t.truths_lost = std::exchange(t.truths_sharing, 0);  // a later truth overwrites an earlier one
    return t;
  }

 private:
  void read_classes(Section& section);
  void check_losses(const Section& section) const;
  void fill_settings();
  std::int64_t anchors() const { return shape_.pixels() * settings_.anchors; }
  std::int64_t records_at() const { return shape_.size() * size_of(DType::f32); }
  TensorView gradient(const Pass& pass) const { return {pass.saved, DType::f32, shape_, shape_.c}; }
  AnchorRecord* records(const Pass& pass) const {
    return reinterpret_cast<AnchorRecord*>(static_cast<char*>(pass.saved) + records_at());
  }

  RegionKeys region_;
  Objectness objectness_;
  SigmoidClassLoss class_loss_;
  RegionSettings settings_;
  HeadSettings offered_;
  Buffer sums_;
  Shape shape_;
};

void RegionLayer::read_classes(Section& section) {
  const std::string name = read_class_loss_name(section, region_.softmax ? "softmax" : "");
  const bool focal = name == losses::DarknetFocal::name;
  if (name.empty() || (focal && !region_.softmax)) {
    settings_.class_kind = focal ? RegionClasses::linear_focal : RegionClasses::linear;
  } else if (name == "softmax" || focal) {
    settings_.class_kind = focal ? RegionClasses::softmax_focal : RegionClasses::softmax;
  } else {
    settings_.class_kind = RegionClasses::sigmoid;
    class_loss_ = read_sigmoid_class_loss(section, name);
    if (region_.softmax)
      section.fail_between({"cls_loss", "softmax"},
                           cat(name, " is a loss per class; it needs softmax=0"));
  }
}

void RegionLayer::check_losses(const Section& section) const {
  const bool from_keys = objectness_.target == ObjectnessTarget::from_keys;
  const bool soft = objectness_.target == ObjectnessTarget::overlap ||
                    (from_keys && (region_.rescore || region_.classfix == -1));
  require_hard_targets(section, objectness_, soft);
  if (!region_.bias_match && (objectness_.normalise_by_positives || objectness_.prior < 0))
    section.fail_between(
        {"bias_match", "obj_norm", "obj_prior"},
        "with bias_match=0 the positives depend on predictions and cannot be counted from "
        "the labels, as obj_norm=positives and obj_prior=auto ask");
}

void RegionLayer::fill_settings() {
  RegionSettings& s = settings_;
  s.classes = region_.classes, s.anchors = region_.num;
  for (std::int64_t n = 0; n < s.anchors; ++n) {
    s.width[n] = region_.anchors[static_cast<std::size_t>(2 * n)];
    s.height[n] = region_.anchors[static_cast<std::size_t>(2 * n + 1)];
  }
  s.bias_match = region_.bias_match, s.rescore = region_.rescore, s.classfix = region_.classfix;
  s.thresh = region_.thresh;
  s.coord_scale = region_.coord_scale, s.class_scale = region_.class_scale;
  s.object_scale = region_.object_scale, s.noobject_scale = region_.noobject_scale;
  s.objectness_weight = region_.obj_normalizer;
  s.hard_target = objectness_.target == ObjectnessTarget::one;
  s.overlap_target = objectness_.target == ObjectnessTarget::overlap;
  s.exact_box_gradient = objectness_.exact_box_gradient;
  offered_ = {.classes = region_.classes,
              .anchors = s.anchors,
              .max_truths = region_.max,
              .augmentation = {region_.jitter, region_.resize, region_.random},
              .objectness_loss = std::string(name_of(objectness_.loss)),
              .normalise_by_positives = objectness_.normalise_by_positives};
}

void RegionLayer::decode(View<const float> output, const Shape&, float threshold,
                         std::vector<Detection>& to) const {
  const RegionSettings& s = settings_;
  const auto w = static_cast<float>(output.shape.w), h = static_cast<float>(output.shape.h);
  for (std::int64_t pixel = 0; pixel < output.shape.pixels(); ++pixel) {
    for (std::int64_t n = 0; n < s.anchors; ++n) {
      const float* const o = &output.at(pixel, n * s.entries());
      const float objectness = s.classfix == -1 && o[4] < .5f ? 0 : o[4];  // Darknet
      if (!(objectness > threshold)) continue;
      const Box box{(static_cast<float>(pixel % output.shape.w) + o[0]) / w,
                    (static_cast<float>(pixel / output.shape.w) + o[1]) / h,
                    std::exp(o[2]) * s.width[n] / w, std::exp(o[3]) * s.height[n] / h};
      for (std::int64_t k = 0; k < s.classes; ++k)
        if (const float p = objectness * o[5 + k]; p > threshold)
          to.push_back({box, static_cast<std::int32_t>(k), objectness, p});
    }
  }
}

}  // namespace

LayerPtr make_region(Section& section, const LayerContext& context) {
  return std::make_unique<RegionLayer>(section, context);
}

void describe_region(KeyDocs& docs) {
  docs.add(RegionKeys{});
  docs.add(ObjectnessKeys{});
  describe_logit_losses(docs, "obj_");
  docs.add(ClassKeys{});
  describe_logit_losses(docs, "cls_");
}

}  // namespace darknet
