// What every step changes, in device memory, so that launches read it there and a recorded step can
// be replayed.
#pragma once
#include <cstdint>

namespace darknet {

struct StepState {
  std::int64_t iteration = 0;  // 1 for the first update
  float learning_rate = 0;
  float objectness_scale = 1;    // obj_norm=positives: B / max(1, N)
  float finite = 1;              // 0: the step is not finite; the update skips itself
  std::int64_t images_seen = 0;  // Darknet's `seen`, this subdivision's images included
};

}  // namespace darknet
