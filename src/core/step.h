// What a training step is given and what it keeps, in device memory, so that kernels read it there
// and a captured step can be replayed.
#pragma once
#include <cstdint>
#include "core/hd.h"

namespace darknet {

// Set by the host before every micro-batch of a step.
struct StepParams {
  std::int64_t iteration = 0;  // 1 for the first update
  float learning_rate = 0;
  float objectness_scale = 1;    // images / positives, for heads with obj_norm=positives or _ema
  std::int64_t images_seen = 0;  // Darknet's `seen`, this micro-batch's images included
};

// How a step ended.
enum class StepStatus : std::int32_t {
  update,
  overflow,   // gradients went beyond f16: nothing is updated, the loss scale is lowered
  non_finite  // losses or gradients are not finite: nothing is updated from then on
};

// Of dynamic loss scaling (Micikevicius et al., Mixed Precision Training, ICLR 2018): gradients are
// computed `scale` times too large, so that small ones do not vanish in f16.
struct LossScale {
  float scale = 1;
  std::int64_t steps = 0;  // updates since it was last changed
};

struct StepState : StepParams {
  // Kept by the device from step to step.
  StepStatus status = StepStatus::update;
  // The first micro-batch of the batch whose loss was not finite; -1: none.
  std::int32_t non_finite_micro_batch = -1;
  LossScale loss;
  // try_fix_nan: gradients of the step that were not finite, and losses of micro-batches.
  std::int64_t fixed = 0;
};

// null: the loss is not scaled.
DN_HD inline float loss_scale(const StepState* step) { return step ? step->loss.scale : 1; }

}  // namespace darknet
