// Losses of the class scores of an assigned anchor, beyond those on one logit: what `focal_loss=1`
// did in the Darknets, kept under the name darknet_focal.
#pragma once
#include <string>
#include <string_view>
#include "losses/losses.h"

namespace darknet::losses {

// Softmax focal loss, gamma 2, alpha .5: (p - y) alpha (1 - pt)(2 pt log pt + pt - 1) with pt of
// the true class. Darknet applies it to independent sigmoids too, where it is exact for the true
// class only.
struct DarknetFocal {
  static constexpr std::string_view name = "darknet_focal";
  // The factor on (p - y) of every class, from the true class's probability. Not negative.
  DN_HD static float factor(float pt_of_true) {
    const float pt = pt_of_true + 1e-15f;
    return -.5f * (1 - pt) * (2 * pt * math::log(pt) + pt - 1);
  }
  DN_HD static float value(float pt_of_true) {
    const float pt = pt_of_true + 1e-15f;
    return -.5f * (1 - pt) * (1 - pt) * math::log(pt);
  }
};

}  // namespace darknet::losses

namespace darknet {

// Sigmoid class scores: a loss per class, or darknet_focal.
using SigmoidClassLoss =
    std::variant<losses::Mse, losses::CrossEntropy, losses::BalancedCrossEntropy, losses::Focal,
                 losses::QualityFocal, losses::DarknetFocal>;

}  // namespace darknet
