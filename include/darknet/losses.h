// The losses of `darknet loss list` on arrays, computed as training computes them, in single
// precision; docs/losses.md has the formulas. C++17.
//
//   darknet::loss_of_logits("focal:gamma=2,alpha=.25", {-3, 0, 3}, {0, 0, 1});
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "darknet/error.h"
#include "darknet/export.h"

namespace darknet {

struct LossValues {
  std::vector<float> value;     // not divided by anything
  std::vector<float> gradient;  // of the sum of the values, in each logit
};

// By name, in the order of `darknet loss list`: those of loss_of_logits(), and those of
// loss_of_classes().
DARKNET_EXPORT std::vector<std::string> logit_loss_names();
DARKNET_EXPORT std::vector<std::string> class_loss_names();

// Of the objectness. `loss`: "NAME" or "NAME:key=value,key=value". `targets`: as many as logits,
// 0..1; losses for hard targets take them as 0 or 1. `positives`: whether the anchor has an object,
// which alpha belongs to; empty: where the target is above 0. The logits are one batch to the
// losses that weight an anchor by the others (class_balanced, ghm, ohem). One value for each logit.
// Throws where the loss, one of its keys or an array is invalid.
DARKNET_EXPORT LossValues loss_of_logits(const std::string& loss, const std::vector<float>& logits,
                                         const std::vector<float>& targets,
                                         const std::vector<bool>& positives = {});

// Of the class scores. `logits`: rows of `classes` each; `true_classes`: one for each row, from 0.
// softmax and darknet_focal go through a softmax over the row, the others through a sigmoid for
// each class; equalized_focal with g = 1, as at the start of a training. One value for each row.
// Throws as above.
DARKNET_EXPORT LossValues loss_of_classes(const std::string& loss, const std::vector<float>& logits,
                                          std::int64_t classes,
                                          const std::vector<std::int32_t>& true_classes);

}  // namespace darknet
