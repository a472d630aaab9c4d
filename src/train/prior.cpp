#include "train/prior.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "core/index.h"
#include "dataset/input_truths.h"

namespace darknet {
namespace {

constexpr float kMin = 1e-4f, kMax = .5f;  // p* is kept within these

Parameter* bias_of(Layer& layer) {
  for (Parameter* p : layer.parameters())
    if (p->role == Role::bias) return p;
  return nullptr;
}

double share_of_positives(const Network& net, const Head& head, const GroundTruths& truths) {
  std::int64_t positives = 0;
  for (const auto image : truths) positives += head.positives(image, net.input_shape());
  const double candidates =
      static_cast<double>(head.candidates(net.input_shape())) * static_cast<double>(truths.size());
  return candidates > 0 ? static_cast<double>(positives) / candidates : 0;
}

void set_biases(const Network& net, Parameter& bias, const Head& head, float prior) {
  std::vector<float> values = bias.value.to_host(net.stream());
  for (const std::int64_t channel : head.objectness_channels())
    values.at(to_size(channel)) = -std::log((1 - prior) / prior);
  bias.value.copy_from(net.stream(), values);
}

}  // namespace

std::vector<PriorReport> apply_priors(Network& net, const LabelledImages& labelled,
                                      std::int64_t loaded_layers) {
  std::vector<PriorReport> reports;
  const Shape input = net.input_shape();
  GroundTruths truths;  // when they are needed
  for (const HeadAt& at : net.heads()) {
    const float asked = at.head->prior();
    if (asked == 0) continue;
    PriorReport report{.layer = at.layer, .prior = asked, .automatic = asked < 0};
    const std::int64_t below = net.layer(at.layer).sources().front();
    Parameter* bias = below >= 0 ? bias_of(net.layer(below)) : nullptr;
    if (!bias) {
      report.skipped = "the layer below has no biases";
    } else if (below < loaded_layers && bias->load) {
      report.skipped = "the layer below was loaded from a weights file";
    } else {
      if (report.automatic) {
        if (truths.empty())
          truths = truths_at_input(labelled, {input.w, input.h, net.settings().letter_box});
        report.eta = share_of_positives(net, *at.head, truths);
        report.prior = std::clamp(at.head->stationary_prior(report.eta), kMin, kMax);
      }
      set_biases(net, *bias, *at.head, report.prior);
    }
    reports.push_back(report);
  }
  net.parameters_changed();
  return reports;
}

std::string to_string(const PriorReport& r) {
  if (!r.skipped.empty()) return cat("layer ", r.layer, ": obj_prior has no effect: ", r.skipped);
  if (!r.automatic) return cat("layer ", r.layer, ": objectness starts at p = ", r.prior);
  return cat("layer ", r.layer, ": obj_prior=auto: ", r.eta,
             " of the anchors are positive, objectness starts at p* = ", r.prior);
}

}  // namespace darknet
