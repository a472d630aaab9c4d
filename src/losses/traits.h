// What a loss declares apart from its value and its gradient, so that the heads and the readers of
// keys ask it and name none.
#pragma once
#include <string_view>

namespace darknet {

struct LossTraits {
  // The loss to take where targets lie between 0 and 1; empty: this one does.
  std::string_view for_soft_targets = {};
  // Why a prior cannot be computed from it (obj_prior=auto); empty: it can.
  std::string_view no_automatic_prior = {};
  // An error of p, not of a logarithm of it: its gradient in the logit has the factor p (1 - p).
  bool of_probability = false;
  // One rule for objects and background: the loss of x against t is that of -x against 1 - t, with
  // alpha and 1 - alpha exchanged.
  bool mirrored = true;
};

// A value of one of its own keys that a loss refuses (`error()` of a loss that has such).
struct KeyError {
  std::string_view key, why;
};

}  // namespace darknet
