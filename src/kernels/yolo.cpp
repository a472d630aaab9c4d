#include "kernels/yolo.h"

#include <type_traits>

#include "core/for_each.h"
#include "losses/box.h"

namespace darknet {
namespace {

constexpr float kClassMatch = .25f;  // Darknet's compare_yolo_class: any class above it

DN_HD inline float finite_or_zero(float x) { return x - x == 0 ? x : 0; }

struct Decode {
  YoloSettings s;
  View<const float> in;
  View<float> out;
  DN_HD void operator()(std::int64_t i) const {  // one anchor
    const std::int64_t pixel = i / s.anchors, first = i % s.anchors * s.entries();
    const float* const x = &in.at(pixel, first);
    float* const y = &out.at(pixel, first);
    const float shift = (s.scale_x_y - 1) / 2;
    for (int e = 0; e < 2; ++e) y[e] = s.scale_x_y * math::sigmoid(x[e]) - shift;
    for (int e = 2; e < 4; ++e) y[e] = s.new_coords ? math::sigmoid(x[e]) : x[e];
    for (std::int64_t e = 4; e < s.entries(); ++e) y[e] = math::sigmoid(x[e]);
  }
};

struct Choose {
  YoloArguments a;
  DN_HD void operator()(std::int64_t i) const {
    const std::int64_t image = i / a.truths.capacity;
    a.choices[i] = i % a.truths.capacity < a.truths.counts[image]
                       ? yolo_choice(a.settings, a.truths.data[i], a.logits.shape)
                       : TruthChoice{};
  }
};

template <class C>
struct Assign {
  YoloArguments a;
  C class_loss;

  struct Anchor {  // where this anchor is and what it predicts
    std::int64_t pixel, first, image, n;
    std::int32_t cell;
    Box box;
  };

  DN_HD void operator()(std::int64_t i) const {
    const YoloSettings& s = a.settings;
    const Anchor at = locate(i);
    AnchorRecord r;
    r.weight = s.objectness_weight;
    for (std::int64_t e = 0; e < s.entries(); ++e) g(at, e) = 0;
    std::int64_t first = look_at_overlaps(at, r);  // the truth all classes learn, or -1
    for (std::int64_t t = 0; t < a.truths.counts[at.image]; ++t) {
      if (!chosen_by(at, t)) continue;
      learn(at, t, first, r);
      if (first < 0) first = t;
    }
    if (first >= 0 && s.iou_thresh < 1) average_box(at);
    if (first >= 0 && s.new_coords) through_sigmoid(at);
    a.records[i] = r;
  }

 private:
  DN_HD float& g(const Anchor& at, std::int64_t entry) const {
    return a.gradient.at(at.pixel, at.first + entry);
  }
  DN_HD float out(const Anchor& at, std::int64_t entry) const {
    return a.out.at(at.pixel, at.first + entry);
  }
  DN_HD float logit(const Anchor& at, std::int64_t entry) const {
    return a.logits.at(at.pixel, at.first + entry);
  }
  DN_HD const Truth& truth(const Anchor& at, std::int64_t t) const {
    return a.truths.data[at.image * a.truths.capacity + t];
  }
  DN_HD bool chosen_by(const Anchor& at, std::int64_t t) const {
    const TruthChoice c = a.choices[at.image * a.truths.capacity + t];
    return c.cell == at.cell && (c.anchors >> at.n & 1);
  }
  DN_HD float multiplier(std::int32_t class_id) const {
    return a.settings.class_multipliers ? a.settings.class_multipliers[class_id] : 1;
  }
  DN_HD float anchor_w(const Anchor& at) const { return a.settings.width[a.settings.mask[at.n]]; }
  DN_HD float anchor_h(const Anchor& at) const { return a.settings.height[a.settings.mask[at.n]]; }

