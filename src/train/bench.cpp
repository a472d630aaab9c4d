#include "train/bench.h"

#include <algorithm>
#include <chrono>
#include <fstream>

#include "train/bench_reference.h"
#include "train/bench_workload.h"

namespace darknet {
namespace {

constexpr int kWarmUp = 2;                // iterations before any is counted
constexpr std::int64_t kPeakSize = 2048;  // rows and columns of the matrix product
constexpr int kPeakRuns = 8;

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point t) {
  return std::chrono::duration<double>(Clock::now() - t).count();
}

double median(std::vector<double> v) { return spread_of(std::move(v)).median; }

// Linux tells the largest resident size so far; elsewhere 0.
std::int64_t peak_memory() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;)
    if (std::int64_t kib = 0; word == "VmHWM:" && status >> kib) return kib << 10;
  return 0;
}

// The best of several: what the machine can do, not what it did beside others.
double measure_peak(const Stream& stream) {
  const Shape shape{1, 1, kPeakSize, kPeakSize};
  Tensor a(stream.device, shape), b(stream.device, shape), c(stream.device, shape);
  const std::vector<float> ones(static_cast<std::size_t>(a.size()), 1.f);
  a.copy_from(stream, ones), b.copy_from(stream, ones);
  const auto gemm = ops(stream.device.type).gemm({kPeakSize, kPeakSize, kPeakSize});
  const Buffer workspace(stream.device, std::max<std::int64_t>(1, gemm->workspace()));
  double best = 1e30;
  for (int i = 0; i < kPeakRuns; ++i) {
    const auto before = Clock::now();
    gemm->run(stream, a.data(), b.data(), c.data(), workspace.data());
    memory(stream.device.type).synchronize(stream);
    best = std::min(best, seconds_since(before));
  }
  return 2. * kPeakSize * kPeakSize * kPeakSize / best;
}

// Adds up what each layer took in one iteration.
class LayerClock final : public LayerObserver {
 public:
  explicit LayerClock(const Network& net)
      : stream_(net.stream()),
        forward_(static_cast<std::size_t>(net.size())),
        backward_(static_cast<std::size_t>(net.size())) {}
  void before(std::int64_t, bool) override {
    wait();
    since_ = Clock::now();
  }
  void after(std::int64_t layer, bool backward) override {
    wait();
    (backward ? backward_ : forward_)[static_cast<std::size_t>(layer)] += seconds_since(since_);
  }
  const std::vector<double>& forward() const { return forward_; }
  const std::vector<double>& backward() const { return backward_; }

 private:
  void wait() const { memory(stream_.device.type).synchronize(stream_); }
  const Stream& stream_;
  std::vector<double> forward_, backward_;  // seconds, by layer
  Clock::time_point since_;
};

// Every sample of one layer.
struct LayerSamples {
  std::vector<double> forward, backward, bare_forward, bare_backward;
};

class Bench {
 public:
  explicit Bench(const BenchOptions& o) : options_(o), work_(make_workload(o)) {}
  BenchReport run();

 private:
  Network& net() { return work_->network(); }
  std::int64_t parts() { return work_->images() / net().input_shape().n; }
  void warm_up();
  void make_reference();
  void round();
  void observed();
  void bare();
  LayerBench layer_report(std::int64_t i);
  StepTimes median_parts() const;

  BenchOptions options_;
  std::unique_ptr<Workload> work_;
  std::unique_ptr<BareNetwork> planned_, direct_;
  std::vector<LayerSamples> layers_;
  std::vector<IterationTimes> iterations_;
  std::vector<double> planned_seconds_, direct_seconds_;
};

void Bench::warm_up() {
  for (int i = 0; i < kWarmUp; ++i) work_->run();
  layers_.resize(static_cast<std::size_t>(net().size()));
}

