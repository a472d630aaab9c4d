#include "train/step.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <utility>

#include "core/device_guard.h"
#include "core/log.h"
#include "kernels/objectness.h"
#include "kernels/update.h"
#include "nn/freezing.h"
#include "nn/replay.h"

namespace darknet {
namespace {

bool is_finite(const std::vector<float>& values) {
  return std::ranges::all_of(values, [](float v) { return std::isfinite(v); });
}

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
    if (!is_finite(to_host(net_.stream(), net_.output(layer)))) found_ = net_.layer(layer).title();
  }
  const std::string& found() const { return found_; }

 private:
  Network& net_;
  std::string found_;
};

std::string faulty_gradient(Network& net) {
  for (std::int64_t i = 0; i < net.size(); ++i)
    for (const Parameter* p : net.layer(i).parameters()) {
      if (!p->gradient.empty() && !is_finite(p->gradient.to_host(net.stream())))
        return net.layer(i).title() + " (its gradients)";
    }
  return "no layer";
}

std::int64_t images_of(const Network& net) { return net.input_shape().n; }

// What a device tells of a step: its state, then the sums of each head.
std::int64_t report_bytes(const Network& net) {
  return static_cast<std::int64_t>(sizeof(StepState) + net.heads().size() * sizeof(HeadTelemetry));
}

}  // namespace

// One device's share.
struct TrainingStep::Side {
  // A report on its way to the host, and the moments between the phases of its step.
  struct Report {
    HostBuffer host;
    std::vector<std::unique_ptr<Event>> moments;  // begin; upload, forward, backward per part; end
    std::size_t passed = 0;

    const StepState& state() const { return *reinterpret_cast<const StepState*>(host.data()); }
    HeadTelemetry sums(std::size_t head) const {
      HeadTelemetry s;
      std::memcpy(&s, host.data() + sizeof(StepState) + head * sizeof s, sizeof s);
      return s;
    }
    StepTimes times() const;
  };

  Side(const Replica& r, std::int64_t first, std::int64_t parts);

  Network& net;
  Optimizer& optimizer;
  std::vector<HeadAt> heads;
  std::int64_t first_part;  // of the batch
  Uploads uploads;
  Buffer report;  // as on the device
  std::array<Report, kMaxInFlight> reports;
  Report* now = nullptr;
  GraphCache updates;           // with and without the average of the weights
  std::int64_t updates_of = 0;  // Network::reshapes() when they were recorded

  StepState* state() const { return static_cast<StepState*>(report.data()); }
  HeadTelemetry* sums(std::size_t head) const {
    return reinterpret_cast<HeadTelemetry*>(static_cast<char*>(report.data()) + sizeof(StepState)) +
           head;
  }
  void mark() { now->moments[now->passed++]->record(net.stream()); }
  const Device& device() const { return net.options().device; }
};

StepTimes TrainingStep::Side::Report::times() const {
  StepTimes t;
  double* const phases[] = {&t.upload, &t.forward, &t.backward};
  for (std::size_t k = 1; k < moments.size(); ++k) {
    double& phase = k + 1 == moments.size() ? t.update : *phases[(k - 1) % 3];
    phase += moments[k]->seconds_since(*moments[k - 1]);
  }
  return t;
}

TrainingStep::Side::Side(const Replica& r, std::int64_t first, std::int64_t parts)
    : net(*r.net),
      optimizer(*r.optimizer),
      heads(net.heads()),
      first_part(first),
      uploads(net),
      report(net.options().device, report_bytes(net)) {
  const Device& device = net.options().device;
  for (Report& t : reports) {
    t.host = HostBuffer(device.type, report.bytes());
    for (std::int64_t k = 0; k < 3 * parts + 2; ++k)
      t.moments.push_back(streams(device.type).event(device));
  }
}

TrainingStep::TrainingStep(Network& net, Optimizer& optimizer, std::uint64_t seed)
    : TrainingStep(std::vector<Replica>{{&net, &optimizer}}, seed) {}

