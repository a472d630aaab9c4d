// The probability of an object from a logit trained with a loss. Where a share eta of like anchors
// holds an object, the expected loss eta w+ L(x, 1) + (1 - eta) w- L(x, 0) is least at the x with
//   eta w+ g+(x) + (1 - eta) w- g-(x) = 0,
// which is eta itself only for cross-entropy (docs/loss-math.md, What focal loss does to
// probabilities). Solved for eta this is a closed form, without iterations or tables.
#pragma once
#include "core/hd.h"

namespace darknet {

// Of positives and of negatives in the loss, apart from the loss's own: object_scale and
// noobject_scale of [region].
struct PosteriorWeights {
  float positive = 1, negative = 1;
};

// eta : 1 - eta = down : up.
template <class T>
struct PosteriorOdds {
  T up, down;
};
template <class L, class T>
DN_HD PosteriorOdds<T> posterior_odds(const L& loss, T x, const PosteriorWeights& w) {
  return {-T(w.positive) * loss.gradient(x, T(1), true),
          T(w.negative) * loss.gradient(x, T(0), false)};
}

// eta in [0, 1] of the logit x, for hard targets; NaN of NaN, 0 and 1 of -inf and inf. It rises
// with x where has_posterior() (losses/objectness.h).
template <class L, class T>
DN_HD T posterior(const L& loss, T x, const PosteriorWeights& w) {
  const auto [up, down] = posterior_odds(loss, x, w);
  const T sum = up + down;
  const T eta = down / sum;
  if (sum > 0 && eta >= 0) return eta;
  return x < 0 ? T(0) : x >= 0 ? T(1) : x;  // both underflow far out (mse); x is infinite or NaN
}

}  // namespace darknet
