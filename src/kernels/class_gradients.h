// Sums of the gradients in the class scores over a training run, of positives and of negatives of
// each class: what equalized focal loss balances (losses/equalized_focal.h).
#pragma once
#include <cstdint>
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

struct ClassGradientArguments {
  View<const float> gradient;             // in all logits of a head
  const AnchorRecord* records = nullptr;  // one for each anchor; without a class loss: none learned
  AnchorLayout layout;
  std::int64_t* sums = nullptr;  // of class k: positives at 2 k, negatives at 2 k + 1

  std::int64_t size() const { return gradient.shape.pixels() * layout.anchors; }
};

// Adds those of a micro-batch to the sums of the step. The gradient tells which an anchor is: it is
// below 0 for a positive of the class, and above for a negative. `scratch`:
// class_gradient_scratch() bytes.
std::int64_t class_gradient_scratch(std::int64_t anchors, std::int64_t classes);
void add_class_gradients(const Stream&, const ClassGradientArguments&, void* scratch);

// After a step: values[i] += sums[i] units, i < n; unless the step made no update.
void keep_class_gradients(const Stream&, const RunningArrays&, std::int64_t n, const StepState*);

}  // namespace darknet
