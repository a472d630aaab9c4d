// Losses of the class scores of an assigned anchor: those on one logit, for each class by itself,
// and those that look at the score of the true class alone.
#pragma once
#include <concepts>
#include <string_view>
#include "losses/losses.h"

namespace darknet::losses {

// Cross-entropy of scores that went through a softmax.
struct Softmax {
  static constexpr std::string_view name = "softmax";
  static constexpr LossTraits traits{};
  template <class V>
  void fields(V&&) {}
  DN_HD static float factor(float /*pt_of_true*/) { return 1; }
  DN_HD static float value(float pt_of_true) { return -math::log(pt_of_true + 1e-15f); }
};

// Softmax focal loss, gamma 2, alpha .5: (p - y) alpha (1 - pt)(2 pt log pt + pt - 1) with pt of
// the true class: what `focal_loss=1` did in the Darknet forks. Darknet applies it to independent
// sigmoids too, where it is exact for the true class only.
struct DarknetFocal {
  static constexpr std::string_view name = "darknet_focal";
  static constexpr LossTraits traits{};
  template <class V>
  void fields(V&&) {}
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

// factor(pt) (p - y) is its gradient in the score of every class, pt the score of the true class.
template <class L>
concept OfTrueClass = requires(float pt) {
  L::factor(pt);
  L::value(pt);
};

// Of class scores that are independent sigmoids.
using SigmoidClassLoss = Extended<LogitLoss, losses::DarknetFocal>;
// All that the key cls_loss names.
using ClassLoss = Extended<LogitLoss, losses::Softmax, losses::DarknetFocal>;

}  // namespace darknet