void Bench::make_reference() {
  planned_ = std::make_unique<BareNetwork>(net(), true);
  direct_ = std::make_unique<BareNetwork>(net(), false);
  if (planned_->convolutions() == 0) fail("-reference: the network has no [convolutional]");
  for (int i = 0; i < kWarmUp; ++i) planned_->run(1), direct_->run(1);
}

void Bench::observed() {
  LayerClock clock(net());
  net().observe(&clock);
  work_->run();
  net().observe(nullptr);
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    layers_[i].forward.push_back(clock.forward()[i]);
    layers_[i].backward.push_back(clock.backward()[i]);
  }
}

void Bench::bare() {
  auto before = Clock::now();
  const auto times = planned_->run(parts());
  planned_seconds_.push_back(seconds_since(before));
  for (const auto& t : times) {
    layers_[static_cast<std::size_t>(t.layer)].bare_forward.push_back(t.forward);
    layers_[static_cast<std::size_t>(t.layer)].bare_backward.push_back(t.backward);
  }
  before = Clock::now();
  direct_->run(parts());
  direct_seconds_.push_back(seconds_since(before));
}

// In turns, so that whatever else the machine does falls on all alike.
void Bench::round() {
  iterations_.push_back(work_->run());
  if (planned_) bare();
  observed();
}

LayerBench Bench::layer_report(std::int64_t i) {
  const Layer& layer = net().layer(i);
  const LayerSamples& s = layers_[static_cast<std::size_t>(i)];
  const LayerSummary summary = layer.summary();
  LayerBench b{.type = layer.type(), .size = summary.size, .output = net().output_shape(i)};
  b.forward = median(s.forward), b.backward = median(s.backward);
  b.bare_forward = median(s.bare_forward), b.bare_backward = median(s.bare_backward);
  b.forward_flops = 2. * static_cast<double>(summary.multiply_adds * parts());
  const auto work = layer.convolution();
  const int directions = work ? work->options.input_gradient + work->options.weight_gradient : 2;
  if (b.backward > 0) b.backward_flops = directions * b.forward_flops;
  return b;
}

StepTimes Bench::median_parts() const {
  const auto of = [this](double StepTimes::*part) {
    std::vector<double> v;
    for (const IterationTimes& t : iterations_) v.push_back(t.parts.*part);
    return median(v);
  };
  return {of(&StepTimes::upload), of(&StepTimes::forward), of(&StepTimes::backward),
          of(&StepTimes::update)};
}

BenchReport Bench::run() {
  warm_up();
  const Device& device = net().options().device;
  BenchReport report{.library = ops(device.type).name(device),
                     .input = net().input_shape(),
                     .images = work_->images(),
                     .memory = net().memory()};
  report.peak_memory = peak_memory();  // before the reference takes its own
  if (options_.reference) make_reference();
  for (std::int64_t i = 0; i < options_.iterations; ++i) round();
  if (!options_.reference) report.peak_memory = peak_memory();
  report.peak_flops = measure_peak(net().stream());
  std::vector<double> totals, loads;
  for (const IterationTimes& t : iterations_) totals.push_back(t.total), loads.push_back(t.load);
  report.total = spread_of(totals), report.load = median(loads), report.parts = median_parts();
  for (std::int64_t i = 0; i < net().size(); ++i) report.layers.push_back(layer_report(i));
  if (planned_)
    report.reference = {spread_of(planned_seconds_), spread_of(direct_seconds_),
                        planned_->convolutions(),
                        std::count_if(report.layers.begin(), report.layers.end(),
                                      [](const LayerBench& b) { return b.type == "connected"; })};
  return report;
}

}  // namespace

Spread spread_of(std::vector<double> seconds) {
  if (seconds.empty()) return {};
  std::sort(seconds.begin(), seconds.end());
  const std::size_t half = seconds.size() / 2;
  const double middle =
      seconds.size() % 2 == 1 ? seconds[half] : (seconds[half - 1] + seconds[half]) / 2;
  return {middle, seconds.front(), seconds.back()};
}

BenchReport bench(const BenchOptions& options) { return Bench(options).run(); }

}  // namespace darknet
