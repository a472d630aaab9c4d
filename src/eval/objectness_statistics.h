// Where the objectness loss of a network comes from: how it is distributed over the anchors of a
// set of images with their ground truths (figure 4 of Lin et al. 2017), by the network's outputs at
// inference and the heads' own assignment. What labels alone tell is in eval/imbalance.h.
#pragma once
#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "detect/anchor_record.h"
#include "eval/log_histogram.h"
#include "eval/predict.h"
#include "nn/network.h"

namespace darknet {

// Focal loss without alpha, on the same logits and with hard targets.
inline constexpr std::array<float, 4> kComparedGammas{0, .5f, 1, 2};
inline constexpr std::size_t kProbabilityBins = 50;  // of p_t, of equal width

// The anchors of one state, positive or negative; p_t is the probability of that state.
struct SideStatistics {
  std::int64_t anchors = 0;
  double p_sum = 0;       // of the objectness
  LogHistogram loss;      // as the cfg has it, weights included
  LogHistogram gradient;  // |dL/dx| of that loss in the logit
  std::array<LogHistogram, kComparedGammas.size()> focal;
  std::array<std::int64_t, kProbabilityBins> p_t{};

  double mean_p() const { return anchors > 0 ? p_sum / static_cast<double>(anchors) : 0; }
  SideStatistics& operator+=(const SideStatistics&);
};

struct AnchorStatistics {
  SideStatistics positive, negative;
  std::int64_t ignored = 0;
  double easy_negative_gradient = 0;  // of negatives with p < kEasyNegative
  std::int64_t truths = 0;            // that got an anchor

  std::int64_t anchors() const { return positive.anchors + negative.anchors + ignored; }
  // The share of positives among all anchors.
  double eta() const;
  double gradient() const { return positive.gradient.sum() + negative.gradient.sum(); }
  AnchorStatistics& operator+=(const AnchorStatistics&);
  // The first `images` images of a pass.
  void add(const AssignedAnchors&, std::int64_t images);
};

struct HeadObjectness {
  std::int64_t layer = 0;
  std::string loss;        // its name
  double prior_bias = -1;  // mean sigmoid of the objectness biases below; -1: there are none
  double p_star = 0;       // the stationary prior at eta; 0 without positives
  AnchorStatistics anchors;
};

struct ObjectnessStatistics {
  std::int64_t images = 0, truths = 0;
  std::int64_t truths_lost = 0;  // that no anchor of any head gets
  std::vector<HeadObjectness> heads;
  AnchorStatistics all() const;
};

// `net`: for inference. Once `stop` says yes the rest is missing: images says how many there are.
// Throws where an image cannot be read or the network's outputs are not finite.
ObjectnessStatistics objectness_statistics(Network& net, const EvaluationSet&, int threads,
                                           const std::function<bool()>& stop = nullptr);

}  // namespace darknet
