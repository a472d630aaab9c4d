// What the training labels and the first batch decide about the objectness before the first step:
// its biases (obj_prior), the scale of its weights (obj_init), and the weight of its loss
// (obj_normalizer=auto).
#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>
#include "dataset/batches.h"
#include "dataset/labels.h"
#include "nn/network.h"

namespace darknet {

struct StartReport {
  std::int64_t layer = 0;  // the head
  double eta = 0;          // share of positive anchors among all candidates, where it was asked for
  RealOrAuto prior;        // as asked for
  double p = 0;            // mean objectness at the start, where a prior was asked for
  double deviation_before = 0, deviation = 0;  // of the logits; 0: not measured
  std::string keys;     // those that the head gives: "obj_prior and obj_init"
  std::string skipped;  // why nothing was set, or ""
};

// For a fresh start. Changes the convolution below every head that asks for a prior or an initial
// deviation, unless that convolution is among the first `loaded_layers` layers. The labels are
// those of all training images, unaugmented. `first_batch` is asked for where logits are measured:
// they are those of a training pass over it, which leaves the rolling statistics as they were.
std::vector<StartReport> start_objectness(Network&, const LabelledImages&,
                                          const std::function<Batch()>& first_batch,
                                          std::int64_t loaded_layers);
std::string to_string(const StartReport&);

// Whether positives and background start in balance, as a prior is meant to make them: a sentence
// for each head whose start was set, from its telemetry of the first step.
struct FirstStepShare {
  std::string text;
  bool balanced = true;  // positives make at least a fifth of the objectness gradient
};
std::vector<FirstStepShare> first_step_shares(const Network&, std::span<const StartReport>,
                                              std::span<const HeadTelemetry>);

struct WeightReport {
  std::string text;
  bool warning = false;
};

// For every start: the factor on the loss of heads with obj_normalizer=auto, from the labels, and a
// warning for those with obj_guided=1 that no label chooses, which learn no objectness. Throws
// where a loss has no balance (obj_alpha=0).
std::vector<WeightReport> weigh_objectness(Network&, const LabelledImages&);
void log_reports(const std::vector<WeightReport>&);

}  // namespace darknet
