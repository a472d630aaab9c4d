// The pieces of [yolo]'s assignment, for host and device: its keys, its boxes and the gradients of
// boxes and classes, and the assignment of one anchor. [Gaussian_yolo] has other boxes
// (kernels/gaussian.h). The kernels made of them are in layers/yolo_head.h.
#pragma once
#include <cstdint>
#include <type_traits>
#include "kernels/assignment.h"
#include "losses/box.h"
#include "losses/class_loss.h"

namespace darknet {

inline constexpr float kClassMatch = .25f;  // Darknet's compare_yolo_class: any class above it

// Of the boxes: squared error of the offsets, or 1 - an overlap.
enum class BoxLoss : std::uint8_t { mse, iou, giou, diou, ciou };
constexpr auto choices(BoxLoss) {
  return std::to_array<Named<BoxLoss>>({{"mse", BoxLoss::mse},
                                        {"iou", BoxLoss::iou},
                                        {"giou", BoxLoss::giou},
                                        {"diou", BoxLoss::diou},
                                        {"ciou", BoxLoss::ciou}});
}
enum class BoxGradientRule : std::uint8_t { darknet, exact };
constexpr auto choices(BoxGradientRule) {
  return std::to_array<Named<BoxGradientRule>>(
      {{"darknet", BoxGradientRule::darknet}, {"exact", BoxGradientRule::exact}});
}
// The overlap of a loss that is one.
DN_HD constexpr Overlap overlap_of(BoxLoss loss) {
  return loss == BoxLoss::giou   ? Overlap::giou
         : loss == BoxLoss::diou ? Overlap::diou
         : loss == BoxLoss::ciou ? Overlap::ciou
                                 : Overlap::iou;
}

struct YoloKeys : HeadKeys, NmsKeys {
  float ignore_thresh = .5f, truth_thresh = 1, iou_thresh = 1;
  Overlap iou_thresh_kind = Overlap::iou;
  BoxLoss iou_loss = BoxLoss::mse;
  BoxGradientRule box_gradient = BoxGradientRule::darknet;
  float iou_normalizer = .75f, cls_normalizer = 1, delta_normalizer = 1;
  float label_smooth_eps = 0, max_delta = 0, scale_x_y = 1;
  bool new_coords = false, objectness_smooth = false;

  template <class V>
  void fields(V&& v) {
    HeadKeys::fields(v);
    v("ignore_thresh", ignore_thresh, TrainingOnly{Reals{0, 1}},
      "unassigned anchors above this IoU are ignored");
    v("truth_thresh", truth_thresh, TrainingOnly{Reals{0, 1}},
      "anchors above this IoU are assigned to their truth; 1: none");
    v("iou_thresh", iou_thresh, TrainingOnly{Reals{0, 1}},
      "anchors whose shape overlaps a truth more are assigned to it; 1: none");
    v("iou_thresh_kind", iou_thresh_kind, TrainingOnly{Choice<Overlap>{}},
      "overlap that iou_thresh compares");
    v("iou_loss", iou_loss, TrainingOnly{Choice<BoxLoss>{}}, "loss of the boxes");
    v("box_gradient", box_gradient, TrainingOnly{Choice<BoxGradientRule>{}},
      "exact: the true gradient of the box loss in the logits");
    v("iou_normalizer", iou_normalizer, TrainingOnly{Reals{0, 1e6f}}, "weight of the box loss");
    v("cls_normalizer", cls_normalizer, TrainingOnly{Reals{0, 1e6f}},
      "weight of the true class with counters_per_class");
    v("delta_normalizer", delta_normalizer, TrainingOnly{Reals{0, 1e6f}},
      "factor on every gradient of this head");
    v("label_smooth_eps", label_smooth_eps, TrainingOnly{Reals{0, 1}},
      "class targets become 1 - eps/2 and eps/2");
    v("max_delta", max_delta, TrainingOnly{Reals{0}},
      "limit on box gradients and class multipliers; 0: none");
    v("scale_x_y", scale_x_y, Reals{.1f, 10}, "stretch of the centre's sigmoid around its middle");
    v("new_coords", new_coords, Flag{},
      "w, h = (2 sigmoid)^2 anchors; the convolution below is logistic");
    v("objectness_smooth", objectness_smooth, TrainingOnly{Flag{}},
      "Darknet's soft objectness targets");
    NmsKeys::fields(v);
  }

