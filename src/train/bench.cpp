#include "train/bench.h"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <functional>
#include <memory>

#include "core/index.h"
#include "core/log.h"
#include "core/threads.h"
#include "train/bench_reference.h"
#include "train/bench_workload.h"
#include "train/stopwatch.h"

namespace darknet {
namespace {

// Iterations before any is counted: one eager, one captured as a graph, one replayed.
constexpr int kWarmUp = 3;
// Rows of the matrix product: as many as make it take kPeakSeconds at least, but not so many that a
// slow device needs more than kMaxPeakSeconds for one.
constexpr std::int64_t kFirstPeak = 512, kMinPeak = 2048, kMaxPeak = 16384;
constexpr double kPeakSeconds = 2e-3, kMaxPeakSeconds = 1;
constexpr int kPeakRuns = 8;
constexpr double kHeadStart = .03;  // seconds of other work before layers are timed on a device

using Clock = std::chrono::steady_clock;

double median(std::vector<double> v) { return spread_of(std::move(v)).median; }

// Linux reports the largest resident size so far; elsewhere 0.
std::int64_t peak_memory() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;)
    if (std::int64_t kib = 0; word == "VmHWM:" && status >> kib) return kib << 10;
  return 0;
}

std::unique_ptr<Event> event_on(const Stream& s) { return streams(s.device.type).event(s.device); }

// A matrix product that is large enough for the device.
class MatrixProduct {
 public:
  // `stop`: as of BenchOptions.
  MatrixProduct(const Stream& stream, bool exact, const std::function<bool()>& stop);
  void run() { gemm_->run(stream_, a_.data(), b_.data(), c_.data(), workspace_.data()); }
  double seconds() const { return seconds_; }
  std::int64_t size() const { return size_; }
  double flops() const {
    const auto n = static_cast<double>(size_);
    return 2 * n * n * n / seconds_;
  }

 private:
  void make(bool exact);
  double measure(const std::function<bool()>& stop);

  const Stream& stream_;
  std::int64_t size_ = kFirstPeak;
  Tensor a_, b_, c_;
  std::shared_ptr<GemmPlan> gemm_;
  Buffer workspace_;
  double seconds_ = 0;
};

MatrixProduct::MatrixProduct(const Stream& stream, bool exact, const std::function<bool()>& stop)
    : stream_(stream) {
  for (;; size_ *= 2) {
    make(exact);
    const double waited = measure(stop);
    if (seconds_ >= kPeakSeconds && size_ >= kMinPeak) return;
    if (8 * waited > kMaxPeakSeconds || size_ >= kMaxPeak || (stop && stop())) return;
  }
}

void MatrixProduct::make(bool exact) {
  const Shape shape{1, 1, size_, size_};
  a_ = Tensor(stream_.device, shape), b_ = Tensor(stream_.device, shape);
  c_ = Tensor(stream_.device, shape);
  const std::vector<float> ones(to_size(a_.size()), 1.f);
  a_.copy_from(stream_, ones), b_.copy_from(stream_, ones);
  gemm_ = ops(stream_.device.type).gemm({.m = size_, .n = size_, .k = size_, .exact = exact});
  workspace_ = Buffer(stream_.device, std::max<std::int64_t>(1, gemm_->workspace()));
}

// The best of several: what the machine can do, not what it did next to others. How long the host
// waited for one is the result.
double MatrixProduct::measure(const std::function<bool()>& stop) {
  const auto begin = event_on(stream_), end = event_on(stream_);
  double waited = 1e30;
  seconds_ = 1e30;
  for (int i = 0; i < kPeakRuns && !(i > 0 && stop && stop()); ++i) {
    const auto asked = Clock::now();
    begin->record(stream_);
    run();
    end->record(stream_);
    end->wait();
    waited = std::min(waited, seconds_since(asked));
    seconds_ = std::min(seconds_, end->seconds_since(*begin));
  }
  return waited;
}

std::string arithmetic_of(const BenchOptions& o) {
  const bool plain = o.device.type == DeviceType::cpu || o.exact;
  return plain ? "f32" : "f32, through TF32 where the card has it";
}

