// The launches of [region]: decoding, which anchor each truth chooses, and what every anchor
// learns. Plain data in and out; keys and plans are in layers/region.cpp.
#pragma once
#include <cstdint>
#include "core/step.h"
#include "core/tensor.h"
#include "detect/box.h"
#include "kernels/objectness.h"
#include "kernels/yolo.h"

namespace darknet {

enum class RegionClasses : std::uint8_t {
  softmax,        // cross-entropy of a softmax
  softmax_focal,  // focal_loss=1 with softmax=1
  linear,         // softmax=0: squared error of the raw values (Darknet)
  linear_focal,   // softmax=0 with focal_loss=1
  sigmoid         // cls_loss: a loss per class
};

struct RegionSettings {
  std::int64_t classes = 20, anchors = 1;
  float width[kMostAnchors] = {}, height[kMostAnchors] = {};  // in grid cells
  RegionClasses class_kind = RegionClasses::softmax;
  bool bias_match = false, rescore = false;
  std::int64_t classfix = 0;
  float thresh = .5f;
  float coord_scale = 1, object_scale = 1, noobject_scale = 1, class_scale = 1;
  float objectness_weight = 1;                       // obj_normalizer
  bool hard_target = false, overlap_target = false;  // obj_target=one, iou
  bool exact_box_gradient = false;

  DN_HD std::int64_t entries() const { return 5 + classes; }
};

// out: x, y and objectness through the sigmoid, w and h raw, classes as class_kind says.
void region_decode(const Stream&, const RegionSettings&, View<const float> logits, View<float> out);

// The anchor a truth chooses, as an index over all anchors of its image: cell * anchors + n.
// `out`: predictions, read where bias_match is off.
std::int32_t region_choice(const RegionSettings&, const Truth&, const Shape& grid);

struct RegionArguments {
  RegionSettings settings;
  View<const float> logits, out;
  View<float> gradient;
  Truths truths;
  std::int32_t* choices = nullptr;  // truths.images * truths.capacity; -1: none
  AnchorRecord* records = nullptr;
  const StepState* step = nullptr;
};

void region_assign(const Stream&, const SigmoidClassLoss&, const RegionArguments&);

}  // namespace darknet