  // Calls f with how w and h follow from decoded outputs.
  template <class F>
  DN_HD auto with_sides(F f) const {
    return new_coords ? f(SideOfRoot{}) : f(SideOfLogarithm{});
  }

  // The anchor that fits best of those of all heads, where it is this head's, and this head's
  // anchors above iou_thresh.
  DN_HD TruthChoice choose(const Truth& t, const AnchorTable& anchors, const Shape& grid) const {
    const Box shape{0, 0, t.box.w, t.box.h};
    const std::int64_t best =
        best_shape(anchors.total, t.box, [&](std::int64_t n) { return anchors.shape(n); });
    TruthChoice choice;
    for (std::int64_t m = 0; m < anchors.count; ++m) {
      const std::int32_t n = anchors.mask[m];
      const bool chosen = n == best || (iou_thresh < 1 && overlap(iou_thresh_kind, anchors.shape(n),
                                                                  shape) > iou_thresh);
      if (chosen) choice.anchors |= std::uint64_t{1} << m;
    }
    if (choice.anchors != 0) choice.cell = cell_of(t.box, grid);
    return choice;
  }
};
static_assert(std::is_trivially_copyable_v<YoloKeys>);

struct YoloArguments : AssignArguments {
  YoloKeys keys;
  const float* class_multipliers = nullptr;  // on the device, one a class; null: none

  DN_HD float multiplier(std::int32_t class_id) const {
    return class_multipliers ? class_multipliers[class_id] : 1;
  }
  // Darknet's objectness_smooth, defect included.
  DN_HD bool smooth() const { return keys.objectness_smooth && rules.target_from_keys(); }
  DN_HD const YoloKeys& box_keys() const { return keys; }
};

// An anchor and the box that it predicts.
struct PredictedBox : AnchorPlace {
  Box box;
};

DN_HD inline float finite_or_zero(float x) { return x - x == 0 ? x : 0; }

// Darknet: by the number of classes pulled up.
DN_HD inline void average_box_gradient(const AssignArguments& a, const AnchorPlace& at,
                                       std::int64_t entries) {
  int classes = 0;
  for (std::int64_t k = 0; k < a.layout.classes(); ++k)
    classes += a.g(at, a.layout.class_entry(k)) < 0 ? 1 : 0;
  if (classes == 0) return;
  for (std::int64_t e = 0; e < entries; ++e) a.g(at, e) /= static_cast<float>(classes);
}

// Box gradients and losses of one anchor; several ground truths add up.
struct YoloBoxes {
  using Arguments = YoloArguments;
  // Whether objectness_smooth does all that it is meant to: unassigned anchors learn the square of
  // their IoU and their classes, assigned ones the target 1.
  static constexpr bool kSmoothsAll = false;
  const YoloArguments& a;
  const PredictedBox& at;

  DN_HD void add_gradient(const Box& object, float weight, AnchorRecord& r) const {
    a.keys.iou_loss == BoxLoss::mse ? add_offset_gradient(object, weight, r)
                                    : add_overlap_gradient(object, weight, r);
  }

  // After the last ground truth.
  DN_HD void finish() const {
    if (a.keys.iou_thresh < 1) average_box_gradient(a, at, 4);
    if (a.keys.new_coords) through_sigmoid();
  }

 private:
  DN_HD float out(int e) const { return a.outputs(at)[e]; }

  DN_HD void add_offset_gradient(const Box& object, float weight, AnchorRecord& r) const {
    const YoloKeys& s = a.keys;
    const Shape& grid = a.grid();
    const float rw = object.w * a.anchors.unit_w / a.anchors.own_width(at.n),
                rh = object.h * a.anchors.unit_h / a.anchors.own_height(at.n);
    const float target[4] = {object.x * grid.w - at.x, object.y * grid.h - at.y,
                             s.new_coords ? math::sqrt(rw / 4) : math::log(rw),
                             s.new_coords ? math::sqrt(rh / 4) : math::log(rh)};
    const bool exact = a.keys.box_gradient == BoxGradientRule::exact;
    const float w = (2 - object.w * object.h) * weight;
    for (int e = 0; e < 4; ++e) {
      const float d = out(e) - target[e];
      a.g(at, e) += finite_or_zero(w * d * (exact && e < 2 ? slope_x_y(e) : 1));
      r.box_loss += finite_or_zero(w * d * d / 2);
    }
  }

