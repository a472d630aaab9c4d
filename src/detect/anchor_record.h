// What the assignment of ground truths makes of one anchor. Plain data that kernels write and the
// host reads.
#pragma once
#include <cstdint>
#include <vector>

namespace darknet {

enum class AnchorState : std::int32_t { negative, positive, ignored };

// Anchor a of a head, a = pixel * anchors + n. Written by the head's assignment.
struct AnchorRecord {
  AnchorState state = AnchorState::negative;
  std::int32_t truths = 0;  // that chose this anchor
  float target = 0;         // of the objectness, in [0, 1]
  float weight = 0;         // of the objectness loss
  float class_loss = 0, box_loss = 0, iou = 0;
  float objectness_loss = 0;  // by apply_objectness (kernels/objectness.h)
};

// All anchors of a head in a pass of some images, in host memory.
struct AssignedAnchors {
  std::vector<AnchorRecord> records;
  std::vector<float> logits, gradients;  // of the objectness: x, and dL/dx with its weights
  // How many anchors each ground truth got, image by image; those beyond max= got none.
  std::vector<std::vector<std::int32_t>> anchors_of_truth;
};

}  // namespace darknet
