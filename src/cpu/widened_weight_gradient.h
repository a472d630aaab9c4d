// The gradient of a convolution's weights from 16-bit tensors, computed in f32.
#pragma once
#include <cstdint>
#include <memory>
#include <string>

#include "core/ops.h"

namespace darknet {

// Converts some images at a time, as many as keep the copies small.
class WidenedWeightGradient {
 public:
  // options: those of the 16-bit plan.
  WidenedWeightGradient(const ConvSpec& spec, const PlanOptions& options);

  std::int64_t workspace() const { return plan_at_ + plan_->workspace(); }  // bytes
  std::int64_t packed_weights() const { return plan_->packed_weights(); }   // bytes
  std::string description() const;
  // Adds to `gradient` (OHWI). Both tensors are dense.
  void run(const Stream&, const TensorView& in, const TensorView& out_gradient, float* gradient,
           void* workspace) const;

 private:
  ConvSpec spec_;  // of the images that are converted at a time, whose number divides the batch
  std::int64_t out_at_ = 0, plan_at_ = 0;  // in the workspace
  std::shared_ptr<ConvPlan> plan_;
};

}  // namespace darknet