  DN_HD Anchor locate(std::int64_t i) const {
    const YoloSettings& s = a.settings;
    const Shape& grid = a.logits.shape;
    Anchor at;
    at.pixel = i / s.anchors, at.n = i % s.anchors, at.first = at.n * s.entries();
    at.image = at.pixel / (grid.h * grid.w);
    at.cell = static_cast<std::int32_t>(at.pixel % (grid.h * grid.w));
    const float w = out(at, 2), h = out(at, 3);
    const float gw = s.new_coords ? 4 * w * w : math::exp(w),
                gh = s.new_coords ? 4 * h * h : math::exp(h);
    at.box = {(at.cell % grid.w + out(at, 0)) / grid.w, (at.cell / grid.w + out(at, 1)) / grid.h,
              gw * anchor_w(at) / s.net_width, gh * anchor_h(at) / s.net_height};
    return at;
  }

  DN_HD bool some_class_matches(const Anchor& at) const {
    for (std::int64_t k = 0; k < a.settings.classes; ++k)
      if (out(at, 5 + k) > kClassMatch) return true;
    return false;
  }

  // ignore_thresh and truth_thresh; the truth that the anchor learns already, or -1.
  DN_HD std::int64_t look_at_overlaps(const Anchor& at, AnchorRecord& r) const {
    const YoloSettings& s = a.settings;
    float best = 0;
    std::int64_t best_truth = 0;
    for (std::int64_t t = 0; t < a.truths.counts[at.image]; ++t) {
      const float overlap = iou(at.box, truth(at, t).box);
      if (overlap > best) best = overlap, best_truth = t;
    }
    if (best > s.ignore_thresh && some_class_matches(at)) {
      const bool soft = s.overlap_target || (s.objectness_smooth && !s.hard_target);
      if (soft)
        r.target = best;
      else
        r.state = AnchorState::ignored;
    }
    if (!(best > s.truth_thresh)) return -1;
    const bool soft = s.objectness_smooth && !s.hard_target && !s.overlap_target;
    r.state = AnchorState::positive, r.iou = best, r.truths = 1;
    r.target = s.overlap_target ? best : soft ? best * best : 1;
    const std::int32_t c = truth(at, best_truth).class_id;
    learn_classes(at, best_truth, r);
    if (soft) {
      const float p = out(at, 5 + c), slope = std::is_same_v<C, losses::Mse> ? p * (1 - p) : 1;
      g(at, 5 + c) = multiplier(c) * (p - best * best) * slope;
    }
    learn_box(at, truth(at, best_truth).box, s.box_weight * multiplier(c), r);
    return best_truth;
  }

  DN_HD void learn(const Anchor& at, std::int64_t t, std::int64_t first, AnchorRecord& r) const {
    const YoloSettings& s = a.settings;
    const Truth& object = truth(at, t);
    const float m = multiplier(object.class_id);
    learn_box(at, object.box, s.box_weight * m, r);
    r.iou = iou(at.box, object.box);
    r.truths += 1;
    r.state = AnchorState::positive;
    if (s.hard_target || s.overlap_target || !s.objectness_smooth) {
      r.target = s.overlap_target ? r.iou : 1;
      r.weight = m * s.objectness_weight;
    }  // Darknet: with objectness_smooth the target stays what look_at_overlaps left
    first < 0 ? learn_classes(at, t, r) : learn_another_class(at, t, first, r);
  }

  DN_HD float smoothed(float y) const {
    const float eps = a.settings.label_smooth_eps;
    return eps > 0 ? y * (1 - eps) + .5f * eps : y;
  }
  DN_HD float class_weight(std::int32_t class_id) const {  // Darknet: only with counters_per_class
    return a.settings.class_multipliers ? multiplier(class_id) * a.settings.class_weight : 1;
  }

  DN_HD void learn_classes(const Anchor& at, std::int64_t t, AnchorRecord& r) const {
    const std::int32_t c = truth(at, t).class_id;
    if constexpr (std::is_same_v<C, losses::DarknetFocal>) {
      const float pt = out(at, 5 + c), factor = C::factor(pt);
      for (std::int64_t k = 0; k < a.settings.classes; ++k)
        g(at, 5 + k) = factor * (out(at, 5 + k) - (k == c ? 1.f : 0.f));
      r.class_loss += C::value(pt);
    } else {
      for (std::int64_t k = 0; k < a.settings.classes; ++k) {
        const float y = smoothed(k == c ? 1.f : 0.f), w = k == c ? class_weight(c) : 1;
        g(at, 5 + k) = w * class_loss.gradient(logit(at, 5 + k), y, k == c);
        r.class_loss += w * class_loss.value(logit(at, 5 + k), y, k == c);
      }
    }
  }

