// The launches of [yolo]: decoding, which anchors each truth chooses, and what every anchor learns
// from it. Plain data in and out; keys and plans are in layers/yolo.cpp.
#pragma once
#include <cstdint>
#include "core/step.h"
#include "core/tensor.h"
#include "detect/box.h"
#include "detect/overlap.h"
#include "kernels/objectness.h"
#include "losses/class_loss.h"

namespace darknet {

inline constexpr std::int64_t kMostAnchors = 64;  // of all heads together: bits of a mask

// Of the boxes: squared error of the offsets, or 1 - an overlap.
enum class BoxLoss : std::uint8_t { mse, iou, giou, diou, ciou };
constexpr auto choices(BoxLoss) {
  return std::to_array<Named<BoxLoss>>({{"mse", BoxLoss::mse},
                                        {"iou", BoxLoss::iou},
                                        {"giou", BoxLoss::giou},
                                        {"diou", BoxLoss::diou},
                                        {"ciou", BoxLoss::ciou}});
}
// The overlap of a loss that is one.
DN_HD constexpr Overlap overlap_of(BoxLoss loss) {
  return loss == BoxLoss::giou   ? Overlap::giou
         : loss == BoxLoss::diou ? Overlap::diou
         : loss == BoxLoss::ciou ? Overlap::ciou
                                 : Overlap::iou;
}

struct YoloSettings {
  std::int64_t classes = 20;
  std::int64_t total = 1, anchors = 1;                        // all anchors; those of this head
  float width[kMostAnchors] = {}, height[kMostAnchors] = {};  // of all, in pixels of the input
  std::int32_t mask[kMostAnchors] = {};                       // this head's, indices into all
  std::int64_t net_width = 0, net_height = 0;
  float scale_x_y = 1;
  bool new_coords = false;

  float ignore_thresh = .5f, truth_thresh = 1, iou_thresh = 1;
  Overlap iou_thresh_kind = Overlap::iou, overlap = Overlap::iou;
  BoxLoss box_loss = BoxLoss::mse;
  bool exact_box_gradient = false;
  float box_weight = .75f, objectness_weight = 1, class_weight = 1;  // iou_, obj_, cls_normalizer
  float label_smooth_eps = 0, max_delta = 0;                         // 0: none
  bool objectness_smooth = false;                                    // A's rule, defect included
  bool hard_target = false, overlap_target = false;                  // obj_target=one, iou
  const float* class_multipliers = nullptr;                          // device; null: none

  DN_HD std::int64_t entries() const { return 5 + classes; }
};

// out = Darknet's output: x, y, objectness and classes through the sigmoid (x, y scaled by
// scale_x_y), w and h raw (new_coords: through the sigmoid too).
void yolo_decode(const Stream&, const YoloSettings&, View<const float> logits, View<float> out);

// The cell and the anchors of this head that one truth chooses.
struct TruthChoice {
  std::int32_t cell = -1;     // y * w + x; -1: none of this head's anchors
  std::uint64_t anchors = 0;  // bits over the mask
};
DN_HD TruthChoice yolo_choice(const YoloSettings&, const Truth&, const Shape& grid);

struct YoloArguments {
  YoloSettings settings;
  View<const float> logits, out;
  View<float> gradient;
  Truths truths;
  TruthChoice* choices = nullptr;   // truths.images * truths.capacity
  AnchorRecord* records = nullptr;  // one per anchor
};

// Choices of every truth, then states, targets, box and class gradients of every anchor. Objectness
// gradients are left to apply_objectness.
void yolo_assign(const Stream&, const SigmoidClassLoss&, const YoloArguments&);

// to (+)= factor * loss scale of the step * gradient.
struct GradientFactor {
  float factor = 1;
  const StepState* step = nullptr;  // null: the loss is not scaled
  DN_HD float value() const { return factor * loss_scale(step); }
};
void yolo_backward(const Stream&, View<const float> gradient, const GradientFactor&, View<float> to,
                   bool add);

}  // namespace darknet
