#include "train/step.h"

#include <algorithm>
#include <chrono>
#include <cmath>

namespace darknet {
namespace {

// Looks at every layer's output as soon as it is made: the first that is not finite is at fault.
class FaultFinder final : public LayerObserver {
 public:
  explicit FaultFinder(Network& net) : net_(net) { net.observe(this); }
  FaultFinder(const FaultFinder&) = delete;
  FaultFinder& operator=(const FaultFinder&) = delete;
  ~FaultFinder() override { net_.observe(nullptr); }
  void before(std::int64_t, bool) override {}
  void after(std::int64_t layer, bool backward) override {
    if (backward || !found_.empty()) return;
    const auto host = to_host(net_.stream(), net_.output(layer));
    if (!std::all_of(host.begin(), host.end(), [](float v) { return std::isfinite(v); }))
      found_ = net_.layer(layer).title();
  }
  const std::string& found() const { return found_; }

 private:
  Network& net_;
  std::string found_;
};

// Adds the seconds since it was last asked.
class Lap {
 public:
  void add_to(double& seconds) {
    const auto now = std::chrono::steady_clock::now();
    seconds += std::chrono::duration<double>(now - last_).count();
    last_ = now;
  }

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

}  // namespace

std::int64_t count_positives(const Network& net, std::span<const std::vector<Truth>> truths) {
  std::int64_t positives = 0;
  for (const HeadAt& at : net.heads())
    if (at.head->settings().normalise_by_positives)
      for (const auto& image : truths) positives += at.head->positives(image, net.input_shape());
  return positives;
}

TrainingStep::TrainingStep(Network& net, Optimizer& optimizer, std::uint64_t seed)
    : net_(net), optimizer_(optimizer), heads_(net.heads()), seed_(seed) {
  for (const HeadAt& at : heads_) capacity_ = std::max(capacity_, at.head->settings().max_truths);
  const Device& device = net.options().device;
  const std::int64_t images = net.input_shape().n;
  truths_ = Buffer(device, images * capacity_ * std::int64_t{sizeof(Truth)});
  counts_ = Buffer(device, images * std::int64_t{sizeof(std::int32_t)});
  state_ = Buffer(device, sizeof(StepState));
}

void TrainingStep::place_parts(const StepInput& input, std::int64_t image, const TensorView& to) {
  const Stream& stream = net_.stream();
  const auto& parts = input.parts[static_cast<std::size_t>(image)];
  std::size_t needed = 0;
  for (const PlacedPart& p : parts) needed += p.picture->image.pixels.size();
  if (static_cast<std::int64_t>(needed) > bytes_.bytes())
    bytes_ = Buffer(stream.device, static_cast<std::int64_t>(needed));
  auto* at = static_cast<std::uint8_t*>(bytes_.data());
  for (const PlacedPart& p : parts) {
    const auto& pixels = p.picture->image.pixels;
    memory(stream.device.type).copy_in(stream, at, pixels.data(), pixels.size());
    place_on_device(stream, at, *p.picture, p.placement, input.grey_outside, to.as<>());
    at += pixels.size();
  }
}

void TrainingStep::upload_pixels(const StepInput& input, std::int64_t part) {
  const TensorView to = net_.input();
  const auto floats = static_cast<std::size_t>(to.shape.features());
  for (std::int64_t i = 0; i < to.shape.n; ++i) {
    const std::int64_t image = part * to.shape.n + i;
    const TensorView into = to.images(i, 1);
    if (!input.parts.empty() && !input.parts[static_cast<std::size_t>(image)].empty())
      place_parts(input, image, into);
    else
      memory(net_.stream().device.type)
          .copy_in(net_.stream(), into.data,
                   input.pixels.data() + static_cast<std::size_t>(image) * floats,
                   floats * sizeof(float));
  }
}

std::int64_t TrainingStep::upload(const StepInput& input, std::int64_t part) {
  const Stream& stream = net_.stream();
  Memory& device = memory(stream.device.type);
  const std::int64_t images = net_.input_shape().n;
  upload_pixels(input, part);
  std::vector<Truth> truths(static_cast<std::size_t>(images * capacity_));
  std::vector<std::int32_t> counts(static_cast<std::size_t>(images));
  std::int64_t left_out = 0;
  for (std::int64_t i = 0; i < images; ++i) {
    const auto& of_image = input.truths[static_cast<std::size_t>(part * images + i)];
    const auto n = std::min<std::int64_t>(capacity_, static_cast<std::int64_t>(of_image.size()));
    std::copy_n(of_image.begin(), n, truths.begin() + i * capacity_);
    counts[static_cast<std::size_t>(i)] = static_cast<std::int32_t>(n);
    left_out += static_cast<std::int64_t>(of_image.size()) - n;
  }
  device.copy_in(stream, truths_.data(), truths.data(), truths.size() * sizeof(Truth));
  device.copy_in(stream, counts_.data(), counts.data(), counts.size() * sizeof(std::int32_t));
  return left_out;
}

std::string TrainingStep::first_fault(const Pass& pass) {
  const FaultFinder finder(net_);
  net_.forward(pass);
  return finder.found();
}

std::string TrainingStep::faulty_gradient() const {
  for (std::int64_t i = 0; i < net_.size(); ++i)
    for (const Parameter* p : net_.layer(i).parameters()) {
      if (p->gradient.empty()) continue;
      const auto host = p->gradient.to_host(net_.stream());
      if (!std::all_of(host.begin(), host.end(), [](float v) { return std::isfinite(v); }))
        return net_.layer(i).title() + " (its gradients)";
    }
  return "no layer";
}

// Forward, and what the heads tell of it.
void TrainingStep::run_part(const Pass& pass, StepResult& result) {
  net_.forward(pass);
  for (std::size_t h = 0; h < heads_.size(); ++h) {
    const HeadTelemetry t = heads_[h].head->telemetry(net_.stream());
    result.finite = result.finite && t.finite;
    result.heads[h] += t;
  }
  if (result.finite) return;
  result.fault = first_fault(pass);
  if (result.fault.empty()) result.fault = "a detection head's loss";
}

StepResult TrainingStep::run(const StepInput& input, StepState state, std::int64_t seen,
                             bool average) {
  const auto batch = static_cast<std::int64_t>(input.truths.size());
  const std::int64_t images = net_.input_shape().n;
  StepResult result{.heads = std::vector<HeadTelemetry>(heads_.size())};
  result.positives = count_positives(net_, input.truths);
  state.objectness_scale =
      static_cast<float>(batch) / static_cast<float>(std::max<std::int64_t>(1, result.positives));
  const Pass pass{.stream = net_.stream(),
                  .mode = Mode::training,
                  .step = static_cast<const StepState*>(state_.data()),
                  .seed = seed_,
                  .truths = {static_cast<const Truth*>(truths_.data()),
                             static_cast<const std::int32_t*>(counts_.data()), images, capacity_}};
  Lap lap;
  for (std::int64_t part = 0; part < batch / images; ++part) {
    state.images_seen = seen + (part + 1) * images;
    memory(net_.stream().device.type).copy_in(net_.stream(), state_.data(), &state, sizeof state);
    result.truths_left_out += upload(input, part);
    lap.add_to(result.seconds.upload);
    Pass now = pass;
    now.subdivision = part;
    run_part(now, result);
    lap.add_to(result.seconds.forward);
    if (!result.finite) {
      result.faulty_image = part * images;
      return result;
    }
    net_.backward(now);
    lap.add_to(result.seconds.backward);
  }
  for (const HeadTelemetry& t : result.heads) result.loss += t.loss() / static_cast<double>(batch);
  result.finite = optimizer_.step(state, batch, average);
  if (!result.finite) {
    result.fault = faulty_gradient();
    return result;
  }
  net_.parameters_changed();
  lap.add_to(result.seconds.update);
  return result;
}

}  // namespace darknet
