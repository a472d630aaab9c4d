// Launches on parameters: gradient checks, an optimizer's update and the running average of the
// weights, and the status of a step. All of them read what changes per step from a StepState in
// device memory. Unless its status is `update` they change no parameter; an overflow clears the
// gradients, an error leaves them for whoever asks which layer it was.
#pragma once
#include <cstdint>
#include <limits>
#include "core/array_table.h"
#include "core/device.h"
#include "core/step.h"
#include "kernels/optimizers.h"

namespace darknet {

// Iterations before the first update of what is never updated.
inline constexpr std::int64_t kNeverTrained = std::numeric_limits<std::int64_t>::max();

// The arrays of one parameter; all have n elements.
struct UpdateArrays {
  float* value = nullptr;
  float* gradient = nullptr;                // is set to zero by the update
  float* states[kMaxOptimizerStates] = {};  // as many as the optimizer has
  std::int64_t n = 0;
  float rate_factor = 1;    // the layer's
  float decay = 0;          // 0 for biases and scales
  float clip = 0;           // limit on |gradient|; 0: none
  std::int64_t frozen = 0;  // iterations before its first update
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

// The same, but gradients that are not finite become 0 and the step goes on; their number is added
// to the state's `fixed`. An overflow stays one.
void zero_not_finite(const Stream&, float* gradient, std::int64_t n, StepState* state,
                     void* scratch);

// After the update: an overflow halves the scale of the loss, kScaleRaisedAfter updates without one
// double it.
inline constexpr float kFirstLossScale = 65536, kMaxLossScale = 16777216;
inline constexpr std::int64_t kScaleRaisedAfter = 2000;
void adapt_loss_scale(const Stream&, StepState*);

// Gradient centralization (Yong and others, ECCV 2020): the mean of each filter's gradients is
// taken away from them.
struct CentreArrays {
  float* gradient = nullptr;  // n filters of `size` weights
  std::int64_t n = 0, size = 0;
};
void centre_gradients(const Stream&, const ArrayTable<CentreArrays>&);

// An optimizer in one step: `shared` is device memory, kOptimizerStepBytes for every entry of the
// table.
struct OptimizerStep {
  OptimizerRule rule;
  float images = 1;  // of the step, all subdivisions together
  void* shared = nullptr;
};
inline constexpr std::int64_t kOptimizerStepBytes = 64;
void update_parameters(const Stream&, const ArrayTable<UpdateArrays>&, const OptimizerStep&,
                       const StepState*);

// average = alpha average + (1 - alpha) value, over n elements; while the value is frozen it is the
// value, which a resumed run may have frozen anew.
struct AverageArrays {
  float* average = nullptr;
  const float* value = nullptr;
  std::int64_t n = 0;
  float alpha = 0;
  std::int64_t frozen = 0;  // iterations before the first change of the value
};
void update_averages(const Stream&, const ArrayTable<AverageArrays>&, const StepState*);

}  // namespace darknet