// When each layer's work begins and ends, by events: the host waits for none of them.
class LayerClock final : public LayerObserver {
 public:
  explicit LayerClock(const Network& net) : net_(net) {}
  void start() { used_ = 0; }
  void before(std::int64_t layer, bool backward) override {
    if (used_ == spans_.size())
      spans_.push_back({0, false, event_on(net_.stream()), event_on(net_.stream())});
    spans_[used_].layer = layer, spans_[used_].backward = backward;
    spans_[used_].begin->record(net_.stream());
  }
  void after(std::int64_t, bool) override { spans_[used_++].end->record(net_.stream()); }
  // Seconds of each layer since start(); waits for the device.
  std::vector<double> seconds(bool backward) const {
    memory(net_.stream().device.type).synchronize(net_.stream());
    std::vector<double> all(to_size(net_.size()));
    for (std::size_t i = 0; i < used_; ++i)
      if (const Span& s = spans_[i]; s.backward == backward)
        all[to_size(s.layer)] += s.end->seconds_since(*s.begin);
    return all;
  }

 private:
  struct Span {
    std::int64_t layer = 0;
    bool backward = false;
    std::unique_ptr<Event> begin, end;
  };
  const Network& net_;
  std::vector<Span> spans_;
  std::size_t used_ = 0;
};

// Every sample of one layer.
struct LayerSamples {
  std::vector<double> forward, backward, baseline_forward, baseline_backward;
};

class Bench {
 public:
  explicit Bench(const BenchOptions& o)
      : options_(o), work_(make_workload(o)), clock_(work_->network()) {}
  BenchReport run();

 private:
  Network& net() { return work_->network(); }
  std::int64_t phases() { return work_->images() / net().input_shape().n; }
  void warm_up();
  void make_reference();
  void make_product() {
    product_ = std::make_unique<MatrixProduct>(net().stream(), options_.exact, options_.stop);
  }
  void measure();
  void plain();
  void observed();
  void baseline();
  BenchReport report();
  void report_iterations(BenchReport& report) const;
  LayerBench layer_report(std::int64_t i);
  bool stopped() const { return options_.stop && options_.stop(); }
  StepTimes median_phases() const;
  double idle(const BenchReport& report) const;

  BenchOptions options_;
  std::unique_ptr<Workload> work_;
  std::unique_ptr<BaselineNetwork> planned_, direct_;
  std::unique_ptr<MatrixProduct> product_;
  LayerClock clock_;
  struct Iteration {
    std::unique_ptr<Event> begin, end;
    IterationTimes times;
    double cpu = 0;
  };
  std::vector<LayerSamples> layers_;
  std::vector<Iteration> iterations_;
  std::vector<double> planned_seconds_, direct_seconds_;
};

void Bench::warm_up() {
  for (int i = 0; i < kWarmUp && !stopped(); ++i) work_->run();
  layers_.resize(to_size(net().size()));
}

void Bench::make_reference() {
  planned_ = std::make_unique<BaselineNetwork>(net(), true);
  direct_ = std::make_unique<BaselineNetwork>(net(), false);
  if (planned_->convolutions() == 0) fail("-reference: the network has no [convolutional]");
  for (int i = 0; i < kWarmUp; ++i) planned_->run(1), direct_->run(1);
}

void Bench::plain() {
  const Stream& stream = net().stream();
  Iteration i{event_on(stream), event_on(stream), {}};
  const double before = process_cpu_seconds();
  i.begin->record(stream);
  i.times = work_->run();
  i.end->record(stream);
  i.cpu = process_cpu_seconds() - before;
  iterations_.push_back(std::move(i));
}

// On a device other work goes first, so that the layers lie ready there and none waits for the host
// to ask for it.
void Bench::observed() {
  if (product_)
    for (double t = 0; t < kHeadStart; t += product_->seconds()) product_->run();
  clock_.start();
  net().observe(&clock_);
  work_->run();
  net().observe(nullptr);
  const auto forward = clock_.seconds(false), backward = clock_.seconds(true);
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    layers_[i].forward.push_back(forward[i]);
    layers_[i].backward.push_back(backward[i]);
  }
}

void Bench::baseline() {
  auto before = Clock::now();
  const auto times = planned_->run(phases());
  planned_seconds_.push_back(seconds_since(before));
  for (const auto& t : times) {
    layers_[to_size(t.layer)].baseline_forward.push_back(t.forward);
    layers_[to_size(t.layer)].baseline_backward.push_back(t.backward);
  }
  before = Clock::now();
  direct_->run(phases());
  direct_seconds_.push_back(seconds_since(before));
}