TrainingStep::TrainingStep(const std::vector<Replica>& replicas, std::uint64_t seed) : seed_(seed) {
  const Network& net = *replicas.front().net;
  const auto devices = static_cast<std::int64_t>(replicas.size());
  parts_ = net.settings().batch / (images_of(net) * devices);
  if (parts_ * images_of(net) * devices != net.settings().batch)
    fail("a batch of ", net.settings().batch, " images for ", devices, " networks of ",
         images_of(net));
  std::vector<StepState*> states;
  for (const Replica& r : replicas) {
    const auto first = static_cast<std::int64_t>(sides_.size()) * parts_;
    sides_.push_back(std::make_unique<Side>(r, first, parts_));
    states.push_back(sides_.back()->state());
  }
  if (devices > 1)
    exchange_ = std::make_unique<Exchange>(replicas, states, parts_, net.options().deterministic);
  set_loss_scale({.scale = replicas.front().optimizer->scales_loss() ? kFirstLossScale : 1});
}

// What was begun writes into reports that go with this.
TrainingStep::~TrainingStep() {
  for (const auto& side : sides_) try {
      const DeviceGuard guard(side->device());
      memory(side->net.options().device.type).synchronize(side->net.stream());
    } catch (const Error&) {  // nothing that waits can be waited for any more
    }
}

void TrainingStep::set_loss_scale(const LossScale& scale) {
  StepState state;
  state.loss = scale;
  for (const auto& side : sides_) {
    const Stream& stream = side->net.stream();
    memory(stream.device.type).copy_in(stream, side->state(), &state, sizeof state);
  }
}

std::int64_t TrainingStep::images() const { return images_of(sides_.front()->net); }

Pass TrainingStep::pass(const Side& side, std::int64_t part) const {
  return {.stream = side.net.stream(),
          .mode = Mode::training,
          .step = side.state(),
          .seed = seed_,
          .subdivision = side.first_part + part,
          .truths = side.uploads.truths()};
}

// Returns how many truths there was no room for.
std::int64_t TrainingStep::run_part(Side& side, const StepInput& input, StepOrder order,
                                    std::int64_t part) {
  const DeviceGuard guard(side.device());
  const Stream& stream = side.net.stream();
  const std::int64_t of_batch = side.first_part + part;
  order.images_seen += (of_batch + 1) * images();
  const std::int64_t left_out = side.uploads.send(input, of_batch * images(), order);
  (part == 0 ? begin_step : tell_step)(stream, side.uploads.order(), side.state());
  side.mark();
  side.net.forward(pass(side, part));
  for (std::size_t h = 0; h < side.heads.size(); ++h)
    add_telemetry(
        stream,
        {side.heads[h].head->sums(), side.sums(h), static_cast<std::int32_t>(of_batch), part == 0},
        side.state());
  side.mark();
  side.net.backward(pass(side, part));
  side.mark();
  return left_out;
}

// The update, and what is told of the step.
void TrainingStep::end(Side& side, std::int64_t batch, bool average) {
  if (std::exchange(side.updates_of, side.net.reshapes()) != side.net.reshapes())
    side.updates.forget();
  const DeviceGuard guard(side.device());
  side.updates.run(side.net.stream(), pass(side, 0), average ? 1 : 0, [&] {
    side.optimizer.step(side.state(), batch, average);
    side.net.parameters_changed();
  });
  memory(side.net.options().device.type)
      .fetch(side.net.stream(), side.now->host.data(), side.report.data(),
             static_cast<std::size_t>(side.report.bytes()));
  side.mark();
}

// Sets which layers this step leaves as they are; prints it where that changes.
void TrainingStep::freeze(std::int64_t iteration) {
  for (const auto& side : sides_) side->net.set_iteration(iteration);
  const Network& net = sides_.front()->net;
  if (std::exchange(frozen_of_, net.reshapes()) == net.reshapes()) return;
  if (std::exchange(frozen_, net.frozen_layers()) == frozen_) return;
  log::end_progress();
  log::info(cat("iteration ", iteration,
                frozen_.empty() ? ": no layer is frozen any more" : ": frozen are layers ",
                show_ranges(frozen_)));
}

