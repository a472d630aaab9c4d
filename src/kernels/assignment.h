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
  std::int64_t x = 0, y = 0;          // of the cell
  std::int64_t n = 0;                 // among this head's anchors
};

// The box of an anchor before its outputs move it: the corner of its cell, in cells, and its size
// in the unit of the anchors.
struct AnchorOrigin {
  float x, y, w, h;
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

  DN_HD AnchorOrigin origin(const AnchorPlace& at) const {
    return {static_cast<float>(at.x), static_cast<float>(at.y), own_width(at.n), own_height(at.n)};
  }

  // The box, in fractions of the input, at the offset x, y within its cell and `w`, `h` times as
  // large as its anchor.
  DN_HD Box box(const AnchorOrigin& from, const Shape& grid, const Box& offsets) const {
    return {(from.x + offsets.x) / grid.w, (from.y + offsets.y) / grid.h,
            offsets.w * from.w / unit_w, offsets.h * from.h / unit_h};
  }
};
static_assert(std::is_trivially_copyable_v<AnchorTable>);

// How the width or height of a box, in anchors, follows from a decoded output: of its logarithm, of
// the root of a quarter of it, of its root, or itself.
struct SideOfLogarithm {
  DN_HD float operator()(float o) const { return math::fast_exp(o); }
};
struct SideOfRoot {
  DN_HD float operator()(float o) const { return 4 * o * o; }
};
struct SideOfWholeRoot {
  DN_HD float operator()(float o) const { return o * o; }
};
struct SideItself {
  DN_HD float operator()(float o) const { return o; }
};

// The box of decoded outputs o: x, y in the cell, w and h as keys.with_sides() says.
template <class Keys>
DN_HD Box decode_box(const Keys& keys, const AnchorTable& anchors, const AnchorOrigin& from,
                     const Shape& grid, const Box& o) {
  return keys.with_sides([&](auto side) {
    return keys.from_point(anchors.box(from, grid, {o.x, o.y, side(o.w), side(o.h)}));
  });
}

// What decode_box() takes, of the outputs of an anchor.
template <class Keys>
DN_HD Box box_entries(const float* o) {
  constexpr std::int64_t kStride = Keys::kBoxStride;
  return {o[0], o[kStride], o[2 * kStride], o[3 * kStride]};
}

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

// Of a cell's first anchor.
DN_HD inline AnchorPlace place_of(const Shape& grid, std::int64_t image, std::int64_t cell) {
  const std::int64_t y = cell / grid.w;
  return {.pixel = image * grid.h * grid.w + cell,
          .image = image,
          .cell = cell,
          .x = cell - y * grid.w,
          .y = y};
}

// What an assignment kernel reads and writes.
struct AssignArguments {
  AnchorTable anchors;
  AnchorLayout layout;
  ObjectnessRules rules;
  View<const float> logits, out;
  View<float> gradient;  // all zeros on entry
  Truths truths;
  TruthChoice* choices = nullptr;   // truths.images * truths.capacity
  AnchorRecord* records = nullptr;  // one per anchor
  const StepState* step = nullptr;
  const double* class_gradients = nullptr;  // kernels/class_gradients.h; null: none yet

  DN_HD const Shape& grid() const { return logits.shape; }

  DN_HD AnchorPlace place(std::int64_t image, std::int64_t i) const {  // i = cell * anchors + n
    AnchorPlace at = place_of(grid(), image, i / layout.anchors);
    at.n = i - at.cell * layout.anchors, at.first = at.n * layout.entries;
    return at;
  }
  // To the place of the anchor after it.
  DN_HD void advance(AnchorPlace& at) const {
    ++at.n, at.first += layout.entries;
    if (at.n < layout.anchors) return;
    at.n = 0, at.first = 0, ++at.cell, ++at.pixel, ++at.x;
    if (at.x == grid().w) at.x = 0, ++at.y;
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
  DN_HD const TruthChoice& choice(const AnchorPlace& at, std::int64_t t) const {
    return choices[at.image * truths.capacity + t];
  }
  DN_HD bool chosen_by(const AnchorPlace& at, std::int64_t t) const {
    const TruthChoice& c = choice(at, t);
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

// The overlap of a predicted box with the ground truth that it overlaps most, the first of equals.
struct BestOverlap {
  float iou = 0;
  std::int64_t truth = 0;
};

// What assignment looks at first, of N anchors of an image that follow each other: the boxes that
// they predict, the ground truths that these overlap most, and which of them a ground truth chose.
template <int N>
class AnchorGroup {
 public:
  template <class Keys>
  DN_HD AnchorGroup(const AssignArguments& a, const Keys& keys, const AnchorPlace& first) {
    predict(a, keys, first);
    const std::int64_t begin = first.cell * a.layout.anchors + first.n;
    for (std::int64_t t = 0; t < a.truths_of(first); ++t) {
      compare(a.truth(first, t).box, static_cast<std::int32_t>(t));
      find_chosen(a.choice(first, t), a.layout.anchors, begin);
    }
  }
  DN_HD Box box(int k) const { return {x_[k], y_[k], w_[k], h_[k]}; }
  DN_HD BestOverlap best(int k) const { return {iou_[k], truth_[k]}; }
  DN_HD bool chosen(int k) const { return chosen_ >> k & 1; }

 private:
  template <class Keys>
  DN_HD void predict(const AssignArguments& a, const Keys& keys, AnchorPlace at) {
    float x[N] = {}, y[N] = {}, w[N] = {}, h[N] = {};  // the outputs
    float left[N], top[N], anchor_w[N], anchor_h[N];
    for (int k = 0; k < N; ++k, a.advance(at)) {
      const Box o = box_entries<Keys>(a.outputs(at));
      x[k] = o.x, y[k] = o.y, w[k] = o.w, h[k] = o.h;
      const AnchorOrigin from = a.anchors.origin(at);
      left[k] = from.x, top[k] = from.y, anchor_w[k] = from.w, anchor_h[k] = from.h;
    }
    keys.with_sides([&](auto side) {  // outside of the loop, which then vectorises
#pragma omp simd
      for (int k = 0; k < N; ++k) {
        const Box b =
            keys.from_point(a.anchors.box({left[k], top[k], anchor_w[k], anchor_h[k]}, a.grid(),
                                          {x[k], y[k], side(w[k]), side(h[k])}));
        x_[k] = b.x, y_[k] = b.y, w_[k] = b.w, h_[k] = b.h;
        iou_[k] = 0, truth_[k] = 0;
      }
    });
  }
  DN_HD void compare(const Box& object, std::int32_t t) {
#pragma omp simd
    for (int k = 0; k < N; ++k) {
      const float o = iou(Box{x_[k], y_[k], w_[k], h_[k]}, object);
      truth_[k] = o > iou_[k] ? t : truth_[k];
      iou_[k] = o > iou_[k] ? o : iou_[k];
    }
  }
  DN_HD void find_chosen(const TruthChoice& c, std::int64_t anchors, std::int64_t begin) {
    const std::int64_t ahead = c.cell * anchors - begin;  // from the first of these to its cell's
    if (c.cell < 0 || ahead >= N || ahead + anchors <= 0) return;
    for (int k = 0; k < N; ++k)
      if (k >= ahead && k < ahead + anchors) chosen_ |= (c.anchors >> (k - ahead) & 1) << k;
  }

  float x_[N], y_[N], w_[N], h_[N];  // the boxes
  float iou_[N];
  std::int32_t truth_[N];
  std::uint64_t chosen_ = 0;
};

}  // namespace darknet
