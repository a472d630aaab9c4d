#include "train/objectness_start.h"

#include <fmt/format.h>
#include <algorithm>
#include <cmath>
#include <span>

#include "core/index.h"
#include "core/math.h"
#include "dataset/input_truths.h"
#include "kernels/update.h"
#include "train/host_to_device.h"

namespace darknet {
namespace {

constexpr double kMin = 1e-4, kMax = .5;     // p* is kept within these
constexpr std::int64_t kMaxLogits = 20'000;  // of a head, evenly spaced: what the bias is solved on

Parameter* find(Layer& layer, Role role) {
  for (Parameter* p : layer.parameters())
    if (p->role == role) return p;
  return nullptr;
}

double logit(double p) { return std::log(p / (1 - p)); }

// The labels as the network's input shows them, made when they are needed.
class Positives {
 public:
  Positives(const Network& net, const LabelledImages& labelled) : net_(net), labelled_(labelled) {}
  double share(const Head& head) {
    const Shape input = net_.input_shape();
    if (truths_.empty())
      truths_ = truths_at_input(labelled_, {input.w, input.h, net_.settings().letter_box});
    std::int64_t positives = 0;
    for (const auto image : truths_) positives += head.positives(image, input);
    const double candidates =
        static_cast<double>(head.candidates(input)) * static_cast<double>(truths_.size());
    return candidates > 0 ? static_cast<double>(positives) / candidates : 0;
  }

 private:
  const Network& net_;
  const LabelledImages& labelled_;
  GroundTruths truths_;
};

// Puts back what training passes change of the parameters: the rolling statistics.
class KeepStatistics {
 public:
  explicit KeepStatistics(Network& net) : net_(net) {
    for (Parameter* p : net.parameters())
      if (!p->trained()) kept_.push_back({p, p->value.to_host(net.stream())});
  }
  KeepStatistics(const KeepStatistics&) = delete;
  KeepStatistics& operator=(const KeepStatistics&) = delete;
  void put_back() const {
    for (const auto& [parameter, values] : kept_) parameter->value.copy_from(net_.stream(), values);
  }

