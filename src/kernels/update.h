// Launches on parameters: gradient checks, SGD, Adam and the running average of the weights, and
// the verdict on a step. All of them read what changes per step from a StepState in device memory.
// Unless its verdict is `update` they change no parameter; an overflow clears the gradients, a
// fault leaves them for whoever asks which layer it was.
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

// Before the first part: takes over `order`; only a fault of an earlier step stays.
void begin_step(const Stream&, const StepOrder* order, StepState*);
// Before the others.
void tell_step(const Stream&, const StepOrder* order, StepState*);

// Where any gradient is NaN or infinite, an overflow if the loss is scaled, else a fault.
// `scratch`: check_finite_scratch(n) bytes.
std::int64_t check_finite_scratch(std::int64_t n);
void check_finite(const Stream&, const float* gradient, std::int64_t n, StepState* state,
                  void* scratch);

// After the update: an overflow halves the scale of the loss, kScaleRaisedAfter updates without one
// double it.
inline constexpr float kFirstLossScale = 65536, kMostLossScale = 16777216;
inline constexpr std::int64_t kScaleRaisedAfter = 2000;
void adapt_loss_scale(const Stream&, StepState*);

// Darknet's SGD with B = images of the whole step: v = momentum v + g + decay B w; w -= rate/B v.
struct SgdSettings {
  float momentum = .9f, images = 1;
};
void sgd_update(const Stream&, const UpdateArrays&, const SgdSettings&, const StepState*);

// Adam (Kingma and Ba, ICLR 2015) on the mean gradient g/B + decay w.
struct AdamSettings {
  float b1 = .9f, b2 = .999f, epsilon = 1e-6f, images = 1;
  std::int64_t frozen = 0;  // iterations before the parameters' first update
};
// Of every step, before the updates that it is for: the corrections for as many updates as there
// were, which parameters share that have been frozen for equally long.
void correct_adam(const Stream&, const AdamSettings&, StepState*);
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
