// Late in a training run the largest gradients of a detection head may be those of wrong labels,
// and the smallest teach nothing new: keys of [net] set them to 0 (AlexeyAB's Darknet, for [yolo]).
// The limits follow running figures of each head by itself, which whole steps move, so that the
// order of heads, micro-batches and devices changes nothing. What a micro-batch has, and with it
// the figures, follows from subdivisions= and the number of devices.
#pragma once
#include <cstdint>
#include "cfg/section.h"
#include "core/step.h"
#include "core/tensor.h"
#include "detect/running_values.h"

namespace darknet {

struct RejectionKeys {
  float badlabels_rejection_percentage = 0, num_sigmas_reject_badlabels = 0;
  std::int64_t equidistant_point = 0;

  bool any() const {
    return badlabels_rejection_percentage > 0 || num_sigmas_reject_badlabels > 0 ||
           equidistant_point > 0;
  }
  template <class V>
  void fields(V&& v) {
    v("badlabels_rejection_percentage", badlabels_rejection_percentage, TrainingOnly{Reals{0, 100}},
      "in the last quarter of max_batches about so many percent of the anchors lose their largest "
      "gradient; 0: none");
    v("num_sigmas_reject_badlabels", num_sigmas_reject_badlabels, TrainingOnly{Reals{0, 1e6f}},
      "in the last quarter of max_batches gradients so many standard deviations above their mean "
      "become 0; 0: none");
    v("equidistant_point", equidistant_point, TrainingOnly{Integers{0, std::int64_t{1} << 40}},
      "after so many iterations gradients below a limit that grows up to 1.4 times their mean "
      "become 0; 0: none");
  }
};

// What a head keeps: the largest, the mean and the deviation of its gradients that are not 0, and
// the limit of badlabels_rejection_percentage; and of a step the micro-batches, these figures of
// each, in how many the percentage was active, and how many of those were beyond it.
inline constexpr std::int64_t kRejectionValues = 4, kRejectionSums = 6;

struct RejectionArguments {
  RejectionKeys keys;
  std::int64_t max_batches = 0;
  View<float> gradient;      // in all logits of a head, dense
  std::int64_t entries = 1;  // of an anchor
  RunningArrays running;
  const StepState* step = nullptr;
};
// Adds the figures of a micro-batch to the sums of the step and sets gradients beyond the limits of
// the steps before to 0; leaves out those that are not finite. Nothing before the first iteration
// that a key names. `scratch`: rejection_scratch(elements) bytes.
std::int64_t rejection_scratch(std::int64_t elements);
void reject_gradients(const Stream&, const RejectionArguments&, void* scratch);

// After a step: the running figures become .99 of themselves and .01 of those of each micro-batch,
// the limit of the percentage, which begins at the largest, moves by .01; unless the step made no
// update.
void keep_rejection(const Stream&, const RunningArrays&, const StepState*);

}  // namespace darknet