 private:
  Network& net_;
  std::vector<std::pair<Parameter*, std::vector<float>>> kept_;
};

// A head with the parameters of the convolution below it that make its objectness.
struct Start {
  HeadAt at;
  Parameter* bias = nullptr;
  Parameter* rows = nullptr;  // what scales its logits: weights, or the scales of normalised ones
  StartReport report;
  std::vector<float> logits;  // of the first batch, without their bias; where they are measured
  bool measured() const { return at.head->start().deviation.value >= 0; }
};

// Of the head's output, whose objectness is the logits' sigmoid.
void add_logits(const Network& net, Start& start) {
  const TensorView view = net.output(start.at.layer);
  const std::vector<float> out = to_host(net.stream(), view);
  const auto channels = view.shape.c;
  for (std::int64_t pixel = 0; pixel < view.shape.pixels(); ++pixel)
    for (const std::int64_t channel : start.at.head->objectness_channels())
      start.logits.push_back(static_cast<float>(logit(out[to_size(pixel * channels + channel)])));
}

void measure(Network& net, const Batch& batch, std::span<Start> starts) {
  const Shape before = net.input_shape();
  net.resize(before.n, batch.size.height, batch.size.width);
  net.set_iteration(1);
  const KeepStatistics kept(net);
  HostToDevice inputs(net);
  Buffer state(net.options().device, sizeof(StepState));
  const StepState fresh;
  memory(net.options().device.type).copy_in(net.stream(), state.data(), &fresh, sizeof fresh);
  const StepInput input{batch.pixels, batch.truths, batch.tiles};
  for (std::int64_t first = 0; first < std::ssize(batch.truths); first += net.input_shape().n) {
    inputs.send(input, first, {.iteration = 1});
    auto* const step = static_cast<StepState*>(state.data());
    begin_step(net.stream(), inputs.params(), step);
    net.forward({.stream = net.stream(),
                 .mode = Mode::training,
                 .step = step,
                 .subdivision = first / net.input_shape().n,
                 .input = inputs.input()});
    for (Start& s : starts)
      if (s.measured()) add_logits(net, s);
  }
  kept.put_back();
  net.resize(before.n, before.h, before.w);
}

double deviation_of(std::span<const float> values) {
  double sum = 0, squares = 0;
  for (const double v : values) sum += v;
  const double n = static_cast<double>(values.size()), mean = sum / n;
  for (const double v : values) squares += (v - mean) * (v - mean);
  return std::sqrt(squares / n);
}

std::vector<float> thinned(std::vector<float> values) {
  const auto step = std::max<std::size_t>(1, values.size() / to_size(kMaxLogits));
  std::vector<float> some;
  for (std::size_t i = 0; i < values.size(); i += step) some.push_back(values[i]);
  return some;
}

// rows *= factor for the objectness channels: filters of weights, elements of scales.
void scale_rows(const Network& net, const Start& start, double factor) {
  std::vector<float> values = start.rows->value.to_host(net.stream());
  const bool weights = start.rows->role == Role::weights;
  const auto row = weights ? values.size() / to_size(start.rows->value.shape().n) : 1;
  for (const std::int64_t channel : start.at.head->objectness_channels())
    for (std::size_t i = 0; i < row; ++i)
      values.at(to_size(channel) * row + i) *= static_cast<float>(factor);
  start.rows->value.copy_from(net.stream(), values);
}

void scale_logits(const Network& net, Start& start) {
  start.report.deviation = start.report.deviation_before = deviation_of(start.logits);
  const double asked = start.at.head->start().deviation.value;
  if (!(start.report.deviation > 0)) return;
  const double factor = asked / start.report.deviation;
  scale_rows(net, start, factor);
  for (float& x : start.logits) x *= static_cast<float>(factor);
  start.report.deviation = asked;
}

// The offset at which the mean of these logits' sigmoids is p.
double offset_for(double p, std::span<const float> logits) {
  double lo = -40, hi = 40;
  for (int i = 0; i < 100; ++i) {
    const double middle = (lo + hi) / 2;
    double sum = 0;
    for (const float x : logits) sum += math::sigmoid(x + middle);
    (sum < p * static_cast<double>(logits.size()) ? lo : hi) = middle;
  }
  return (lo + hi) / 2;
}

void set_bias(const Network& net, Start& start, Positives& positives) {
  const RealOrAuto asked = start.at.head->start().prior;
  if (!start.at.head->start().has_prior()) return;
  std::vector<float> logits = thinned(start.logits);
  if (logits.empty()) logits = {0};
  double offset = 0;
  if (asked.automatic) {
    start.report.eta = positives.share(*start.at.head);
    offset = start.at.head->balancing_offset(logits, start.report.eta);
  } else {
    offset = offset_for(asked.value, logits);
  }
  if (asked.automatic) offset = std::clamp(offset, logit(kMin), logit(kMax));
  for (const float x : logits)
    start.report.p += math::sigmoid(x + offset) / static_cast<double>(logits.size());
  std::vector<float> values = start.bias->value.to_host(net.stream());
  for (const std::int64_t channel : start.at.head->objectness_channels())
    values.at(to_size(channel)) = static_cast<float>(offset);
  start.bias->value.copy_from(net.stream(), values);
}

std::vector<Start> heads_that_ask(Network& net, std::int64_t loaded_layers) {
  std::vector<Start> starts;
  for (const HeadAt& at : net.heads()) {
    const ObjectnessStart& asked = at.head->start();
    if (!asked.has_prior() && asked.deviation.value < 0) continue;
    Start start{.at = at, .report = {.layer = at.layer, .prior = asked.prior}};
    const std::int64_t below = net.layer(at.layer).sources().front();
    if (below >= 0) {
      start.bias = find(net.layer(below), Role::bias);
      start.rows = find(net.layer(below), Role::scale);
      if (!start.rows) start.rows = find(net.layer(below), Role::weights);
    }
    if (!start.bias || !start.rows)
      start.report.skipped = "the layer below has no biases";
    else if (below < loaded_layers && start.bias->load)
      start.report.skipped = "the layer below was loaded from a weights file";
    starts.push_back(std::move(start));
  }
  return starts;
}

}  // namespace

std::vector<StartReport> start_objectness(Network& net, const LabelledImages& labelled,
                                          const std::function<Batch()>& first_batch,
                                          std::int64_t loaded_layers) {
  std::vector<Start> all = heads_that_ask(net, loaded_layers);
  const auto measured = [](const Start& s) { return s.report.skipped.empty() && s.measured(); };
  net.parameters_changed();
  if (std::ranges::any_of(all, measured)) measure(net, first_batch(), all);
  Positives positives(net, labelled);
  std::vector<StartReport> reports;
  for (Start& start : all) {
    if (start.report.skipped.empty()) {
      if (start.measured()) scale_logits(net, start);
      set_bias(net, start, positives);
    }
    reports.push_back(start.report);
  }
  net.parameters_changed();
  return reports;
}

std::string to_string(const StartReport& r) {
  const std::string where = cat("layer ", r.layer, ": ");
  if (!r.skipped.empty()) return cat(where, "obj_prior and obj_init have no effect: ", r.skipped);
  std::string text = where;
  if (r.deviation_before > 0)
    text += fmt::format(
        "obj_init: the objectness logits of the first batch are scaled from a standard deviation "
        "of "
        "{:.3g} to {:.3g}; ",
        r.deviation_before, r.deviation);
  if (r.prior.automatic)
    text += cat("obj_prior=auto: ", r.eta,
                " of the anchors are positive, objectness starts at p* = ", r.p);
  else if (r.prior.value > 0)
    text += cat("objectness starts at p = ", r.p);
  return text;
}

std::vector<std::string> weigh_objectness(Network& net, const LabelledImages& labelled) {
  Positives positives(net, labelled);
  std::vector<std::string> said;
  for (const HeadAt& at : net.heads()) {
    if (!at.head->settings().obj_normalizer.automatic) continue;
    const double eta = positives.share(*at.head);
    const double factor = eta > 0 ? at.head->gradient_ratio(eta) : 1;
    at.head->set_objectness_factor(static_cast<float>(factor));
    said.push_back(fmt::format("layer {}: obj_normalizer=auto: {:.3g}", at.layer,
                               factor * at.head->settings().obj_normalizer.value));
  }
  return said;
}

}  // namespace darknet
