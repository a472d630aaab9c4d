// Launches on parameters: gradient checks, SGD, Adam and the running average of the weights. All of
// them read what changes per step (iteration, rate, finiteness) from a StepState in device memory
// and do nothing, not even clear a gradient, while it says that the step is not finite.
#pragma once
#include <cstdint>
#include "core/device.h"
#include "core/step.h"

namespace darknet {

// The arrays of one parameter; all have n elements.
struct UpdateArrays {
  float* value = nullptr;
  float* gradient = nullptr;  // is set to zero by the update
  float* first = nullptr;     // momentum, or Adam's m
  float* second = nullptr;    // Adam's v
  std::int64_t n = 0;
  float rate_factor = 1;  // the layer's
  float decay = 0;        // 0 for biases and scales
  float clip = 0;         // limit on |gradient|; 0: none
};

// state->finite = 0 where any gradient is NaN or infinite; otherwise it stays. `scratch`:
// check_finite_scratch(n) bytes.
std::int64_t check_finite_scratch(std::int64_t n);
void check_finite(const Stream&, const float* gradient, std::int64_t n, StepState* state,
                  void* scratch);

// Darknet's SGD with B = images of the whole step: v = momentum v + g + decay B w; w -= rate/B v.
struct SgdSettings {
  float momentum = .9f, images = 1;
};
void sgd_update(const Stream&, const UpdateArrays&, const SgdSettings&, const StepState*);

// Adam (Kingma and Ba, ICLR 2015) on the mean gradient g/B + decay w.
struct AdamSettings {
  float b1 = .9f, b2 = .999f, epsilon = 1e-6f, images = 1;
};
void adam_update(const Stream&, const UpdateArrays&, const AdamSettings&, const StepState*);

// average = alpha average + (1 - alpha) value, over n elements.
struct AverageArrays {
  float* average = nullptr;
  const float* value = nullptr;
  std::int64_t n = 0;
  float alpha = 0;
};
void average_update(const Stream&, const AverageArrays&, const StepState*);

}  // namespace darknet
