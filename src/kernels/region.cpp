#include "kernels/region.h"

#include <type_traits>

#include "core/for_each.h"
#include "detect/overlap.h"

namespace darknet {
namespace {

constexpr std::int64_t kPriorImages = 12800;  // Darknet: so many images pull boxes to their anchors
constexpr float kPriorScale = .01f;

struct Decode {
  RegionSettings s;
  View<const float> in;
  View<float> out;
  DN_HD void operator()(std::int64_t i) const {  // one anchor
    const std::int64_t pixel = i / s.anchors, first = i % s.anchors * s.entries();
    const float* const x = &in.at(pixel, first);
    float* const y = &out.at(pixel, first);
    y[0] = math::sigmoid(x[0]), y[1] = math::sigmoid(x[1]);
    y[2] = x[2], y[3] = x[3];
    y[4] = math::sigmoid(x[4]);
    switch (s.class_kind) {
      case RegionClasses::softmax:
      case RegionClasses::softmax_focal:
        return softmax(x + 5, y + 5);
      case RegionClasses::sigmoid:
        for (std::int64_t k = 0; k < s.classes; ++k) y[5 + k] = math::sigmoid(x[5 + k]);
        return;
      default:
        for (std::int64_t k = 0; k < s.classes; ++k) y[5 + k] = x[5 + k];
    }
  }
  DN_HD void softmax(const float* x, float* y) const {
    float largest = x[0], sum = 0;
    for (std::int64_t k = 1; k < s.classes; ++k) largest = math::max(largest, x[k]);
    for (std::int64_t k = 0; k < s.classes; ++k) sum += y[k] = math::exp(x[k] - largest);
    for (std::int64_t k = 0; k < s.classes; ++k) y[k] /= sum;
  }
};

DN_HD inline std::int64_t cell_of(const Truth& t, const Shape& grid) {
  const auto x =
      math::clamp(static_cast<std::int64_t>(t.box.x * grid.w), std::int64_t{0}, grid.w - 1);
  const auto y =
      math::clamp(static_cast<std::int64_t>(t.box.y * grid.h), std::int64_t{0}, grid.h - 1);
  return y * grid.w + x;
}

// The best of a cell's anchors by IoU of width and height with the truth.
template <class SizeOf>
DN_HD std::int32_t best_anchor(const RegionSettings& s, const Truth& t, SizeOf size_of) {
  const Box shape{0, 0, t.box.w, t.box.h};
  float best = 0;
  std::int32_t best_n = 0;
  for (std::int32_t n = 0; n < s.anchors; ++n) {
    const float o = iou(size_of(n), shape);
    if (o > best) best = o, best_n = n;
  }
  return best_n;
}

struct AnchorSize {
  const RegionSettings& s;
  const Shape& grid;
  DN_HD Box operator()(std::int32_t n) const {
    return {0, 0, s.width[n] / grid.w, s.height[n] / grid.h};
  }
};

struct PredictedSize {
  const RegionSettings& s;
  View<const float> out;
  std::int64_t pixel;
  DN_HD Box operator()(std::int32_t n) const {
    const std::int64_t first = n * s.entries();
    return {0, 0, math::exp(out.at(pixel, first + 2)) * s.width[n] / out.shape.w,
            math::exp(out.at(pixel, first + 3)) * s.height[n] / out.shape.h};
  }
};

struct Choose {
  RegionArguments a;
  DN_HD void operator()(std::int64_t i) const {
    const std::int64_t image = i / a.truths.capacity;
    a.choices[i] = -1;
    if (i % a.truths.capacity >= a.truths.counts[image]) return;
    const RegionSettings& s = a.settings;
    const Truth& t = a.truths.data[i];
    const Shape& grid = a.logits.shape;
    const std::int64_t cell = cell_of(t, grid);
    const std::int32_t n =
        s.bias_match ? best_anchor(s, t, AnchorSize{s, grid})
                     : best_anchor(s, t, PredictedSize{s, a.out, image * grid.h * grid.w + cell});
    a.choices[i] = static_cast<std::int32_t>(cell * s.anchors + n);
  }
};

template <class C>
struct Assign {
  RegionArguments a;
  C class_loss;

  struct Anchor {
    std::int64_t pixel, first, image, n, cell;
    Box box;
  };

  DN_HD void operator()(std::int64_t i) const {
    const Anchor at = locate(i);
    AnchorRecord r;
    r.weight = a.settings.noobject_scale * a.settings.objectness_weight;
    for (std::int64_t e = 0; e < a.settings.entries(); ++e) g(at, e) = 0;
    look_at_overlaps(at, r);
    if (a.step->images_seen < kPriorImages) pull_to_anchor(at, r);
    const std::int64_t last = last_truth(at, r);
    if (last >= 0) learn(at, a.truths.data[at.image * a.truths.capacity + last], r);
    a.records[i] = r;
  }

 private:
  DN_HD float& g(const Anchor& at, std::int64_t entry) const {
    return a.gradient.at(at.pixel, at.first + entry);
  }
  DN_HD float out(const Anchor& at, std::int64_t entry) const {
    return a.out.at(at.pixel, at.first + entry);
  }

  DN_HD Anchor locate(std::int64_t i) const {
    const RegionSettings& s = a.settings;
    const Shape& grid = a.logits.shape;
    Anchor at;
    at.pixel = i / s.anchors, at.n = i % s.anchors, at.first = at.n * s.entries();
    at.image = at.pixel / (grid.h * grid.w), at.cell = at.pixel % (grid.h * grid.w);
    at.box = {(at.cell % grid.w + out(at, 0)) / grid.w, (at.cell / grid.w + out(at, 1)) / grid.h,
              math::exp(out(at, 2)) * s.width[at.n] / grid.w,
              math::exp(out(at, 3)) * s.height[at.n] / grid.h};
    return at;
  }

