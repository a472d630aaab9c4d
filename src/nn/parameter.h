// A trained (or tracked) array of a layer and what the optimizer and the weights file need to know
// of it.
#pragma once
#include <cstdint>
#include <string>
#include "core/tensor.h"

namespace darknet {

enum class Role : std::uint8_t { weights, bias, scale, rolling_mean, rolling_variance };

struct Parameter {
  Role role = Role::weights;
  Tensor value;     // weights: shape {out, h, w, in} (OHWI); others {1, 1, 1, n}
  Tensor gradient;  // dL/dvalue summed over images and subdivisions; empty for statistics and
                    // inference
  float learning_rate = 1;  // the layer's factor
  bool update = true;       // dont_update=1, train_only_bn and statistics switch it off
  bool frozen = false;      // at present, with its whole layer: nothing may change it
  bool load = true;         // dontload, dontloadscales switch it off

  bool trained() const { return role != Role::rolling_mean && role != Role::rolling_variance; }
  bool updated() const { return trained() && update && !frozen; }  // by a step, at present
  // Whether a step may change it, as an update or as a statistic.
  bool moves() const { return !frozen && (update || !trained()); }
  // Where its gradient is summed; null while none is wanted.
  float* summed_gradient() const { return frozen ? nullptr : gradient.data(); }
  bool decays() const { return role == Role::weights; }  // Darknet: no decay on biases and scales
};

}  // namespace darknet