// On the CPU interleaved, so that whatever else the machine does falls on all alike; on a device
// whole iterations one behind the other, as it works ahead of the host.
void Bench::measure() {
  const bool in_turns = options_.device.type == DeviceType::cpu;
  log::Progress progress("measuring", options_.iterations);
  for (std::int64_t i = 0; i < options_.iterations && !stopped(); ++i) {
    plain();
    if (planned_) baseline();
    if (in_turns) observed();
    progress.at(i + 1);
  }
  memory(options_.device.type).synchronize(net().stream());
  if (in_turns) return;
  make_product();
  for (std::int64_t i = 0; i < options_.iterations && !stopped(); ++i) observed();
}

LayerBench Bench::layer_report(std::int64_t i) {
  const Layer& layer = net().layer(i);
  const LayerSamples& s = layers_[to_size(i)];
  const LayerSummary summary = layer.summary();
  LayerBench b{
      .type = layer.type(), .size = summary.size, .head = net().layer(i).head() != nullptr};
  b.output = net().output_shape(i);
  b.forward = median(s.forward), b.backward = median(s.backward);
  b.baseline_forward = median(s.baseline_forward),
  b.baseline_backward = median(s.baseline_backward);
  b.forward_flops = 2. * static_cast<double>(summary.multiply_adds * phases());
  const auto work = layer.convolution();
  const int directions = work ? work->options.input_gradient + work->options.weight_gradient : 2;
  if (b.backward > 0) b.backward_flops = directions * b.forward_flops;
  return b;
}

StepTimes Bench::median_phases() const {
  const auto of = [this](double StepTimes::*phase) {
    std::vector<double> v;
    for (const Iteration& i : iterations_) v.push_back(i.times.phases.*phase);
    return median(v);
  };
  return {of(&StepTimes::upload), of(&StepTimes::forward), of(&StepTimes::backward),
          of(&StepTimes::update)};
}

double Bench::idle(const BenchReport& r) const {
  double busy = 0, all = 0;
  if (options_.training) {
    for (const Iteration& i : iterations_) {
      const StepTimes& t = i.times.phases;
      busy += t.upload + t.forward + t.backward + t.update;
      all += i.end->seconds_since(*i.begin);
    }
  } else {
    for (const LayerBench& b : r.layers) busy += b.forward;
    all = r.total.median;
  }
  return std::max(0., 1 - busy / all);
}

void Bench::report_iterations(BenchReport& r) const {
  std::vector<double> totals, loads;
  double cpu = 0;
  for (const Iteration& i : iterations_) {
    totals.push_back(i.end->seconds_since(*i.begin));
    loads.push_back(i.times.load);
    cpu += i.cpu;
  }
  r.total = spread_of(totals), r.load = median(loads), r.phases = median_phases();
  if (options_.device.type == DeviceType::cpu)
    r.cpu = cpu / static_cast<double>(iterations_.size());
}

BenchReport Bench::report() {
  BenchReport r{.library = ops(options_.device.type).name(options_.device),
                .input = net().input_shape(),
                .images = work_->images(),
                .iterations = std::ssize(iterations_),
                .memory = net().memory()};
  if (const auto of_device = work_->device_memory()) r.device_memory = to_string(*of_device);
  report_iterations(r);
  for (std::int64_t i = 0; i < net().size(); ++i) r.layers.push_back(layer_report(i));
  for (const LayerBench& b : r.layers)
    if (b.head) r.heads += b.forward + b.backward;
  if (options_.device.type != DeviceType::cpu) r.idle = idle(r);
  if (!product_) make_product();
  r.peak_flops = product_->flops(), r.peak_size = product_->size();
  r.peak_arithmetic = arithmetic_of(options_);
  if (planned_)
    r.reference = {spread_of(planned_seconds_), spread_of(direct_seconds_),
                   planned_->convolutions(),
                   std::count_if(r.layers.begin(), r.layers.end(),
                                 [](const LayerBench& b) { return b.type == "connected"; })};
  return r;
}

BenchReport Bench::run() {
  warm_up();
  std::int64_t max = peak_memory();  // before the reference takes its own
  if (options_.reference && !stopped()) make_reference();
  measure();
  if (iterations_.empty()) return {};
  if (!options_.reference) max = peak_memory();
  BenchReport r = report();
  r.peak_memory = max;
  return r;
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