  DN_HD void look_at_overlaps(const Anchor& at, AnchorRecord& r) const {
    const RegionSettings& s = a.settings;
    float best = 0;
    std::int32_t best_class = -1;
    for (std::int64_t t = 0; t < a.truths.counts[at.image]; ++t) {
      const Truth& truth = a.truths.data[at.image * a.truths.capacity + t];
      const float o = iou(at.box, truth.box);
      if (o > best) best = o, best_class = truth.class_id;
    }
    if (s.classfix == -1 && !s.hard_target) {
      r.target = best;
    } else if (best > s.thresh) {
      if (s.overlap_target)
        r.target = best;
      else
        r.state = AnchorState::ignored;
      if (s.classfix > 0)
        learn_classes(at, best_class, s.class_scale * (s.classfix == 2 ? out(at, 4) : 1), r);
    }
  }

  DN_HD void pull_to_anchor(const Anchor& at, AnchorRecord& r) const {
    const Shape& grid = a.logits.shape;
    const Box prior{(at.cell % grid.w + .5f) / grid.w, (at.cell / grid.w + .5f) / grid.h,
                    a.settings.width[at.n] / grid.w, a.settings.height[at.n] / grid.h};
    learn_box(at, prior, kPriorScale, r);
  }

  DN_HD std::int64_t last_truth(const Anchor& at, AnchorRecord& r) const {
    const std::int64_t here = at.cell * a.settings.anchors + at.n;
    std::int64_t last = -1;
    for (std::int64_t t = 0; t < a.truths.counts[at.image]; ++t)
      if (a.choices[at.image * a.truths.capacity + t] == here) last = t, ++r.truths;
    return last;
  }

  DN_HD void learn(const Anchor& at, const Truth& truth, AnchorRecord& r) const {
    const RegionSettings& s = a.settings;
    r.state = AnchorState::positive;
    r.iou = iou(at.box, truth.box);
    r.target = s.overlap_target || (s.rescore && !s.hard_target) ? r.iou : 1;
    r.weight = s.object_scale * s.objectness_weight;
    learn_box(at, truth.box, s.coord_scale, r);
    learn_classes(at, truth.class_id, s.class_scale, r);
  }

  // Overwrites what was there: the last truth wins.
  DN_HD void learn_box(const Anchor& at, const Box& truth, float scale, AnchorRecord& r) const {
    const RegionSettings& s = a.settings;
    const Shape& grid = a.logits.shape;
    const float target[4] = {
        truth.x * grid.w - at.cell % grid.w, truth.y * grid.h - at.cell / grid.w,
        math::log(truth.w * grid.w / s.width[at.n]), math::log(truth.h * grid.h / s.height[at.n])};
    r.box_loss = 0;
    for (int e = 0; e < 4; ++e) {
      const float o = out(at, e), d = o - target[e];
      g(at, e) = scale * d * (e < 2 ? o * (1 - o) : 1);
      r.box_loss += scale * d * d / 2;
    }
  }

  DN_HD void learn_classes(const Anchor& at, std::int32_t c, float scale, AnchorRecord& r) const {
    const RegionSettings& s = a.settings;
    const bool focal =
        s.class_kind == RegionClasses::softmax_focal || s.class_kind == RegionClasses::linear_focal;
    const float pt = out(at, 5 + c), factor = focal ? losses::DarknetFocal::factor(pt) : 1;
    r.class_loss = s.class_kind == RegionClasses::softmax ? -scale * math::log(pt + 1e-15f)
                   : focal                                ? scale * losses::DarknetFocal::value(pt)
                                                          : 0;
    for (std::int64_t k = 0; k < s.classes; ++k) {
      const float y = k == c ? 1.f : 0.f, d = out(at, 5 + k) - y;
      if (s.class_kind == RegionClasses::sigmoid) {
        sigmoid_class(at, k, k == c, scale, r);
        continue;
      }
      g(at, 5 + k) = scale * factor * d;
      if (s.class_kind == RegionClasses::linear) r.class_loss += scale * d * d / 2;
    }
  }

  DN_HD void sigmoid_class(const Anchor& at, std::int64_t k, bool own, float scale,
                           AnchorRecord& r) const {
    if constexpr (!std::is_same_v<C, losses::DarknetFocal>) {
      const float x = a.logits.at(at.pixel, at.first + 5 + k), y = own ? 1.f : 0.f;
      g(at, 5 + k) = scale * class_loss.gradient(x, y, own);
      r.class_loss += scale * class_loss.value(x, y, own);
    }
  }
};

}  // namespace

std::int32_t region_choice(const RegionSettings& s, const Truth& t, const Shape& grid) {
  return static_cast<std::int32_t>(cell_of(t, grid) * s.anchors +
                                   best_anchor(s, t, AnchorSize{s, grid}));
}

void region_decode(const Stream& s, const RegionSettings& settings, View<const float> logits,
                   View<float> out) {
  for_each(s, logits.shape.pixels() * settings.anchors, Decode{settings, logits, out});
}

void region_assign(const Stream& s, const SigmoidClassLoss& loss, const RegionArguments& a) {
  for_each(s, a.truths.images * a.truths.capacity, Choose{a});
  std::visit(
      [&](const auto& l) {
        for_each(s, a.logits.shape.pixels() * a.settings.anchors,
                 Assign<std::decay_t<decltype(l)>>{a, l});
      },
      loss);
}

}  // namespace darknet
