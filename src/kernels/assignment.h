// What the assignment kernels of all detection heads share: the anchors of a head, where one of
// them is, its box, and which anchors a ground truth chooses. Plain data and functions for host and
// device; the kernels themselves are the heads'.
#pragma once
#include <cstdint>
#include <type_traits>
#include "core/hd.h"
#include "core/math.h"
#include "core/step.h"
#include "core/tensor.h"
#include "detect/box.h"
#include "detect/head.h"
#include "detect/overlap.h"
#include "kernels/class_gradients.h"
#include "kernels/objectness.h"
#include "losses/equalized_focal.h"
#include "losses/objectness.h"

namespace darknet {

// One anchor in a pass of n images.
struct AnchorPlace {
  std::int64_t pixel = 0, first = 0;  // its first channel
  std::int64_t image = 0, cell = 0;   // y * w + x
  std::int64_t n = 0;                 // among this head's anchors
};

// The anchors of the key `anchors`, of which a head has some.
struct AnchorTable {
  std::int64_t total = 1, count = 1;                        // all; this head's
  float width[kMaxAnchors] = {}, height[kMaxAnchors] = {};  // of all
  std::int32_t mask[kMaxAnchors] = {};                      // this head's, indices into all
  float unit_w = 1, unit_h = 1;  // size of the input in what the anchors are measured in

  // Of anchor n among all, in fractions of the input, at the origin.
  DN_HD Box shape(std::int64_t n) const { return {0, 0, width[n] / unit_w, height[n] / unit_h}; }
  DN_HD float own_width(std::int64_t n) const { return width[mask[n]]; }
  DN_HD float own_height(std::int64_t n) const { return height[mask[n]]; }

  // The box, in fractions of the input, at the offset x, y within its cell and `w`, `h` times as
  // large as its anchor.
  DN_HD Box box(const AnchorPlace& at, const Shape& grid, const Box& offsets) const {
    return {(at.cell % grid.w + offsets.x) / grid.w, (at.cell / grid.w + offsets.y) / grid.h,
            offsets.w * own_width(at.n) / unit_w, offsets.h * own_height(at.n) / unit_h};
  }
};
static_assert(std::is_trivially_copyable_v<AnchorTable>);

// The cell and the anchors of this head that one ground truth chooses.
struct TruthChoice {
  std::int32_t cell = -1;     // y * w + x; -1: none of this head's anchors
  std::uint64_t anchors = 0;  // bits over this head's anchors
};

// The cell of a box's centre. x == 1 lies in the last one; Darknet writes outside the map there.
DN_HD inline std::int32_t cell_of(const Box& box, const Shape& grid) {
  const auto x =
      math::clamp(static_cast<std::int64_t>(box.x * grid.w), std::int64_t{0}, grid.w - 1);
  const auto y =
      math::clamp(static_cast<std::int64_t>(box.y * grid.h), std::int64_t{0}, grid.h - 1);
  return static_cast<std::int32_t>(y * grid.w + x);
}

// Which of `count` boxes shape_of(n) at the origin fits the box's width and height best, by IoU;
// the first of equals.
template <class ShapeOf>
DN_HD std::int64_t best_shape(std::int64_t count, const Box& box, ShapeOf shape_of) {
  const Box shape{0, 0, box.w, box.h};
  float best = 0;
  std::int64_t best_n = 0;
  for (std::int64_t n = 0; n < count; ++n) {
    const float o = iou(shape_of(n), shape);
    if (o > best) best = o, best_n = n;
  }
  return best_n;
}

// What an assignment kernel reads and writes.
struct AssignArguments {
  AnchorTable anchors;
  AnchorLayout layout;
  ObjectnessRules rules;
  View<const float> logits, out;
  View<float> gradient;
  Truths truths;
  TruthChoice* choices = nullptr;   // truths.images * truths.capacity
  AnchorRecord* records = nullptr;  // one per anchor
  const StepState* step = nullptr;
  const double* class_gradients = nullptr;  // kernels/class_gradients.h; null: none yet

  DN_HD const Shape& grid() const { return logits.shape; }
  std::int64_t size() const { return logits.shape.pixels() * layout.anchors; }

  DN_HD AnchorPlace place(std::int64_t i) const {  // of anchor i = pixel * anchors + n
    AnchorPlace at;
    at.pixel = i / layout.anchors, at.n = i % layout.anchors, at.first = at.n * layout.entries;
    const std::int64_t cells = grid().h * grid().w;
    at.image = at.pixel / cells, at.cell = at.pixel % cells;
    return at;
  }
  DN_HD float& g(const AnchorPlace& at, std::int64_t entry) const {
    return gradient.at(at.pixel, at.first + entry);
  }
  DN_HD const float* outputs(const AnchorPlace& at) const { return &out.at(at.pixel, at.first); }
  DN_HD float logit(const AnchorPlace& at, std::int64_t entry) const {
    return logits.at(at.pixel, at.first + entry);
  }
  // The loss on the logit of class k.
  template <class L>
  DN_HD auto loss_of_class(const L& loss, std::int64_t k) const {
    if constexpr (losses::DiffersByClass<L>) {
      const auto sum = [&](bool positive) {
        return class_gradients[class_gradient_place(k, positive)];
      };
      return loss.of_class(class_gradients ? losses::positive_negative_ratio(sum(true), sum(false))
                                           : 1);
    } else {
      return loss;
    }
  }
  DN_HD std::int64_t truths_of(const AnchorPlace& at) const { return truths.counts[at.image]; }
  DN_HD const Truth& truth(const AnchorPlace& at, std::int64_t t) const {
    return truths.data[at.image * truths.capacity + t];
  }
  DN_HD bool chosen_by(const AnchorPlace& at, std::int64_t t) const {
    const TruthChoice c = choices[at.image * truths.capacity + t];
    return c.cell == at.cell && (c.anchors >> at.n & 1);
  }
};
static_assert(std::is_trivially_copyable_v<AssignArguments>);

// choices[i] = choose(arguments, ground truth, image) of every ground truth.
template <class Chooser>
struct ChooseAnchors {
  AssignArguments a;
  Chooser choose;
  DN_HD void operator()(std::int64_t i) const {
    const std::int64_t image = i / a.truths.capacity;
    a.choices[i] = i % a.truths.capacity < a.truths.counts[image]
                       ? choose(a, a.truths.data[i], image)
                       : TruthChoice{};
  }
};

// The overlap of a predicted box with the ground truth that it overlaps most.
struct BestOverlap {
  float iou = 0;
  std::int64_t truth = 0;
};
DN_HD inline BestOverlap best_overlap(const AssignArguments& a, const AnchorPlace& at,
                                      const Box& predicted) {
  BestOverlap best;
  for (std::int64_t t = 0; t < a.truths_of(at); ++t)
    if (const float o = iou(predicted, a.truth(at, t).box); o > best.iou) best = {o, t};
  return best;
}

}  // namespace darknet