void TrainingStep::begin(const StepInput& input, StepOrder order, std::int64_t seen, bool average) {
  if (in_flight() == kMaxInFlight) fail("at most ", kMaxInFlight, " steps in flight");
  freeze(order.iteration);
  const std::int64_t batch = sides_.front()->net.settings().batch;
  if (static_cast<std::int64_t>(input.truths.size()) != batch)
    fail("a step over ", input.truths.size(), " images where batch=", batch);
  StepResult result{.input = sides_.front()->net.input_shape()};
  result.positives = count_positives(sides_.front()->net, input.truths);
  order.objectness_scale =
      static_cast<float>(batch) / static_cast<float>(std::max<std::int64_t>(1, result.positives));
  order.images_seen = seen;
  result.order = order;
  for (const auto& side : sides_) {
    side->now = &side->reports[next_report_];
    side->now->passed = 0;
    const DeviceGuard guard(side->device());
    side->mark();
  }
  if (exchange_) exchange_->keep_statistics();
  for (std::int64_t part = 0; part < parts_; ++part)
    for (const auto& side : sides_) result.truths_left_out += run_part(*side, input, order, part);
  if (exchange_) exchange_->run();
  for (const auto& side : sides_) end(*side, batch, average);
  in_flight_.push_back({std::move(result), next_report_});
  next_report_ = (next_report_ + 1) % kMaxInFlight;
}

StepResult TrainingStep::finish() {
  const std::size_t report_of = in_flight_.front().report;
  StepResult result = std::move(in_flight_.front().result);
  in_flight_.pop_front();
  result.heads.resize(sides_.front()->heads.size());
  for (const auto& side : sides_) {
    const Side::Report& report = side->reports[report_of];
    report.moments.back()->wait();
    for (std::size_t h = 0; h < result.heads.size(); ++h) result.heads[h] += report.sums(h);
    if (const std::int64_t part = report.state().fault_part; part >= 0 && result.faulty_image < 0)
      result.faulty_image = part * images();
  }
  const Side::Report& first = sides_.front()->reports[report_of];
  result.finite = first.state().verdict != Verdict::fault;
  result.overflow = first.state().verdict == Verdict::overflow;
  result.loss_scale = first.state().loss;
  result.seconds = first.times();
  for (const HeadTelemetry& t : result.heads)
    result.loss += t.loss() / static_cast<double>(sides_.front()->net.settings().batch);
  return result;
}

// Once more with the order of that step: what dropout leaves out depends on it.
std::string TrainingStep::first_fault(const StepInput& input, std::int64_t image, StepOrder order) {
  const std::int64_t part = image / images();
  Side& side = *sides_[static_cast<std::size_t>(part / parts_)];
  const DeviceGuard guard(side.device());
  order.images_seen += image + images();
  side.uploads.send(input, image, order);
  tell_step(side.net.stream(), side.uploads.order(), side.state());
  const FaultFinder finder(side.net);
  side.net.forward(pass(side, part % parts_));
  return finder.found();
}

std::string TrainingStep::fault_of(const StepInput& input, const StepResult& result) {
  if (result.faulty_image < 0) return faulty_gradient(sides_.front()->net);
  const std::string layer = first_fault(input, result.faulty_image, result.order);
  return layer.empty() ? "a detection head's loss" : layer;
}

StepResult TrainingStep::run(const StepInput& input, const StepOrder& order, std::int64_t seen,
                             bool average) {
  begin(input, order, seen, average);
  StepResult result = finish();
  if (!result.finite) result.fault = fault_of(input, result);
  return result;
}

std::int64_t count_positives(const Network& net, std::span<const std::vector<Truth>> truths) {
  std::int64_t positives = 0;
  for (const HeadAt& at : net.heads())
    if (at.head->settings().normalise_by_positives)
      for (const auto& image : truths) positives += at.head->positives(image, net.input_shape());
  return positives;
}

}  // namespace darknet
