#include "train/objectness_start.h"

#include <fmt/format.h>
#include <algorithm>
#include <cmath>
#include <span>

#include "core/index.h"
#include "core/log.h"
#include "core/math.h"
#include "dataset/input_truths.h"
#include "kernels/update.h"
#include "losses/objectness.h"
#include "nn/head_inputs.h"
#include "train/host_to_device.h"

namespace darknet {
namespace {

constexpr double kMin = 1e-4, kMax = .5;  // bounds of the bias's sigmoid
constexpr double kBalanced = .2;   // share of the first step's gradient that positives should have
constexpr double kMaxRatio = 1e4;  // of obj_normalizer=auto; beyond it the loss has no balance
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
struct HeadStart {
  HeadAt at;
  Parameter* bias = nullptr;
  Parameter* rows = nullptr;  // what scales its logits: weights, or the scales of normalised ones
  StartReport report;
  std::vector<float> logits;  // of the first batch, without their bias; where they are measured
  bool measured() const { return report.skipped.empty() && at.head->start().deviation.value >= 0; }
};

// Of the last forward pass.
void add_logits(Network& net, const HeadInputs& inputs, std::span<HeadStart> starts) {
  const std::vector<HeadAt> heads = net.heads();
  for (HeadStart& s : starts) {
    if (!s.measured()) continue;
    const auto at = std::ranges::find(heads, s.at.layer, &HeadAt::layer);
    const std::span<const float> input = inputs.of(to_size(at - heads.begin()));
    const std::int64_t below = net.layer(s.at.layer).sources().front();
    const std::size_t channels = to_size(net.output(below).shape.c);
    for (std::size_t pixel = 0; pixel < input.size(); pixel += channels)
      for (const std::int64_t channel : s.at.head->objectness_channels())
        s.logits.push_back(input[pixel + to_size(channel)]);
  }
}

void measure(Network& net, const Batch& batch, std::span<HeadStart> starts) {
  const Shape before = net.input_shape();
  net.resize(before.n, batch.size.height, batch.size.width);
  net.set_iteration(1);
  const KeepStatistics kept(net);
  HostToDevice inputs(net);
  Buffer state(net.options().device, sizeof(StepState));
  const StepState fresh;
  memory(net.options().device.type).copy_in(net.stream(), state.data(), &fresh, sizeof fresh);
  const StepInput input{batch.pixels, batch.truths, batch.tiles};
  for (HeadStart& s : starts) s.logits.clear();
  const HeadInputs read(net);
  for (std::int64_t first = 0; first < std::ssize(batch.truths); first += net.input_shape().n) {
    inputs.send(input, first, {.iteration = 1});
    auto* const step = static_cast<StepState*>(state.data());
    begin_step(net.stream(), inputs.params(), step);
    net.forward({.stream = net.stream(),
                 .mode = Mode::training,
                 .step = step,
                 .subdivision = first / net.input_shape().n,
                 .input = inputs.input()});
    add_logits(net, read, starts);
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

// Every logit of evenly spaced pixels: of all anchors alike.
std::vector<float> thinned(const std::vector<float>& values, std::size_t anchors) {
  const std::size_t pixels = values.size() / anchors,
                    most = std::max<std::size_t>(1, to_size(kMaxLogits) / anchors),
                    taken = std::min(pixels, most);
  std::vector<float> some;
  for (std::size_t k = 0; k < taken; ++k)
    for (std::size_t n = 0; n < anchors; ++n)
      some.push_back(values[k * pixels / taken * anchors + n]);
  return some;
}

// rows *= factor for the objectness channels: filters of weights, elements of scales.
void scale_rows(const Network& net, const HeadStart& start, double factor) {
  std::vector<float> values = start.rows->value.to_host(net.stream());
  const bool weights = start.rows->role == Role::weights;
  const auto row = weights ? values.size() / to_size(start.rows->value.shape().n) : 1;
  for (const std::int64_t channel : start.at.head->objectness_channels())
    for (std::size_t i = 0; i < row; ++i)
      values.at(to_size(channel) * row + i) *= static_cast<float>(factor);
  start.rows->value.copy_from(net.stream(), values);
}

void scale_logits(const Network& net, HeadStart& start) {
  const double deviation = start.report.deviation_before = deviation_of(start.logits);
  if (!std::isfinite(deviation))
    fail(net.layer(start.at.layer).title(),
         ": obj_init: the logits of the first batch are not finite; check the images and weights");
  if (deviation > 0) scale_rows(net, start, start.at.head->start().deviation.value / deviation);
}

// Of the sigmoids of these logits, shifted.
double mean_probability(std::span<const float> logits, double offset) {
  double sum = 0;
  for (const float x : logits) sum += math::sigmoid(x + offset);
  return sum / static_cast<double>(logits.size());
}

void set_bias(const Network& net, HeadStart& start, Positives& positives) {
  const ObjectnessStart& asked = start.at.head->start();
  if (!asked.has_prior()) return;
  std::vector<float> logits = thinned(start.logits, start.at.head->objectness_channels().size());
  if (logits.empty()) logits = {0};
  double offset = 0;
  if (asked.prior.automatic) {
    start.report.eta = positives.share(*start.at.head);
    offset = std::clamp(start.at.head->balancing_offset(logits, start.report.eta), logit(kMin),
                        logit(kMax));
  } else {
    offset =
        root_of_rising([&](double b) { return mean_probability(logits, b) - asked.prior.value; });
  }
  start.report.p = mean_probability(logits, offset);
  std::vector<float> values = start.bias->value.to_host(net.stream());
  for (const std::int64_t channel : start.at.head->objectness_channels())
    values.at(to_size(channel)) = static_cast<float>(offset);
  start.bias->value.copy_from(net.stream(), values);
}

std::vector<HeadStart> heads_that_ask(Network& net, std::int64_t loaded_layers) {
  std::vector<HeadStart> starts;
  for (const HeadAt& at : net.heads()) {
    const ObjectnessStart& asked = at.head->start();
    if (!asked.has_prior() && asked.deviation.value < 0) continue;
    HeadStart start{.at = at, .report = {.layer = at.layer, .prior = asked.prior}};
    if (asked.has_prior()) start.report.keys = "obj_prior";
    if (asked.deviation.value >= 0)
      start.report.keys += start.report.keys.empty() ? "obj_init" : " and obj_init";
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
  std::vector<HeadStart> starts = heads_that_ask(net, loaded_layers);
  net.parameters_changed();
  if (std::ranges::any_of(starts, &HeadStart::measured)) {
    const Batch batch = first_batch();
    measure(net, batch, starts);
    for (HeadStart& s : starts)
      if (s.measured()) scale_logits(net, s);
    net.parameters_changed();
    measure(net, batch, starts);  // behind a nonlinear activation they are not in proportion
  }
  Positives positives(net, labelled);
  std::vector<StartReport> reports;
  for (HeadStart& s : starts) {
    if (s.measured()) s.report.deviation = deviation_of(s.logits);
    if (s.report.skipped.empty()) set_bias(net, s, positives);
    reports.push_back(s.report);
  }
  net.parameters_changed();
  return reports;
}

std::string to_string(const StartReport& r) {
  const std::string where = cat("layer ", r.layer, ": ");
  if (!r.skipped.empty()) return cat(where, r.keys, " without effect: ", r.skipped);
  std::string text;
  if (r.deviation_before > 0)
    text = fmt::format(
        "obj_init: the standard deviation of the objectness logits of the first batch is scaled "
        "from {:.3g} to {:.3g}",
        r.deviation_before, r.deviation);
  if (r.p > 0 && !text.empty()) text += "; ";
  if (r.prior.automatic)
    text += cat("obj_prior=auto: ", r.eta,
                " of the anchors are positive, objectness starts at p* = ", r.p);
  else if (r.p > 0)
    text += cat("objectness starts at p = ", r.p);
  return where + (text.empty() ? "obj_init: all objectness logits are equal already" : text);
}

std::vector<FirstStepShare> first_step_shares(const Network& net,
                                              std::span<const StartReport> starts,
                                              std::span<const HeadTelemetry> heads) {
  std::vector<FirstStepShare> shares;
  for (std::size_t h = 0; h < heads.size(); ++h)
    for (const StartReport& start : starts) {
      if (start.layer != net.heads()[h].layer || !start.skipped.empty() || !(start.p > 0)) continue;
      if (heads[h].positives == 0 || !(heads[h].gradient() > 0)) continue;
      const double share = heads[h].gradient_positive / heads[h].gradient();
      std::string text = fmt::format(
          "layer {}: positives make {:.2f} of the objectness gradient of the first step",
          start.layer, share);
      const bool balanced = share >= kBalanced;
      if (!balanced)
        text += start.deviation_before > 0
                    ? "; background outweighs them at first; a larger batch= has more of them"
                    : "; background outweighs them at first; obj_init=auto balances them";
      shares.push_back({text, balanced});
    }
  return shares;
}

std::vector<WeightReport> weigh_objectness(Network& net, const LabelledImages& labelled) {
  Positives positives(net, labelled);
  std::vector<WeightReport> reports;
  for (const HeadAt& at : net.heads()) {
    if (at.head->settings().guided && positives.share(*at.head) == 0)
      reports.push_back({net.layer(at.layer).title() +
                             ": obj_guided=1: no training label is positive in this head, so it "
                             "has no box loss, and its objectness learns nothing; remove "
                             "obj_guided from it, or give it other anchors",
                         true});
    const RealOrAuto& normalizer = at.head->settings().obj_normalizer;
    if (!normalizer.automatic) continue;
    const double eta = positives.share(*at.head);
    const double ratio = eta > 0 ? at.head->gradient_ratio(eta) : 1;
    if (!(ratio < kMaxRatio))
      fail(net.layer(at.layer).title(), ": obj_normalizer=auto: the loss ",
           at.head->settings().objectness_loss,
           " with these keys has no balance of objects and background (obj_alpha=0 or 1?); give "
           "obj_normalizer a number");
    at.head->set_objectness_factor(static_cast<float>(ratio));
    reports.push_back(
        {fmt::format("layer {}: obj_normalizer=auto: {:.3g}{}", at.layer, ratio * normalizer.value,
                     eta > 0 ? "" : "; no training label is positive in this head")});
  }
  return reports;
}

void log_reports(const std::vector<WeightReport>& reports) {
  for (const WeightReport& r : reports) r.warning ? log::warn(r.text) : log::info(r.text);
}

}  // namespace darknet
