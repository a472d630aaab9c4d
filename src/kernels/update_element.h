// What an optimizer is: a struct like those of kernels/sgd.h and kernels/adam.h with
//   name       its value of the cfg key `optimizer`;
//   states     the names of what it keeps of every weight from step to step, zero at first: a
//              checkpoint has them, so no two optimizers have the same;
//   fields()   its keys of [net];
//   Step       what all weights share in one step, which step(updates) computes from the number of
//              updates, this one included; {} where it is nothing;
//   update()   changes one weight and its states.
// With its name in the list of kernels/optimizers.h it is known to the cfg, the trainer,
// checkpoints, both devices and the tests.
#pragma once
#include <cstdint>
#include "cfg/section.h"
#include "core/hd.h"

namespace darknet {

// What an update is given of one weight.
struct UpdateElement {
  float gradient;  // summed over the step's images, within the layer's clip
  float rate;      // learning rate times the layer's factor
  float decay;     // 0 for biases and scales
  float images;    // of the step
};

}  // namespace darknet
