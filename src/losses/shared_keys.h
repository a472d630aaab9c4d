// Keys that several losses of a logit have.
#pragma once
#include "cfg/section.h"

namespace darknet::losses {

// Weighs the classes by alpha_weight() (losses/logit.h).
template <class V>
void alpha_field(V&& v, float& alpha) {
  v("alpha", alpha, Reals{-1, 1}, "weight of the foreground, background gets 1 - alpha; -1: none");
}

// The exponent of 1 - p_t.
template <class V>
void gamma_field(V&& v, float& gamma) {
  v("gamma", gamma, Reals{0, 8}, "how strongly anchors that are classified well are discounted");
}

}  // namespace darknet::losses
