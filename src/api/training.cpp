#include "darknet/training.h"

#include <atomic>
#include <limits>
#include <memory>
#include <utility>

#include "api/call.h"
#include "api/errors.h"
#include "core/error.h"
#include "eval/open_network.h"
#include "train/progress.h"
#include "train/trainer.h"

namespace darknet {
namespace {

constexpr int kEndedByCaller = 130;  // in place of the exit code of a Ctrl-C

std::optional<double> measured(double value) {
  return value >= 0 ? std::optional(value) : std::nullopt;
}

TrainingIteration iteration_of(const IterationReport& r) {
  const LoggedIteration figures = logged(r);
  return {.iteration = r.iteration,
          .max_batches = r.max_batches,
          .images_seen = r.images_seen,
          .loss = figures.loss,
          .average_loss = figures.average_loss,
          .learning_rate = figures.learning_rate,
          .images_per_second = figures.images_per_second,
          .load_seconds = r.load_seconds,
          .step_seconds = r.step_seconds,
          .width = r.width,
          .height = r.height,
          .map = measured(r.map),
          .best_map = measured(r.best_score)};
}

class ShowsIterations final : public TrainingObserver {
 public:
  ShowsIterations(const IterationObserver& observer, api::EndAsked& end)
      : observer_(observer), end_(end) {}
  void iteration(const IterationReport& r) override {
    if (observer_) end_.ask([&] { return !observer_(iteration_of(r)); });
  }

 private:
  const IterationObserver& observer_;
  api::EndAsked& end_;
};

// What the command's declarations refuse; the rest is refused by the training itself.
void require_possible(const TrainerOptions& o) {
  constexpr std::int64_t kMaxIterations = std::int64_t{1} << 40, kMaxCache = 1 << 30,
                         kAny = std::numeric_limits<std::int64_t>::max();
  const auto require = [](const char* what, auto value, auto least, auto most) {
    if (!(value >= least && value <= most))
      fail(what, " ", value, " is not from ", least, " to ", most);
  };
  if (o.data.empty() || o.cfg.empty()) fail("a training needs a .data file and a .cfg");
  require("max_batches", o.max_batches, std::int64_t{0}, kMaxIterations);
  require("epochs", o.epochs, 0., 1e9);
  if (o.max_batches > 0 && o.epochs > 0)
    fail("max_batches and epochs both give the length of the training: leave one of them out");
  require("map_epochs", o.map_epochs, .001, 1e6);
  require("patience", o.patience, std::int64_t{0}, kAny);
  require("partial", o.partial, std::int64_t{0}, kAny);
  require("freeze", o.freeze, std::int64_t{0}, kAny);
  require("save_every", o.save_every, std::int64_t{0}, kAny);
  api::require_threads("loader_threads", o.loader_threads);
  require("cache_mb", o.cache_mb, std::int64_t{0}, kMaxCache);
  require("max_bad", o.max_bad, 0., 1.);
  if (o.patience > 0 && !o.map) fail("patience needs map: it counts evaluations");
  if (o.weights.empty() && (o.partial > 0 || o.freeze > 0))
    fail(o.freeze > 0 ? "freeze" : "partial", " needs a weights file");
  if (o.precision == kInt8) fail("precision int8 is for inference: train in f32, bf16 or f16");
}

TrainingSettings settings_of(const TrainerOptions& o, api::EndAsked& end) {
  require_possible(o);
  TrainingSettings s{.data = o.data, .cfg = o.cfg, .weights = o.weights};
  s.overrides = o.overrides;
  if (!o.precision.empty()) s.overrides.push_back(precision_override(o.precision));
  s.backup = o.backup;
  s.seed = o.seed;
  s.device = api::device_named(o.device);
  s.tuning = o.tuning;
  s.clear = o.clear, s.map = o.map, s.exact = o.exact, s.deterministic = o.deterministic;
  s.map_epochs = o.map_epochs, s.patience = o.patience;
  if (o.partial > 0) s.cutoff = o.partial;
  s.freeze = o.freeze;
  s.save_every = o.save_every;
  s.max_batches = o.max_batches, s.length.epochs = o.epochs;
  s.threads = o.loader_threads;
  s.cache_mb = o.cache_mb, s.max_bad = o.max_bad;
  s.bad_labels = bad_labels_of(o.bad_labels);
  s.interrupted = [&o, &end] {
    end.ask(o.stop);
    return end.asked() ? kEndedByCaller : 0;
  };
  return s;
}

// Files that a training reads and writes are those of the process (core/protected_files.h).
class OnlyTraining {
 public:
  OnlyTraining() {
    if (at_work.exchange(true))
      fail("this process trains already, and it trains one network at a time");
  }
  OnlyTraining(const OnlyTraining&) = delete;
  OnlyTraining& operator=(const OnlyTraining&) = delete;
  ~OnlyTraining() { at_work = false; }

 private:
  static inline std::atomic<bool> at_work = false;
};

TrainingResult run(const TrainerOptions& o, const IterationObserver& observer, api::EndAsked& end) {
  const OnlyTraining only;
  const log::Capture::Take take = api::take_for(o.log);
  const log::Capture capture(take);
  const TrainingSettings settings = settings_of(o, end);
  const api::DeviceTurn turn(settings.device);
  const TrainingOutcome outcome =
      train_detector(settings, std::make_unique<ShowsIterations>(observer, end));
  return {.iterations = outcome.iterations,
          .stopped = outcome.exit_code != 0,
          .weights = outcome.weights,
          .best_map = measured(outcome.best_score)};
}

}  // namespace

TrainingResult train(const TrainerOptions& options, const IterationObserver& observer) {
  api::EndAsked end;
  TrainingResult result = api::translated([&] { return run(options, observer, end); });
  end.rethrow();
  return result;
}

}  // namespace darknet
