#include "eval/objectness_statistics.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/index.h"
#include "core/log.h"
#include "core/math.h"
#include "dataset/input_truths.h"
#include "dataset/loader.h"
#include "kernels/objectness.h"
#include "losses/focal.h"
#include "nn/head_inputs.h"

namespace darknet {
namespace {

struct AnchorValues {
  double x = 0, loss = 0, gradient = 0;
};

void add_anchor(const AnchorValues& v, bool positive, SideStatistics& side) {
  ++side.anchors;
  side.p_sum += math::sigmoid(v.x);
  side.loss.add(std::max(0., v.loss));  // rounding
  side.gradient.add(std::abs(v.gradient));
  for (std::size_t k = 0; k < kComparedGammas.size(); ++k)
    side.focal[k].add(
        losses::Focal{kComparedGammas[k], -1}.value(v.x, positive ? 1. : 0., positive));
  const double p_t = math::sigmoid(positive ? v.x : -v.x);
  const auto bin = static_cast<std::size_t>(p_t * static_cast<double>(kProbabilityBins));
  ++side.p_t[std::min(bin, kProbabilityBins - 1)];
}

double bias_prior(Network& net, const HeadAt& at) {
  const std::int64_t below = net.layer(at.layer).sources().front();
  if (below < 0) return -1;
  for (const Parameter* p : net.layer(below).parameters()) {
    if (p->role != Role::bias) continue;
    const std::vector<float> values = p->value.to_host(net.stream());
    const auto channels = at.head->objectness_channels();
    double sum = 0;
    for (const std::int64_t c : channels)
      sum += math::sigmoid(static_cast<double>(values.at(to_size(c))));
    return sum / static_cast<double>(channels.size());
  }
  return -1;
}

// The ground truths of a batch as the network's input shows them, of as many images as it takes.
std::vector<std::vector<Truth>> truths_of(const Batch& batch, const EvaluationSet& set,
                                          const Network& net) {
  const Shape input = net.input_shape();
  std::vector<std::vector<Truth>> truths(to_size(input.n));
  for (std::size_t i = 0; i < batch.images.size(); ++i)
    truths[i] = truths_at_input(set.truths[to_size(batch.images[i])],
                                {batch.sizes[i].width, batch.sizes[i].height},
                                {input.w, input.h, net.settings().letter_box});
  return truths;
}

class Collector {
 public:
  Collector(Network& net, ObjectnessStatistics& to) : net_(net), to_(to), logits_(net) {
    for (const HeadAt& at : net.heads())
      to.heads.push_back({.layer = at.layer,
                          .loss = at.head->settings().objectness_loss,
                          .prior_bias = bias_prior(net, at)});
  }

  // After the forward pass of the batch.
  void add(const Batch& batch, const EvaluationSet& set) {
    const auto truths = truths_of(batch, set, net_);
    const std::int64_t images = std::ssize(batch.images);
    std::vector<std::vector<bool>> found;
    for (const auto& image : truths) found.emplace_back(image.size(), false);
    for (std::size_t h = 0; h < to_.heads.size(); ++h) {
      const AssignedAnchors assigned =
          net_.heads()[h].head->assigned_anchors(net_.stream(), logits_.of(h), truths);
      require_finite(assigned, to_.heads[h].layer);
      to_.heads[h].anchors.add(assigned, images);
      for (std::size_t i = 0; i < found.size(); ++i)
        for (std::size_t t = 0; t < found[i].size(); ++t)
          if (assigned.anchors_of_truth[i][t] > 0) found[i][t] = true;
    }
    to_.images += images;
    for (const auto& image : found) {
      to_.truths += std::ssize(image);
      to_.truths_lost += std::count(image.begin(), image.end(), false);
    }
  }

 private:
  void require_finite(const AssignedAnchors& a, std::int64_t layer) const {
    for (std::size_t i = 0; i < a.logits.size(); ++i)
      if (!std::isfinite(a.logits[i]) || !std::isfinite(a.records[i].objectness_loss))
        fail(net_.layer(layer).title(),
             ": its objectness logits are not finite; check the weights and the images");
  }

  Network& net_;
  ObjectnessStatistics& to_;
  HeadInputs logits_;
};

}  // namespace

SideStatistics& SideStatistics::operator+=(const SideStatistics& other) {
  anchors += other.anchors, p_sum += other.p_sum;
  loss += other.loss, gradient += other.gradient;
  for (std::size_t k = 0; k < focal.size(); ++k) focal[k] += other.focal[k];
  for (std::size_t k = 0; k < p_t.size(); ++k) p_t[k] += other.p_t[k];
  return *this;
}

double AnchorStatistics::eta() const {
  return anchors() > 0 ? static_cast<double>(positive.anchors) / static_cast<double>(anchors()) : 0;
}

AnchorStatistics& AnchorStatistics::operator+=(const AnchorStatistics& other) {
  positive += other.positive, negative += other.negative;
  ignored += other.ignored, truths += other.truths;
  easy_negative_gradient += other.easy_negative_gradient;
  return *this;
}

void AnchorStatistics::add(const AssignedAnchors& a, std::int64_t images) {
  const std::size_t per_image = a.records.size() / a.anchors_of_truth.size();
  for (std::size_t i = 0; i < per_image * to_size(images); ++i) {
    const AnchorRecord& r = a.records[i];
    if (r.state == AnchorState::ignored) {
      ++ignored;
      continue;
    }
    const bool is_positive = r.state == AnchorState::positive;
    const AnchorValues v{a.logits[i], r.objectness_loss, a.gradients[i]};
    add_anchor(v, is_positive, is_positive ? positive : negative);
    if (!is_positive && math::sigmoid(v.x) < static_cast<double>(kEasyNegative))
      easy_negative_gradient += std::abs(v.gradient);
  }
  for (std::size_t i = 0; i < to_size(images); ++i)
    truths += std::ranges::count_if(a.anchors_of_truth[i], [](int n) { return n > 0; });
}

AnchorStatistics ObjectnessStatistics::all() const {
  AnchorStatistics sum;
  for (const HeadObjectness& head : heads) sum += head.anchors;
  return sum;
}

ObjectnessStatistics objectness_statistics(Network& net, const EvaluationSet& set, int threads,
                                           const std::function<bool()>& stop) {
  ObjectnessStatistics result;
  Collector collector(net, result);
  const Batches batches(evaluation_batches(net, set.images));
  Loader loader(batches, {.threads = threads});
  log::Progress progress("evaluating", static_cast<std::int64_t>(set.images.size()));
  while (true) {
    const Batch& batch = loader.next();
    if (batch.images.empty() || (stop && stop())) break;
    forward_images(net, batch.pixels);
    collector.add(batch, set);
    progress.at(result.images);
  }
  for (std::size_t h = 0; h < result.heads.size(); ++h) {
    const float zero = 0;
    if (const double eta = result.heads[h].anchors.eta(); eta > 0)
      result.heads[h].p_star =
          math::sigmoid(net.heads()[h].head->balancing_offset({&zero, 1}, eta));
  }
  return result;
}

}  // namespace darknet