  // A later truth of the same anchor: its class joins the set, the others stay (Darknet: without
  // cls_normalizer, and plain even with focal_loss=1).
  DN_HD void learn_another_class(const Anchor& at, std::int64_t t, std::int64_t first,
                                 AnchorRecord& r) const {
    const std::int32_t c = truth(at, t).class_id;
    const float x = logit(at, 5 + c), w = multiplier(c), y = smoothed(1);
    if constexpr (std::is_same_v<C, losses::DarknetFocal>) {
      const losses::CrossEntropy plain;
      g(at, 5 + c) = w * plain.gradient(x, y, true);
      r.class_loss += w * plain.value(x, y, true);
    } else {
      g(at, 5 + c) = w * class_loss.gradient(x, y, true);
      const float positive = class_loss.value(x, y, true), before = weight_before(at, t, first);
      r.class_loss +=
          w * positive - (before < 0 ? class_loss.value(x, smoothed(0), false) : before * positive);
    }
  }

  // Weight with which the class of truth t was learnt as present before t, or -1.
  DN_HD float weight_before(const Anchor& at, std::int64_t t, std::int64_t first) const {
    const std::int32_t c = truth(at, t).class_id;
    float weight = truth(at, first).class_id == c ? class_weight(c) : -1;
    for (std::int64_t u = 0; u < t; ++u)
      if (u != first && truth(at, u).class_id == c && chosen_by(at, u)) weight = multiplier(c);
    return weight;
  }

  DN_HD void learn_box(const Anchor& at, const Box& object, float weight, AnchorRecord& r) const {
    a.settings.box_loss == BoxLoss::mse ? learn_offsets(at, object, weight, r)
                                        : learn_overlap(at, object, weight, r);
  }

  DN_HD void learn_offsets(const Anchor& at, const Box& object, float weight,
                           AnchorRecord& r) const {
    const YoloSettings& s = a.settings;
    const Shape& grid = a.logits.shape;
    const float rw = object.w * s.net_width / anchor_w(at),
                rh = object.h * s.net_height / anchor_h(at);
    const float target[4] = {object.x * grid.w - at.cell % grid.w,
                             object.y * grid.h - at.cell / grid.w,
                             s.new_coords ? math::sqrt(rw / 4) : math::log(rw),
                             s.new_coords ? math::sqrt(rh / 4) : math::log(rh)};
    const float w = (2 - object.w * object.h) * weight;
    for (int e = 0; e < 4; ++e) {
      const float d = out(at, e) - target[e];
      g(at, e) += finite_or_zero(w * d * (s.exact_box_gradient && e < 2 ? slope_x_y(at, e) : 1));
      r.box_loss += finite_or_zero(w * d * d / 2);
    }
  }

  // d out / d logit of x and y; with new_coords the sigmoid's part follows in through_sigmoid.
  DN_HD float slope_x_y(const Anchor& at, int e) const {
    if (a.settings.new_coords) return a.settings.scale_x_y;
    const float p = math::sigmoid(logit(at, e));
    return a.settings.scale_x_y * p * (1 - p);
  }

  DN_HD void learn_overlap(const Anchor& at, const Box& object, float weight,
                           AnchorRecord& r) const {
    const YoloSettings& s = a.settings;
    const losses::BoxGradient<float> q =
        s.exact_box_gradient ? exact_gradient(at, object) : darknet_gradient(at, object);
    const float of[4] = {q.x, q.y, q.w, q.h};
    for (int e = 0; e < 4; ++e) {
      float d = finite_or_zero(-weight * of[e]);
      if (s.max_delta > 0) d = math::clamp(d, -s.max_delta, s.max_delta);
      g(at, e) += d;
    }
    r.box_loss += finite_or_zero(weight * (1 - overlap(s.overlap, at.box, object)));
  }

