// The boxes of [Gaussian_yolo] (Choi et al., ICCV 2019), for host and device: each of x, y, w and h
// is a normal distribution, a mean and a deviation, which follow each other. Everything else of its
// assignment is [yolo]'s (kernels/yolo.h).
#pragma once
#include <cstdint>
#include <type_traits>
#include "kernels/yolo.h"

namespace darknet {

// Which point of the box x and y are of.
enum class YoloPoint : std::uint8_t { center, left_top, right_bottom };
constexpr auto choices(YoloPoint) {
  return std::to_array<Named<YoloPoint>>({{"center", YoloPoint::center},
                                          {"left_top", YoloPoint::left_top},
                                          {"right_bottom", YoloPoint::right_bottom}});
}

struct GaussianKeys : YoloKeys {
  static constexpr std::int64_t kBoxStride = 2;
  float uc_normalizer = 1;
  YoloPoint yolo_point = YoloPoint::center;

  template <class V>
  void fields(V&& v) {
    YoloKeys::fields(
        [&](std::string_view key, auto& member, const auto& allowed, std::string_view help) {
          if (key != "new_coords") v(key, member, allowed, help);
        });
    v("uc_normalizer", uc_normalizer, TrainingOnly{Reals{0, 1e6f}},
      "weight of the loss of the deviations");
    v("yolo_point", yolo_point, Choice<YoloPoint>{}, "point of the box that x and y are of");
  }

  // From that point to the centre, in widths and heights.
  DN_HD float to_centre() const {
    return yolo_point == YoloPoint::left_top       ? .5f
           : yolo_point == YoloPoint::right_bottom ? -.5f
                                                   : 0;
  }
  DN_HD Box from_point(const Box& b) const {
    return {b.x + to_centre() * b.w, b.y + to_centre() * b.h, b.w, b.h};
  }
  DN_HD Box to_point(const Box& b) const {
    return {b.x - to_centre() * b.w, b.y - to_centre() * b.h, b.w, b.h};
  }
  // [yolo]'s, in the cell of that point.
  DN_HD TruthChoice choose(const Truth& t, const AnchorTable& anchors, const Shape& grid) const {
    return YoloKeys::choose({to_point(t.box), t.class_id}, anchors, grid);
  }
};
static_assert(std::is_trivially_copyable_v<GaussianKeys>);

struct GaussianArguments : YoloArguments {
  GaussianKeys gaussian;
  DN_HD const GaussianKeys& box_keys() const { return gaussian; }
};

// -log N(d; 0, s) of a distance d from the mean and a deviation s in (0, 1), with .3 more in the
// factor before the exponential and 1e-9 more in the logarithm, as in Darknet; the least that it
// can be counts as 0. And its derivatives.
template <class T>
struct NormalLoss {
  T value, by_mean, by_deviation;
  DN_HD NormalLoss(T distance, T deviation) {
    constexpr T kRoot = T(2.50662827463), kMore = T(.3), kEps = T(1e-9);  // sqrt(2 pi)
    const T z = distance / deviation,
            density = math::exp(-z * z / 2) / (kRoot * (deviation + kMore));
    const T share = density / (density + kEps);
    value = math::log((1 / (kRoot * kMore) + kEps) / (density + kEps));
    by_mean = -share * z / deviation;
    by_deviation = -share * (z * z / deviation - 1 / (deviation + kMore));
  }
};

// Box gradients and losses of one anchor; several ground truths add up. The means get the gradient
// of iou_loss, which for mse is that of NormalLoss; the deviations always that of NormalLoss.
struct GaussianBoxes {
  using Arguments = GaussianArguments;
  static constexpr bool kSmoothsAll = true;
  const GaussianArguments& a;
  const PredictedBox& at;

  DN_HD void add_gradient(const Box& object, float weight, AnchorRecord& r) const {
    const bool normal = a.keys.iou_loss == BoxLoss::mse;
    const Box point = a.gaussian.to_point(object);
    const float target[4] = {point.x * a.grid().w - at.x, point.y * a.grid().h - at.y,
                             math::log(point.w * a.anchors.unit_w / a.anchors.own_width(at.n)),
                             math::log(point.h * a.anchors.unit_h / a.anchors.own_height(at.n))};
    const float scale = (2 - object.w * object.h) / 2;
    for (int i = 0; i < 4; ++i) {
      const NormalLoss<float> loss(target[i] - out(2 * i), out(2 * i + 1));
      if (normal) add(2 * i, weight * scale * loss.by_mean * (exact() ? slope(i) : 1));
      add(2 * i + 1, a.gaussian.uc_normalizer * scale * loss.by_deviation *
                         (exact() ? logistic_slope(2 * i + 1) : 1));
      r.box_loss +=
          finite_or_zero((normal ? weight : a.gaussian.uc_normalizer) * scale * loss.value);
    }
    if (!normal) add_overlap_gradient(object, weight, r);
  }

  // After the last ground truth.
  DN_HD void finish() const {
    if (!exact()) average_box_gradient(a, at, 8);
  }

 private:
  DN_HD bool exact() const { return a.keys.box_gradient == BoxGradientRule::exact; }
  DN_HD float out(int e) const { return a.outputs(at)[e]; }
  DN_HD float logistic_slope(int e) const {
    const float p = math::sigmoid(a.logit(at, e));
    return p * (1 - p);
  }
  // Of output x, y, w or h by its logit.
  DN_HD float slope(int i) const { return i < 2 ? a.keys.scale_x_y * logistic_slope(2 * i) : 1; }

  DN_HD void add(int e, float gradient) const {
    const float limit = a.keys.max_delta, d = finite_or_zero(gradient);
    a.g(at, e) += limit > 0 ? math::clamp(d, -limit, limit) : d;
  }

  DN_HD void add_overlap_gradient(const Box& object, float weight, AnchorRecord& r) const {
    const Overlap kind = overlap_of(a.keys.iou_loss);
    const float c = a.gaussian.to_centre();
    losses::BoxGradient<float> q;
    if (exact()) {
      q = losses::exact_overlap_gradient(kind, at.box, object);
      q.w = (q.w + c * q.x) * at.box.w, q.h = (q.h + c * q.y) * at.box.h;
      q.x *= slope(0) / a.grid().w, q.y *= slope(1) / a.grid().h;
    } else {
      q = losses::DarknetOverlapGradient<float>(at.box, object).of(kind);
      q.x -= c * q.w, q.y -= c * q.h;  // Darknet
      q.w *= math::exp(out(4));        // Darknet: without the anchor's size
      q.h *= math::exp(out(6));
    }
    const float of[4] = {q.x, q.y, q.w, q.h};
    for (int i = 0; i < 4; ++i) add(2 * i, -weight * of[i]);
    r.box_loss += finite_or_zero(weight * (1 - overlap(kind, at.box, object)));
  }
};

}  // namespace darknet
