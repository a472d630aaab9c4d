// Launches on parameters: gradient checks, an optimizer's update and the running average of the
// weights, and the status of a step. All of them read what changes per step from a StepState in
// device memory. Unless its status is `update` they change no parameter; an overflow clears the
// gradients, an error leaves them for whoever asks which layer it was.
#pragma once
#include <cstdint>
#include "core/device.h"
#include "core/step.h"
#include "kernels/optimizers.h"

namespace darknet {

// The arrays of one parameter; all have n elements.
struct UpdateArrays {
  float* value = nullptr;
  float* gradient = nullptr;                // is set to zero by the update
  float* states[kMaxOptimizerStates] = {};  // as many as the optimizer has
  std::int64_t n = 0;
  float rate_factor = 1;  // the layer's
  float decay = 0;        // 0 for biases and scales
  float clip = 0;         // limit on |gradient|; 0: none
};

// Before the first micro-batch: takes over `params`; only an error of an earlier step stays.
void begin_step(const Stream&, const StepParams* params, StepState*);
// Before the others.
void set_step_params(const Stream&, const StepParams* params, StepState*);

// Where any gradient is NaN or infinite, an overflow if the loss is scaled, else the step fails.
// `scratch`: check_finite_scratch(n) bytes.
std::int64_t check_finite_scratch(std::int64_t n);
void check_finite(const Stream&, const float* gradient, std::int64_t n, StepState* state,
                  void* scratch);

// After the update: an overflow halves the scale of the loss, kScaleRaisedAfter updates without one
// double it.
inline constexpr float kFirstLossScale = 65536, kMaxLossScale = 16777216;
inline constexpr std::int64_t kScaleRaisedAfter = 2000;
void adapt_loss_scale(const Stream&, StepState*);

// An optimizer in one step: `shared` is device memory for its Step, kOptimizerStepBytes.
struct OptimizerStep {
  OptimizerRule rule;
  float images = 1;  // of the step, all subdivisions together
  void* shared = nullptr;
  std::int64_t frozen = 0;  // iterations before the first update of the parameters
};
inline constexpr std::int64_t kOptimizerStepBytes = 64;
// Of every step, before its updates: what they share. Parameters share it that have been frozen for
// equally long.
void begin_update(const Stream&, const OptimizerStep&, const StepState*);
void parameter_update(const Stream&, const UpdateArrays&, const OptimizerStep&, const StepState*);

// average = alpha average + (1 - alpha) value, over n elements.
struct AverageArrays {
  float* average = nullptr;
  const float* value = nullptr;
  std::int64_t n = 0;
  float alpha = 0;
};
void average_update(const Stream&, const AverageArrays&, const StepState*);

}  // namespace darknet
