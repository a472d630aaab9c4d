// Losses of the class scores of an assigned anchor: those on one logit, for each class by itself,
// the same where they are another for every class, and those that look at the score of the true
// class alone.
#pragma once
#include <concepts>
#include <cstdint>
#include <string_view>
#include "losses/equalized_focal.h"
#include "losses/logit.h"
#include "losses/losses.h"

namespace darknet::losses {

// The score of the true class: its probability and the logarithm of that, which stays finite where
// the probability rounds to 0.
struct TrueClass {
  float p, log_p;
};
// Of a sigmoid's logit.
DN_HD inline TrueClass true_class_of_sigmoid(float logit) {
  const auto l = logit_parts(logit);
  return {l.p, l.log_p};
}
// Of class c among `classes` that go through a softmax, logit(k) each: log-sum-exp.
template <class F>
DN_HD TrueClass true_class_of_softmax(std::int64_t classes, std::int64_t c, F logit) {
  float largest = logit(0), others = 0;
  for (std::int64_t k = 1; k < classes; ++k) largest = math::max(largest, logit(k));
  for (std::int64_t k = 0; k < classes; ++k)
    if (k != c) others += math::exp(logit(k) - largest);
  const float below = logit(c) - largest, own = math::exp(below);
  const float log_p = below == 0 ? -math::log1p(others) : below - math::log(own + others);
  return {own / (own + others), log_p};
}

// Cross-entropy of scores that went through a softmax.
struct Softmax {
  static constexpr std::string_view name = "softmax";
  static constexpr LossTraits traits{};
  template <class V>
  void fields(V&&) {}
  DN_HD static float factor(const TrueClass&) { return 1; }
  DN_HD static float value(const TrueClass& own) { return -own.log_p; }
};

// Softmax focal loss, gamma 2, alpha .5: (p - y) alpha (1 - pt)(2 pt log pt + pt - 1) with pt of
// the true class: what `focal_loss=1` did in the Darknet forks. Darknet applies it to independent
// sigmoids too, where it is exact for the true class only.
struct DarknetFocal {
  static constexpr std::string_view name = "darknet_focal";
  static constexpr LossTraits traits{};
  template <class V>
  void fields(V&&) {}
  // The factor on (p - y) of every class. Not negative.
  DN_HD static float factor(const TrueClass& own) {
    return -.5f * (1 - own.p) * (2 * own.p * own.log_p + own.p - 1);
  }
  DN_HD static float value(const TrueClass& own) {
    return -.5f * (1 - own.p) * (1 - own.p) * own.log_p;
  }
};

}  // namespace darknet::losses

namespace darknet {

// factor(own) (p - y) is its gradient in the score of every class.
template <class L>
concept OfTrueClass = requires(const losses::TrueClass& own) {
  L::factor(own);
  L::value(own);
};

// Of class scores that are independent sigmoids.
using SigmoidClassLoss = Extended<PointwiseLoss, losses::DarknetFocal, losses::EqualizedFocal>;
// All that the key cls_loss names.
using ClassLoss =
    Extended<PointwiseLoss, losses::Softmax, losses::DarknetFocal, losses::EqualizedFocal>;

// Whether it needs the gradients that each class had before.
template <class... L>
bool differs_by_class(const std::variant<L...>& loss) {
  return std::visit([](const auto& l) { return losses::DiffersByClass<std::decay_t<decltype(l)>>; },
                    loss);
}

}  // namespace darknet
