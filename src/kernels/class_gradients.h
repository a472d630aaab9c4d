// Sums of the gradients in the class scores over a training run, of positives and of negatives of
// each class: what equalized focal loss balances (losses/equalized_focal.h).
#pragma once
#include <cstdint>
#include "core/hd.h"
#include "core/step.h"
#include "core/tensor.h"
#include "detect/anchor_record.h"
#include "detect/running_values.h"
#include "kernels/objectness.h"

namespace darknet {

// The sums of a step count units, each |gradient| rounded to one and at most kMaxClassGradient:
// 2^22 anchors of a step fit into 63 bits.
inline constexpr double kClassGradientUnit = 0x1p-24;
inline constexpr float kMaxClassGradient = 0x1p16f;

// Where the sums of a class stand among those of all classes, of its positives or its negatives,
// and how many there are.
DN_HD constexpr std::int64_t class_gradient_place(std::int64_t k, bool positive) {
  return 2 * k + (positive ? 0 : 1);
}
DN_HD constexpr std::int64_t class_gradient_count(std::int64_t classes) { return 2 * classes; }

struct ClassGradientArguments {
  View<const float> gradient;  // in all logits of a head
  // One for each anchor; class_loss 0: the anchor has no class targets.
  const AnchorRecord* records = nullptr;
  AnchorLayout layout;
  std::int64_t* sums = nullptr;  // of all classes

  std::int64_t size() const { return gradient.shape.pixels() * layout.anchors; }
};

// Adds those of a micro-batch to the sums of the step. The sign of the gradient shows whether
// an anchor is a positive of the class (below 0) or a negative. `scratch`: class_gradient_scratch()
// bytes.
std::int64_t class_gradient_scratch(std::int64_t anchors, std::int64_t classes);
void add_class_gradients(const Stream&, const ClassGradientArguments&, void* scratch);

// After a step: values[i] += sums[i] units, i < n; unless the step made no update.
void keep_class_gradients(const Stream&, const RunningArrays&, std::int64_t n, const StepState*);

}  // namespace darknet
