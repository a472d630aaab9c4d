#include "train/device_check.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/index.h"
#include "nn/weights.h"
#include "train/random_batch.h"
#include "train/step.h"

namespace darknet {
namespace {

struct Tolerances {  // of relative differences
  double inference, training, gradient, array;
};
constexpr double kAny = std::numeric_limits<double>::infinity();

constexpr std::int64_t kImages = 2;
// Of sums of up to 10^4 products that were added in other orders, which batch normalisation over
// two images magnifies in training; TF32 keeps 10 bits of a factor.
constexpr Tolerances kF32{1e-5, 1e-4, 2e-2, 1e-1}, kTf32{1e-2, 5e-2, 3e-1, kAny};
// Of two computations in 16 bits, or of one and f32: about twice what the deepest network at hand
// shows with its published weights (docs/cuda.md), but less than the 1 of a gradient that is lost.
constexpr Tolerances kBf16{2e-1, 4e-1, 9e-1, kAny}, kF16{3e-2, 8e-2, 5e-1, kAny};

constexpr double kLeastGradient = .1;  // of the root mean square of a layer's gradients

double root_mean_square(const std::vector<ParameterGradient>& gradients) {
  double squares = 0, count = 0;
  for (const ParameterGradient& g : gradients)
    for (const float x : g.values) squares += double{x} * x, ++count;
  return count > 0 ? std::sqrt(squares / count) : 0;
}

std::vector<float> all_of(const std::vector<ParameterGradient>& gradients) {
  std::vector<float> all;
  for (const ParameterGradient& g : gradients)
    all.insert(all.end(), g.values.begin(), g.values.end());
  return all;
}

struct LayerValues {
  std::vector<float> output;
  std::vector<ParameterGradient> gradients;
};

struct Stopped {};

// Takes what each layer made as soon as it is there; throws Stopped where `stop` says so.
class Collector final : public LayerObserver {
 public:
  Collector(Network& net, const std::function<bool()>& stop)
      : net_(net), stop_(stop), values_(to_size(net.size())) {
    net.observe(this);
  }
  Collector(const Collector&) = delete;
  Collector& operator=(const Collector&) = delete;
  ~Collector() override { net_.observe(nullptr); }
  void before(std::int64_t, bool) override {}
  void after(std::int64_t layer, bool backward) override {
    if (stop_ && stop_()) throw Stopped();
    LayerValues& v = values_[to_size(layer)];
    if (!backward) {
      v = {.output = to_host(net_.stream(), net_.output(layer))};  // of the last pass alone
      return;
    }
    for (const Parameter* p : net_.layer(layer).parameters())
      if (p->gradient) v.gradients.push_back({p->role, to_host(net_.stream(), p->gradient)});
  }
  std::vector<LayerValues> take() { return std::move(values_); }

 private:
  Network& net_;
  const std::function<bool()>& stop_;
  std::vector<LayerValues> values_;
};

void put_weights(Network& net, const DeviceCheckOptions& o) {
  if (o.weights.empty())
    net.initialise();
  else
    load_weights(o.weights, net);
  net.parameters_changed();
}

NetworkOptions network_options(const CheckedDevice& d, const DeviceCheckOptions& o, Mode mode) {
  return {.device = d.device,
          .mode = mode,
          .exact = o.exact,
          .deterministic = o.deterministic,
          .reference = d.reference,
          .seed = o.seed,
          .tuning = d.reference ? Tuning() : tuning_for(o.tuning, d.device)};
}

std::vector<Section> in_precision(std::vector<Section> cfg, const CheckedDevice& d) {
  if (d.precision)
    cfg.front().set("precision", std::string(name_of(*d.precision)), {"darknet check", 0});
  return cfg;
}

std::vector<LayerValues> infer(const std::vector<Section>& cfg, const CheckedDevice& d,
                               const DeviceCheckOptions& o) {
  Network net(in_precision(cfg, d), network_options(d, o, Mode::inference));
  put_weights(net, o);
  const std::vector<float> pixels = random_pixels(net.input_shape().size(), o.seed);
  memory(d.device.type)
      .copy_in(net.stream(), net.input().data, pixels.data(), pixels.size() * sizeof(float));
  Collector collector(net, o.stop);
  net.forward({.stream = net.stream()});
  return collector.take();
}

std::vector<LayerValues> train_once(std::vector<Section> cfg, const CheckedDevice& d,
                                    const DeviceCheckOptions& o) {
  cfg.front().set("batch", std::to_string(kImages), {"darknet check", 0});
  cfg.front().set("subdivisions", "1", {"darknet check", 0});
  Network net(in_precision(std::move(cfg), d), network_options(d, o, Mode::training));
  if (net.heads().empty()) return std::vector<LayerValues>(to_size(net.size()));
  put_weights(net, o);
  Optimizer optimizer(net, net.settings());
  TrainingStep step(net, optimizer, o.seed);
  std::int64_t classes = net.heads().front().head->settings().classes;
  for (const HeadAt& at : net.heads()) classes = std::min(classes, at.head->settings().classes);
  const auto pixels = random_pixels(net.input_shape().size(), o.seed + 1);
  const auto truths = random_truths(kImages, classes, o.seed);
  Collector collector(net, o.stop);
  StepResult r;
  do r = step.run({pixels, truths}, {.iteration = 1, .learning_rate = 0}, 0, false);
  while (r.overflow);  // at half the scale then
  if (!r.finite) fail("on ", to_string(d), ": ", r.error, " is not finite");
  std::vector<LayerValues> values = collector.take();
  for (LayerValues& v : values)
    for (ParameterGradient& of : v.gradients)
      for (float& g : of.values) g /= r.loss_scale.scale;
  return values;
}

Tolerances tolerances(const std::vector<Section>& cfg, const DeviceCheckOptions& o) {
  const DType types[] = {precision_of(o.first, cfg), precision_of(o.second, cfg)};
  for (const DType t : types)
    if (t == DType::bf16) return kBf16;
  for (const DType t : types)
    if (t == DType::f16) return kF16;
  const auto on_tensor_cores = [&](const CheckedDevice& d) {
    return !o.exact && d.device.type == DeviceType::cuda;
  };
  return on_tensor_cores(o.first) || on_tensor_cores(o.second) ? kTf32 : kF32;
}

}  // namespace

Difference difference(const std::vector<float>& a, const std::vector<float>& b, double shortest) {
  if (a.empty() && b.empty()) return {};
  if (a.size() != b.size()) fail("the devices made ", a.size(), " and ", b.size(), " numbers");
  Difference d{.compared = true};
  double size = 0, apart = 0, length = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (!std::isfinite(a[i]) || !std::isfinite(b[i])) return {NAN, NAN, NAN, true};
    apart += std::pow(double{a[i]} - b[i], 2), length += std::pow(double{b[i]}, 2);
    d.absolute = std::max(d.absolute, std::fabs(double{a[i]} - b[i]));
    size = std::max({size, std::fabs(double{a[i]}), std::fabs(double{b[i]})});
  }
  d.relative = d.absolute == 0 ? 0 : d.absolute / size;
  d.overall = apart == 0 ? 0 : std::sqrt(apart) / std::max(std::sqrt(length), shortest);
  return d;
}

