// obj_prior: objectness biases of a fresh start, so that the initial foreground probability is the
// one asked for, or the stationary one of the training labels (auto).
#pragma once
#include <cstdint>
#include <string>
#include <vector>
#include "dataset/image_paths.h"
#include "dataset/labels.h"
#include "nn/network.h"

namespace darknet {

struct PriorReport {
  std::int64_t layer = 0;  // the head
  double eta = 0;          // auto: share of positive anchors among all candidates
  float prior = 0;         // p that was set
  bool automatic = false;
  std::string skipped;  // why nothing was set, or ""
};

// Sets the biases of the convolution below every head that asks for a prior, unless that
// convolution is among the first `loaded_layers` layers. The labels are those of all training
// images, unaugmented.
std::vector<PriorReport> apply_priors(Network&, const LabelledImages&, std::int64_t loaded_layers);
std::string to_string(const PriorReport&);

}  // namespace darknet
