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
  bool update = true;       // dont_update, train_only_bn and statistics switch it off
  bool load = true;         // dontload, dontloadscales switch it off

  bool trained() const { return role != Role::rolling_mean && role != Role::rolling_variance; }
  bool decays() const { return role == Role::weights; }  // Darknet: no decay on biases and scales
};

}  // namespace darknet