  DN_HD losses::BoxGradient<float> darknet_gradient(const Anchor& at, const Box& object) const {
    auto q = losses::DarknetOverlapGradient<float>(at.box, object).of(a.settings.overlap);
    if (a.settings.new_coords) return q;
    q.w *= math::exp(out(at, 2));  // Darknet: without the anchor's size
    q.h *= math::exp(out(at, 3));
    return q;
  }

  DN_HD losses::BoxGradient<float> exact_gradient(const Anchor& at, const Box& object) const {
    const YoloSettings& s = a.settings;
    auto q = losses::exact_overlap_gradient(s.overlap, at.box, object);
    q.x *= slope_x_y(at, 0) / a.logits.shape.w;
    q.y *= slope_x_y(at, 1) / a.logits.shape.h;
    q.w *= s.new_coords ? 8 * out(at, 2) * anchor_w(at) / s.net_width : at.box.w;
    q.h *= s.new_coords ? 8 * out(at, 3) * anchor_h(at) / s.net_height : at.box.h;
    return q;
  }

  DN_HD void average_box(const Anchor& at) const {  // Darknet: by the number of classes pulled up
    int classes = 0;
    for (std::int64_t k = 0; k < a.settings.classes; ++k) classes += g(at, 5 + k) < 0 ? 1 : 0;
    if (classes == 0) return;
    for (int e = 0; e < 4; ++e) g(at, e) /= static_cast<float>(classes);
  }

  DN_HD void through_sigmoid(const Anchor& at) const {
    for (int e = 0; e < 4; ++e) {
      const float p = math::sigmoid(logit(at, e));
      g(at, e) *= p * (1 - p);
    }
  }
};

struct Backward {
  View<const float> gradient;
  GradientFactor factor;
  View<float> to;
  bool add;
  DN_HD void operator()(std::int64_t p, std::int64_t c) const {
    const float g = factor.value() * gradient.at(p, c);
    to.at(p, c) = add ? to.at(p, c) + g : g;
  }
};

}  // namespace

DN_HD TruthChoice yolo_choice(const YoloSettings& s, const Truth& t, const Shape& grid) {
  const Box shape{0, 0, t.box.w, t.box.h};
  const auto anchor = [&](std::int64_t n) {
    return Box{0, 0, s.width[n] / s.net_width, s.height[n] / s.net_height};
  };
  float best = 0;
  std::int64_t best_n = 0;
  for (std::int64_t n = 0; n < s.total; ++n) {
    const float o = iou(anchor(n), shape);
    if (o > best) best = o, best_n = n;
  }
  TruthChoice choice;
  for (std::int64_t m = 0; m < s.anchors; ++m) {
    const bool chosen =
        s.mask[m] == best_n ||
        (s.iou_thresh < 1 && overlap(s.iou_thresh_kind, anchor(s.mask[m]), shape) > s.iou_thresh);
    if (chosen) choice.anchors |= std::uint64_t{1} << m;
  }
  if (choice.anchors == 0) return choice;
  // x == 1 lies in the last cell; Darknet writes beside the map there.
  const auto x =
      math::clamp(static_cast<std::int64_t>(t.box.x * grid.w), std::int64_t{0}, grid.w - 1);
  const auto y =
      math::clamp(static_cast<std::int64_t>(t.box.y * grid.h), std::int64_t{0}, grid.h - 1);
  choice.cell = static_cast<std::int32_t>(y * grid.w + x);
  return choice;
}

void yolo_decode(const Stream& s, const YoloSettings& settings, View<const float> logits,
                 View<float> out) {
  for_each(s, logits.shape.pixels() * settings.anchors, Decode{settings, logits, out});
}

void yolo_assign(const Stream& s, const SigmoidClassLoss& loss, const YoloArguments& a) {
  for_each(s, a.truths.images * a.truths.capacity, Choose{a});
  std::visit(
      [&](const auto& l) {
        for_each(s, a.logits.shape.pixels() * a.settings.anchors,
                 Assign<std::decay_t<decltype(l)>>{a, l});
      },
      loss);
}

void yolo_backward(const Stream& s, View<const float> gradient, const GradientFactor& factor,
                   View<float> to, bool add) {
  for_each_pixel(s, to.shape, Backward{gradient, factor, to, add});
}

}  // namespace darknet
