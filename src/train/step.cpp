#include "train/step.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <exception>
#include <utility>

#include "core/device_guard.h"
#include "core/index.h"
#include "core/log.h"
#include "core/parts.h"
#include "core/sentence_of.h"
#include "core/text.h"
#include "kernels/objectness.h"
#include "kernels/update.h"
#include "nn/freezing.h"
#include "nn/running_values.h"
#include "nn/target_loss.h"

namespace darknet {
namespace {

bool is_finite(const std::vector<float>& values) {
  return std::ranges::all_of(values, [](float v) { return std::isfinite(v); });
}

// Looks at every layer's output as soon as it is made: the first that is not finite is the cause.
class NonFiniteFinder final : public LayerObserver {
 public:
  explicit NonFiniteFinder(Network& net) : net_(net) { net.observe(this); }
  NonFiniteFinder(const NonFiniteFinder&) = delete;
  NonFiniteFinder& operator=(const NonFiniteFinder&) = delete;
  ~NonFiniteFinder() override { net_.observe(nullptr); }
  void before(std::int64_t, bool) override {}
  void after(std::int64_t layer, bool backward) override {
    if (backward || !found_.empty()) return;
    if (!is_finite(to_host(net_.stream(), net_.output(layer)))) found_ = net_.layer(layer).title();
  }
  const std::string& found() const { return found_; }

 private:
  Network& net_;
  std::string found_;
};

std::string non_finite_gradient(Network& net) {
  for (std::int64_t i = 0; i < net.size(); ++i)
    for (const Parameter* p : net.layer(i).parameters()) {
      if (p->gradient && !is_finite(to_host(net.stream(), p->gradient)))
        return net.layer(i).title() + " (its gradients)";
    }
  return "no layer";
}

// The obj_norm of the heads that do not divide by images, which is one (nn/network.h).
ObjectnessNorm shared_norm(const Network& net) {
  for (const HeadAt& at : net.heads())
    if (const ObjectnessNorm norm = at.head->settings().objectness_norm;
        norm != ObjectnessNorm::images)
      return norm;
  return ObjectnessNorm::images;
}

// More devices would round the sums without a word (kernels/all_reduce.h).
void require_exact_sums(const Network& net, std::int64_t devices) {
  const std::vector<RunningAt> running = running_values(net);
  if (devices <= kMaxIntegerSummands || running.empty()) return;
  fail(net.layer(running.front().layer).title(), ": its losses keep sums over the training, which ",
       kMaxIntegerSummands, " devices at most can form together, and there are ", devices,
       "; start fewer processes, or choose losses that keep none");
}

std::int64_t images_of(const Network& net) { return net.input_shape().n; }

// What a device reports of a step: its state, then the sums of each head.
constexpr std::int64_t kSumsAt = part_bytes(sizeof(StepState));
std::int64_t report_bytes(const Network& net) {
  return kSumsAt + std::ssize(losses_of(net)) * std::int64_t{sizeof(HeadTelemetry)};
}

}  // namespace

// One device's share.
struct TrainingStep::DeviceState {
  // A report on its way to the host, and the moments between the phases of its step.
  struct Report {
    PinnedBuffer host;
    // Begin; upload, forward and backward of each micro-batch; end.
    std::vector<std::unique_ptr<Event>> timestamps;
    std::size_t passed = 0;

    const StepState& state() const { return *reinterpret_cast<const StepState*>(host.data()); }
    HeadTelemetry sums(std::size_t head) const {
      HeadTelemetry s;
      std::memcpy(&s, host.data() + kSumsAt + head * sizeof s, sizeof s);
      return s;
    }
    StepTimes times() const;
  };

  // `place`: among the devices of this rank.
  DeviceState(const Replica& r, std::size_t place, std::int64_t first, std::int64_t micro_batches);

  Network& net;
  Optimizer& optimizer;
  std::vector<LossAt> losses;
  std::size_t place;
  std::int64_t first_micro_batch;  // of the batch
  HostToDevice inputs;
  Buffer report;  // as on the device
  std::array<Report, kMaxInFlight> reports;
  Report* now = nullptr;

