#include "train/bench_workload.h"

#include <chrono>

#include "cfg/data_file.h"
#include "cfg/parse.h"
#include "core/together.h"
#include "dataset/image_list.h"
#include "dataset/labels.h"
#include "dataset/loader.h"
#include "eval/predict.h"
#include "eval/quantizer.h"
#include "train/random_batch.h"
#include "train/stopwatch.h"
#include "train/training_batches.h"

namespace darknet {
namespace {

constexpr std::uint64_t kSeed = 1;

using Clock = std::chrono::steady_clock;

std::vector<Section> sections_of(const BenchOptions& o) {
  std::vector<Section> cfg = o.sections.empty() ? read_cfg(o.cfg) : o.sections;
  if (o.training && o.batch > 0) cfg.front().set("batch", std::to_string(o.batch), {"-batch", 0});
  apply_overrides(cfg, o.overrides);
  return cfg;
}

class Inference final : public Workload {
 public:
  explicit Inference(const BenchOptions& o)
      : net_(sections_of(o), {.device = o.device,
                              .exact = o.exact,
                              .deterministic = o.deterministic,
                              .batch = std::max<std::int64_t>(1, o.batch),
                              .tuning = tuning_for(o.tuning, o.device)}) {
    net_.initialise();
    net_.parameters_changed();
    const TensorView in = net_.input();
    const std::vector<float> pixels = random_pixels(in.shape.size(), kSeed);
    memory(net_.stream().device.type)
        .copy_in(net_.stream(), in.data, pixels.data(), pixels.size() * sizeof(float));
    if (!o.int8) return;
    net_.set_quantization(quantization_for_input(net_));
    net_.parameters_changed();
  }
  Network& network() override { return net_; }
  std::int64_t images() const override { return net_.input_shape().n; }
  IterationTimes run() override {
    const auto before = Clock::now();
    net_.forward({.stream = net_.stream()});
    memory(net_.stream().device.type).synchronize(net_.stream());
    return {.total = seconds_since(before)};
  }

 private:
  Network net_;
};

class Training final : public Workload {
 public:
  explicit Training(const BenchOptions& o);
  Network& network() override { return net_; }
  std::int64_t images() const override { return net_.settings().batch; }
  std::optional<MemoryReport> device_memory() override {
    return memory_report(net_, optimizer_, step_, 0);
  }
  IterationTimes run() override;
  void join_ranks() override { step_.join_ranks(); }
  void leave_ranks() override {
    while (step_.in_flight() > 0) step_.finish();
    step_.leave_ranks();
  }

 private:
  void make_random_images();
  void start_loader(const BenchOptions& o);
  StepInput next();

  Network net_;
  Optimizer optimizer_;
  TrainingStep step_;
  Ranks& ranks_;
  std::unique_ptr<Batches> batches_;  // with images,
  std::unique_ptr<Loader> loader_;    // else:
  std::vector<float> pixels_;
  std::vector<std::vector<Truth>> truths_;
  std::int64_t iteration_ = 0;
};

Training::Training(const BenchOptions& o)
    : net_(sections_of(o), {.device = o.device,
                            .mode = Mode::training,
                            .exact = o.exact,
                            .deterministic = o.deterministic,
                            .seed = kSeed,
                            .tuning = tuning_for(o.tuning, o.device)}),
      optimizer_(net_, net_.settings()),
      step_({{&net_, &optimizer_}}, kSeed, o.ranks),
      ranks_(*o.ranks.ranks) {
  if (net_.heads().empty())
    fail_at({o.cfg.string(), 0}, "no detection head: -train measures the steps of a detector");
  net_.initialise();
  net_.parameters_changed();
  if (o.data.empty())
    make_random_images();
  else
    start_loader(o);
}

void Training::make_random_images() {
  pixels_ = random_pixels(step_.count() * net_.input_shape().features(), kSeed);
  truths_ = random_truths(step_.count(), classes_of(net_), kSeed);
}

void Training::start_loader(const BenchOptions& o) {
  const DataFile data = read_data_file(o.data);
  const std::int64_t classes = classes_of(net_, data);
  const LabelledImages labelled =
      read_all_labels(read_image_list(required(data, data.train, "train")), classes, o.bad_labels);
  const NetSettings& n = net_.settings();
  BatchSettings batches = share_of(*o.ranks.ranks, training_batches(net_, labelled, kSeed));
  batches.size = [&n](std::int64_t) { return InputSize{n.height, n.width}; };
  batches_ = std::make_unique<Batches>(std::move(batches));
  loader_ = std::make_unique<Loader>(*batches_,
                                     LoaderOptions{.threads = o.threads, .max_bad = o.max_bad});
}

StepInput Training::next() {
  if (!loader_) return {pixels_, truths_};
  const Batch& batch = loader_->next();
  return {batch.pixels, batch.truths, batch.tiles};
}

// With a learning rate of zero: it costs the same, and noise cannot drive the weights to infinity.
// On a device the phases are those of the step before, as a training works ahead there.
IterationTimes Training::run() {
  const auto before = Clock::now();
  StepInput input;
  together(ranks_, [&] { input = next(); });
  const double load = seconds_since(before);
  ++iteration_;
  step_.begin(input, {.iteration = iteration_, .learning_rate = 0}, (iteration_ - 1) * images(),
              false);
  const bool ahead = net_.options().device.type != DeviceType::cpu;
  if (ahead && step_.in_flight() == 1) return {.total = seconds_since(before), .load = load};
  const StepResult result = step_.finish();
  if (!result.finite)  // in every rank
    throw CommonFailure(
        "a training step with random weights is not finite; `darknet check` looks for the layer, "
        "`detector check` at images and labels");
  return {.total = seconds_since(before), .load = load, .phases = result.seconds};
}

}  // namespace

std::unique_ptr<Workload> make_workload(const BenchOptions& o) {
  if (o.training) return std::make_unique<Training>(o);
  return std::make_unique<Inference>(o);
}

}  // namespace darknet