  // new_coords: from the gradient by the convolution's logistic to that by its input.
  DN_HD void through_sigmoid() const {
    for (int e = 0; e < 4; ++e) {
      const float p = math::sigmoid(a.logit(at, e));
      a.g(at, e) *= p * (1 - p);
    }
  }

  // d out / d logit of x and y; with new_coords the sigmoid's part follows in through_sigmoid.
  DN_HD float slope_x_y(int e) const {
    if (a.keys.new_coords) return a.keys.scale_x_y;
    const float p = math::sigmoid(a.logit(at, e));
    return a.keys.scale_x_y * p * (1 - p);
  }

  DN_HD void add_overlap_gradient(const Box& object, float weight, AnchorRecord& r) const {
    const Overlap kind = overlap_of(a.keys.iou_loss);
    const losses::BoxGradient<float> q = a.keys.box_gradient == BoxGradientRule::exact
                                             ? exact_gradient(kind, object)
                                             : darknet_gradient(kind, object);
    const float of[4] = {q.x, q.y, q.w, q.h}, limit = a.keys.max_delta;
    for (int e = 0; e < 4; ++e) {
      float d = finite_or_zero(-weight * of[e]);
      if (limit > 0) d = math::clamp(d, -limit, limit);
      a.g(at, e) += d;
    }
    r.box_loss += finite_or_zero(weight * (1 - overlap(kind, at.box, object)));
  }

  DN_HD losses::BoxGradient<float> darknet_gradient(Overlap kind, const Box& object) const {
    auto q = losses::DarknetOverlapGradient<float>(at.box, object).of(kind);
    if (a.keys.new_coords) return q;
    q.w *= math::exp(out(2));  // Darknet: without the anchor's size
    q.h *= math::exp(out(3));
    return q;
  }

  DN_HD losses::BoxGradient<float> exact_gradient(Overlap kind, const Box& object) const {
    const AnchorTable& anchors = a.anchors;
    const bool roots = a.keys.new_coords;
    auto q = losses::exact_overlap_gradient(kind, at.box, object);
    q.x *= slope_x_y(0) / a.grid().w;
    q.y *= slope_x_y(1) / a.grid().h;
    q.w *= roots ? 8 * out(2) * anchors.own_width(at.n) / anchors.unit_w : at.box.w;
    q.h *= roots ? 8 * out(3) * anchors.own_height(at.n) / anchors.unit_h : at.box.h;
    return q;
  }
};

// Class gradients and losses of one anchor: the set of the classes of all its ground truths.
template <class C>
struct YoloClasses {
  const YoloArguments& a;
  const AnchorPlace& at;
  const C& loss;

  // All classes, of the first ground truth.
  DN_HD void set_gradient(std::int64_t t, AnchorRecord& r) const {
    const std::int32_t c = a.truth(at, t).class_id;
    if constexpr (OfTrueClass<C>) {
      const losses::TrueClass own = losses::true_class_of_sigmoid(logit(c));
      const float factor = C::factor(own);
      for (std::int64_t k = 0; k < a.keys.classes; ++k)
        g(k) = factor * (out(k) - (k == c ? 1.f : 0.f));
      r.class_loss += C::value(own);
    } else {
      for (std::int64_t k = 0; k < a.keys.classes; ++k) {
        const float y = smoothed(k == c ? 1.f : 0.f), w = k == c ? weight(c) : 1;
        const auto own = a.loss_of_class(loss, k);
        g(k) = w * own.gradient(logit(k), y, k == c);
        r.class_loss += w * own.value(logit(k), y, k == c);
      }
    }
  }

  // Darknet, objectness_smooth: the target of the ground truth's class is the square of its IoU.
  DN_HD void soften(std::int64_t t, float iou) const {
    constexpr bool kOfProbability = C::traits.of_probability;
    const std::int32_t c = a.truth(at, t).class_id;
    const float p = out(c), slope = kOfProbability ? p * (1 - p) : 1;
    g(c) = a.multiplier(c) * (p - iou * iou) * slope;
  }

  // A later ground truth t of the same anchor: its class joins the set, the others stay (Darknet:
  // without cls_normalizer, and plain even with focal_loss=1).
  DN_HD void add_class(std::int64_t t, std::int64_t first, AnchorRecord& r) const {
    const std::int32_t c = a.truth(at, t).class_id;
    const float x = logit(c), w = a.multiplier(c), y = smoothed(1);
    if constexpr (OfTrueClass<C>) {
      const losses::CrossEntropy plain;
      g(c) = w * plain.gradient(x, y, true);
      r.class_loss += w * plain.value(x, y, true);
    } else {
      const auto own = a.loss_of_class(loss, c);
      g(c) = w * own.gradient(x, y, true);
      const float positive = own.value(x, y, true), before = weight_before(t, first);
      r.class_loss +=
          w * positive - (before < 0 ? own.value(x, smoothed(0), false) : before * positive);
    }
  }