  StepState* state() const { return static_cast<StepState*>(report.data()); }
  HeadTelemetry* sums(std::size_t head) const {
    return part<HeadTelemetry>(report.data(), kSumsAt) + head;
  }
  void mark() const { now->timestamps[now->passed++]->record(net.stream()); }
  const Device& device() const { return net.options().device; }
};

StepTimes TrainingStep::DeviceState::Report::times() const {
  StepTimes t;
  double* const phases[] = {&t.upload, &t.forward, &t.backward};
  for (std::size_t k = 1; k < timestamps.size(); ++k) {
    double& phase = k + 1 == timestamps.size() ? t.update : *phases[(k - 1) % 3];
    phase += timestamps[k]->seconds_since(*timestamps[k - 1]);
  }
  return t;
}

TrainingStep::DeviceState::DeviceState(const Replica& r, std::size_t place, std::int64_t first,
                                       std::int64_t micro_batches)
    : net(*r.net),
      optimizer(*r.optimizer),
      losses(losses_of(net)),
      place(place),
      first_micro_batch(first),
      inputs(net),
      report(net.options().device, report_bytes(net)) {
  const Device& device = net.options().device;
  // The gap between its parts is fetched, too.
  memory(device.type).zero(net.stream(), report.data(), to_size(report.bytes()));
  for (Report& t : reports) {
    t.host = PinnedBuffer(device.type, report.bytes());
    for (std::int64_t k = 0; k < 3 * micro_batches + 2; ++k)
      t.timestamps.push_back(streams(device.type).event(device));
  }
}

TrainingStep::TrainingStep(Network& net, Optimizer& optimizer, std::uint64_t seed)
    : TrainingStep(std::vector<Replica>{{&net, &optimizer}}, seed) {}

TrainingStep::TrainingStep(const std::vector<Replica>& replicas, std::uint64_t seed,
                           const TrainingRanks& ranks)
    : ranks_(ranks), seed_(seed) {
  const Network& net = *replicas.front().net;
  const std::int64_t devices = std::ssize(replicas) * ranks.ranks->count();
  require_exact_sums(net, devices);
  micro_batches_ = net.settings().batch / (images_of(net) * devices);
  if (micro_batches_ * images_of(net) * devices != net.settings().batch)
    fail("a batch of ", net.settings().batch, " images for ", devices, " networks of ",
         images_of(net));
  norm_ = shared_norm(net);
  std::vector<StepState*> states;
  for (const Replica& r : replicas) {
    const std::int64_t place = ranks.ranks->rank() * std::ssize(replicas) + std::ssize(devices_);
    const std::int64_t first = place * micro_batches_;
    devices_.push_back(std::make_unique<DeviceState>(r, devices_.size(), first, micro_batches_));
    states.push_back(devices_.back()->state());
  }
  if (devices > 1)
    all_reduce_ = std::make_unique<AllReduce>(replicas, states, micro_batches_, ranks);
  set_loss_scale({.scale = replicas.front().optimizer->scales_loss() ? kFirstLossScale : 1});
}

// What was begun writes into reports that go with this.
TrainingStep::~TrainingStep() {
  for (const auto& device : devices_) try {
      const DeviceGuard guard(device->device());
      memory(device->net.options().device.type).synchronize(device->net.stream());
    } catch (const Error&) {  // nothing that waits can be waited for any more
    }
}

void TrainingStep::join_ranks() {
  if (all_reduce_) all_reduce_->join_ranks();
}

void TrainingStep::leave_ranks() {
  if (all_reduce_) all_reduce_->leave_ranks();
}

StepMemory TrainingStep::memory_use(std::size_t place) const {
  return {devices_[place]->inputs.bytes(), all_reduce_ ? all_reduce_->bytes(place) : 0};
}

void TrainingStep::set_loss_scale(const LossScale& scale) {
  StepState state;
  state.loss = scale;
  for (const auto& device : devices_) {
    const Stream& stream = device->net.stream();
    memory(stream.device.type).copy_in(stream, device->state(), &state, sizeof state);
  }
}

std::int64_t TrainingStep::images() const { return images_of(devices_.front()->net); }

std::int64_t TrainingStep::first_image() const {
  return devices_.front()->first_micro_batch * images();
}

std::int64_t TrainingStep::count() const {
  return std::ssize(devices_) * micro_batches_ * images();
}

Pass TrainingStep::pass(const DeviceState& device, std::int64_t micro_batch) const {
  return {.stream = device.net.stream(),
          .mode = Mode::training,
          .step = device.state(),
          .seed = seed_,
          .subdivision = device.first_micro_batch + micro_batch,
          .truths = device.inputs.targets() ? Truths{} : device.inputs.truths(),
          .targets = device.inputs.targets(),
          .input = device.inputs.input()};
}

// Returns how many truths there was no room for.
std::int64_t TrainingStep::run_micro_batch(DeviceState& device, const StepInput& input,
                                           StepParams params, std::int64_t micro_batch) {
  const DeviceGuard guard(device.device());
  const Stream& stream = device.net.stream();
  const std::int64_t of_batch = device.first_micro_batch + micro_batch;
  params.images_seen += (of_batch + 1) * images();
  const std::int64_t left_out =
      device.inputs.send(input, of_batch * images() - first_image(), params);
  (micro_batch == 0 ? begin_step : set_step_params)(stream, device.inputs.params(), device.state());
  device.mark();
  device.net.forward(pass(device, micro_batch));
  for (std::size_t h = 0; h < device.losses.size(); ++h)
    if (device.losses[h].head || device.inputs.targets())
      add_telemetry(
          stream,
          {device.losses[h].sums, device.sums(h), static_cast<std::int32_t>(of_batch),
           micro_batch == 0, device.net.settings().try_fix_nan, static_cast<double>(images())},
          device.state());
  device.mark();
  if (all_reduce_ && micro_batch == micro_batches_ - 1)
    all_reduce_->before_last_backward(device.place);
  device.net.backward(pass(device, micro_batch));
  device.mark();
  return left_out;
}

// The update, and what is reported of the step.
void TrainingStep::end(DeviceState& device, std::int64_t batch, bool average) {
  const DeviceGuard guard(device.device());
  device.net.update(pass(device, 0), average ? 1 : 0, [&] {
    device.optimizer.step(device.state(), batch, average);
    for (const LossAt& at : device.losses)
      if (at.head) at.head->end_step(device.net.stream(), device.state());
    device.net.parameters_changed();
  });
  memory(device.net.options().device.type)
      .fetch(device.net.stream(), device.now->host.data(), device.report.data(),
             to_size(device.report.bytes()));
  device.mark();
}

// Images over positives, or over their average with this step's.
float TrainingStep::objectness_scale(StepResult& result) {
  auto divisor = static_cast<double>(std::max<std::int64_t>(1, result.positives));
  if (norm_ == ObjectnessNorm::positives_ema) {
    positives_average_ =
        kPositivesMomentum * positives_average_ + (1 - kPositivesMomentum) * divisor;
    divisor = result.positives_average = positives_average_;
  }
  return static_cast<float>(devices_.front()->net.settings().batch) / static_cast<float>(divisor);
}

// Sets which layers this step leaves as they are; prints it where that changes.
void TrainingStep::freeze(std::int64_t iteration) {
  for (const auto& device : devices_) device->net.set_iteration(iteration);
  const Network& net = devices_.front()->net;
  if (std::exchange(frozen_of_, net.reshapes()) == net.reshapes()) return;
  if (std::exchange(frozen_, net.frozen_layers()) == frozen_) return;
  log::end_progress();
  log::info(cat("iteration ", iteration,
                frozen_.empty() ? ": no layer is frozen any more" : ": frozen are layers ",
                show_ranges(frozen_)));
}

void TrainingStep::begin(const StepInput& input, StepParams params, std::int64_t seen,
                         bool average) {
  if (in_flight() == kMaxInFlight) fail("at most ", kMaxInFlight, " steps in flight");
  freeze(params.iteration);
  const std::int64_t batch = devices_.front()->net.settings().batch;
  if (std::ssize(input.truths) != count())
    fail("a step over ", input.truths.size(), " images where batch=", batch,
         ranks_.ranks->several() ? cat(" and this rank takes ", count()) : "");
  const std::vector<LossAt>& losses = devices_.front()->losses;
  if (!input.targets.empty() && !losses.empty() && !losses.front().head) {
    const std::int64_t features =
        devices_.front()->net.output_shape(losses.front().layer).features();
    if (std::ssize(input.targets) != count() * features)
      fail(input.targets.size(), " targets for ", count(), " images of ", features, " outputs");
  }
  StepResult result{.input = devices_.front()->net.input_shape()};
  result.positives = count_positives(devices_.front()->net, input.truths);
  if (norm_ != ObjectnessNorm::images) ranks_.ranks->sum(std::span(&result.positives, 1));
  params.objectness_scale = objectness_scale(result);
  params.images_seen = seen;
  result.params = params;
  for (const auto& device : devices_) {
    device->now = &device->reports[next_report_];
    device->now->passed = 0;
    const DeviceGuard guard(device->device());
    for (const RunningAt& at : running_values(device->net))
      at.values->begin_step(device->net.stream());
    device->mark();
  }
  try {
    if (all_reduce_) all_reduce_->begin_step();
    for (std::int64_t micro_batch = 0; micro_batch < micro_batches_; ++micro_batch)
      for (const auto& device : devices_)
        result.truths_left_out += run_micro_batch(*device, input, params, micro_batch);
    if (all_reduce_) all_reduce_->run();
  } catch (const std::exception& e) {
    if (all_reduce_) all_reduce_->step_failed(sentence_of(e));
    throw;
  }
  for (const auto& device : devices_) end(*device, batch, average);
  in_flight_.push_back({std::move(result), next_report_});
  next_report_ = (next_report_ + 1) % kMaxInFlight;
}

// What the host knows of the step, in the order of the ranks. Their states are equal.
void TrainingStep::add_other_ranks(StepResult& result) const {
  struct Counts {
    std::int64_t non_finite_image, truths_left_out;
  };
  const Counts mine{result.non_finite_image, result.truths_left_out};
  const std::size_t sums = result.heads.size() * sizeof(HeadTelemetry), bytes = sizeof mine + sums;
  std::vector<std::byte> sent(bytes), all(bytes * to_size(ranks_.ranks->count()));
  std::memcpy(sent.data(), &mine, sizeof mine);
  std::memcpy(sent.data() + sizeof mine, result.heads.data(), sums);
  ranks_.ranks->all_gather(sent, all);
  result.heads.assign(result.heads.size(), {});
  result.non_finite_image = -1;
  result.truths_left_out = 0;
  for (std::size_t at = 0; at < all.size(); at += bytes) {
    Counts counts{};
    std::vector<HeadTelemetry> heads(result.heads.size());
    std::memcpy(&counts, all.data() + at, sizeof counts);
    std::memcpy(heads.data(), all.data() + at + sizeof counts, sums);
    for (std::size_t h = 0; h < heads.size(); ++h) result.heads[h] += heads[h];
    if (result.non_finite_image < 0) result.non_finite_image = counts.non_finite_image;
    result.truths_left_out += counts.truths_left_out;
  }
}

StepResult TrainingStep::finish() {
  const std::size_t report_of = in_flight_.front().report;
  StepResult result = std::move(in_flight_.front().result);
  in_flight_.pop_front();
  result.heads.resize(devices_.front()->losses.size());
  for (const auto& device : devices_) {
    const DeviceState::Report& report = device->reports[report_of];
    report.timestamps.back()->wait();
    for (std::size_t h = 0; h < result.heads.size(); ++h) result.heads[h] += report.sums(h);
    if (const std::int64_t micro_batch = report.state().non_finite_micro_batch;
        micro_batch >= 0 && result.non_finite_image < 0)
      result.non_finite_image = micro_batch * images();
  }
  const DeviceState::Report& first = devices_.front()->reports[report_of];
  result.finite = first.state().status != StepStatus::non_finite;
  result.overflow = first.state().status == StepStatus::overflow;
  result.loss_scale = first.state().loss;
  result.fixed = first.state().fixed;
  result.seconds = first.times();
  if (ranks_.ranks->several()) add_other_ranks(result);
  for (const HeadTelemetry& t : result.heads)
    result.loss += loss_per_image(t, static_cast<double>(devices_.front()->net.settings().batch));
  return result;
}

// Once more with the parameters of that step: what dropout leaves out depends on it.
std::string TrainingStep::first_non_finite(const StepInput& input, std::int64_t image,
                                           StepParams params) {
  const std::int64_t micro_batch = (image - first_image()) / images();
  DeviceState& device = *devices_[to_size(micro_batch / micro_batches_)];
  const DeviceGuard guard(device.device());
  params.images_seen += image + images();
  device.inputs.send(input, image - first_image(), params);
  set_step_params(device.net.stream(), device.inputs.params(), device.state());
  const NonFiniteFinder finder(device.net);
  device.net.forward(pass(device, micro_batch % micro_batches_));
  return finder.found();
}

std::string TrainingStep::non_finite_layer(const StepInput& input, const StepResult& result) {
  const std::int64_t image = result.non_finite_image;
  if (image < 0) return non_finite_gradient(devices_.front()->net);
  if (image < first_image() || image >= first_image() + count()) return "";
  const std::string layer = first_non_finite(input, image, result.params);
  return layer.empty() ? "the loss" : layer;
}

StepResult TrainingStep::run(const StepInput& input, const StepParams& params, std::int64_t seen,
                             bool average) {
  begin(input, params, seen, average);
  StepResult result = finish();
  if (!result.finite) result.error = non_finite_layer(input, result);
  return result;
}

std::string warning_of_fixed(const StepResult& result) {
  return cat("iteration ", result.params.iteration, ": ", plural(result.fixed, "value"),
             " of gradients and losses not finite: such gradients become 0, now and later on, and "
             "the step goes on (try_fix_nan=1). A lower learning_rate, a longer burn_in or clip= "
             "may help");
}

std::int64_t count_positives(const Network& net, std::span<const std::vector<Truth>> truths) {
  std::int64_t positives = 0;
  for (const HeadAt& at : net.heads())
    if (at.head->settings().objectness_norm != ObjectnessNorm::images)
      for (const auto& image : truths) positives += at.head->positives(image, net.input_shape());
  return positives;
}

}  // namespace darknet
