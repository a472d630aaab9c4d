// Losses on arrays that no network gave, computed as the detection heads compute them.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "losses/class_loss.h"
#include "losses/losses.h"

namespace darknet {

struct ComputedLoss {
  std::vector<float> value, gradient;  // gradient: of the sum of the values
};

// Of each logit, which together are one batch. `targets` and `positives`: as many as logits. Throws
// where a target is none that the loss has.
ComputedLoss compute_loss(const LogitLoss&, std::span<const float> logits,
                          std::span<const float> targets, const std::vector<bool>& positives);

// Of each row of `classes` logits with its true class. Losses that look at the true class alone go
// through a softmax, as in [region]; equalized_focal with g = 1. Throws where there is no such
// class.
ComputedLoss compute_class_loss(const ClassLoss&, std::span<const float> logits,
                                std::int64_t classes, std::span<const std::int32_t> true_classes);

}  // namespace darknet