 private:
  DN_HD float& g(std::int64_t k) const { return a.g(at, a.layout.class_entry(k)); }
  DN_HD float out(std::int64_t k) const { return a.outputs(at)[a.layout.class_entry(k)]; }
  DN_HD float logit(std::int64_t k) const { return a.logit(at, a.layout.class_entry(k)); }

  DN_HD float smoothed(float y) const {
    const float eps = a.keys.label_smooth_eps;
    return eps > 0 ? y * (1 - eps) + .5f * eps : y;
  }
  DN_HD float weight(std::int32_t class_id) const {  // Darknet: only with counters_per_class
    return a.class_multipliers ? a.multiplier(class_id) * a.keys.cls_normalizer : 1;
  }
  // Weight that the class of ground truth t has as present before t, or -1.
  DN_HD float weight_before(std::int64_t t, std::int64_t first) const {
    const std::int32_t c = a.truth(at, t).class_id;
    float w = a.truth(at, first).class_id == c ? weight(c) : -1;
    for (std::int64_t u = 0; u < t; ++u)
      if (u != first && a.truth(at, u).class_id == c && a.chosen_by(at, u)) w = a.multiplier(c);
    return w;
  }
};

// What becomes of the anchors of a head with these Boxes.
template <class Boxes, class C>
struct AssignYolo {
  typename Boxes::Arguments a;
  C class_loss;

  template <int N>
  DN_HD void run(std::int64_t image, std::int64_t anchor) const {
    AnchorPlace at = a.place(image, anchor);
    const AnchorGroup<N> group(a, a.box_keys(), at);
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
    // The ground truth that sets all classes, or -1.
    std::int64_t first = match_by_overlap(at, best, r);
    for (std::int64_t t = 0; t < a.truths_of(at); ++t) {
      if (!a.chosen_by(at, t)) continue;
      assign(at, t, first, r);
      if (first < 0) first = t;
    }
    if (first >= 0) Boxes{a, at}.finish();
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
    const YoloClasses<C> classes{a, at, class_loss};
    std::int64_t first = -1;
    if (best.iou > a.keys.ignore_thresh && predicts_some_class(at)) {
      if (a.rules.target_is_overlap() || a.smooth())
        r.target = Boxes::kSmoothsAll && a.smooth() ? best.iou * best.iou : best.iou;
      else
        r.state = AnchorState::ignored;
      if (Boxes::kSmoothsAll && a.smooth()) classes.set_gradient(best.truth, r), first = best.truth;
    }
    if (!(best.iou > a.keys.truth_thresh)) return first;
    r.state = AnchorState::positive, r.iou = best.iou, r.truths = 1;
    r.target = a.rules.target_is_overlap() ? best.iou : a.smooth() ? best.iou * best.iou : 1;
    const Truth& object = a.truth(at, best.truth);
    if (first < 0) classes.set_gradient(best.truth, r);
    if (a.smooth()) classes.soften(best.truth, best.iou);
    Boxes{a, at}.add_gradient(object.box, a.keys.iou_normalizer * a.multiplier(object.class_id), r);
    return best.truth;
  }

  DN_HD void assign(const PredictedBox& at, std::int64_t t, std::int64_t first,
                    AnchorRecord& r) const {
    const Truth& object = a.truth(at, t);
    const float m = a.multiplier(object.class_id);
    Boxes{a, at}.add_gradient(object.box, a.keys.iou_normalizer * m, r);
    r.iou = iou(at.box, object.box);
    r.truths += 1;
    r.state = AnchorState::positive;
    if (Boxes::kSmoothsAll || !a.smooth()) {
      r.target = a.rules.target_is_overlap() ? r.iou : 1;
      r.weight = m * a.keys.obj_normalizer.value;
    }  // Darknet: with objectness_smooth the target stays what match_by_overlap left
    const YoloClasses<C> classes{a, at, class_loss};
    first < 0 ? classes.set_gradient(t, r) : classes.add_class(t, first, r);
  }
};

}  // namespace darknet