std::vector<GradientDifference> differences(const std::vector<ParameterGradient>& a,
                                            const std::vector<ParameterGradient>& b) {
  if (a.size() != b.size()) fail("the devices made ", a.size(), " and ", b.size(), " gradients");
  const double least = kLeastGradient * root_mean_square(b);
  std::vector<GradientDifference> all;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double shortest = least * std::sqrt(static_cast<double>(b[i].values.size()));
    all.push_back({a[i].role, difference(a[i].values, b[i].values, shortest)});
  }
  return all;
}

const GradientDifference* LayerCheck::worst_gradient() const {
  const auto rank = [](const GradientDifference& g) {  // a number that is not finite is the worst
    const double overall = g.difference.overall;
    return std::isnan(overall) ? std::numeric_limits<double>::infinity() : overall;
  };
  const auto worst = std::ranges::max_element(gradients, {}, rank);
  return worst == gradients.end() ? nullptr : &*worst;
}

CheckedDevice checked_device(const std::string& name) {
  if (name == "reference") return {.reference = true};
  Device device;
  try {
    device = device_of(name);
  } catch (const Error& e) {
    throw Error(cat(e.what(), ", or reference"), 2);
  }
  const int count = device_count(device.type);
  if (device.index >= count)
    fail("device ", name, ": ",
         count == 0 ? why_no_cuda() : cat("this machine has ", count, ", counted from 0"));
  return {.device = device};
}

std::string to_string(const CheckedDevice& d) {
  return d.reference ? std::string("reference") : to_string(d.device);
}

DType precision_of(const CheckedDevice& d, const std::vector<Section>& cfg) {
  Section net = cfg.front();
  net.set_training(false);
  return d.precision ? *d.precision : read_net(net).precision;
}

bool DeviceCheck::passes(const LayerCheck& l) const {
  const auto within = [](const Difference& d, double tolerance) {
    return !d.compared || d.relative <= tolerance;
  };
  const bool layer = !l.gradient.compared || l.gradient.overall <= gradient_tolerance;
  const bool arrays = std::ranges::all_of(l.gradients, [&](const GradientDifference& g) {
    return g.difference.overall <= array_tolerance;
  });
  return within(l.inference, inference_tolerance) && within(l.training, training_tolerance) &&
         layer && arrays;
}

bool DeviceCheck::passes() const {
  return !stopped &&
         std::all_of(layers.begin(), layers.end(), [&](const auto& l) { return passes(l); });
}

DeviceCheck check_devices(const std::vector<Section>& cfg, const DeviceCheckOptions& o) try {
  const Tolerances t = tolerances(cfg, o);
  DeviceCheck check{.inference_tolerance = t.inference,
                    .training_tolerance = t.training,
                    .gradient_tolerance = t.gradient,
                    .array_tolerance = t.array};
  const auto inference = std::pair{infer(cfg, o.first, o), infer(cfg, o.second, o)};
  const auto training = std::pair{train_once(cfg, o.first, o), train_once(cfg, o.second, o)};
  for (std::size_t i = 0; i < inference.first.size(); ++i)
    check.layers.push_back(
        {.layer = static_cast<std::int64_t>(i),
         .type = cfg[i + 1].type(),
         .inference = difference(inference.first[i].output, inference.second[i].output),
         .training = difference(training.first[i].output, training.second[i].output),
         .gradient =
             difference(all_of(training.first[i].gradients), all_of(training.second[i].gradients)),
         .gradients = differences(training.first[i].gradients, training.second[i].gradients)});
  return check;
} catch (const Stopped&) {
  return {.stopped = true};
}

}  // namespace darknet
