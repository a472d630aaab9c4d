#include "train/trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <memory>

#include "cfg/data_file.h"
#include "cfg/parse.h"
#include "core/log.h"
#include "dataset/loader.h"
#include "eval/evaluate.h"
#include "nn/schedule.h"
#include "nn/weights.h"
#include "train/checkpoints.h"
#include "train/interrupt.h"
#include "train/prior.h"
#include "train/progress.h"
#include "train/step.h"

namespace darknet {
namespace {
namespace fs = std::filesystem;

constexpr std::uint64_t kDefaultSeed = 1;
constexpr double kLossMemory = .9;  // of the printed running average: Darknet

double seconds_now() {
  using clock = std::chrono::steady_clock;
  return std::chrono::duration<double>(clock::now().time_since_epoch()).count();
}

std::vector<Section> sections_of(const TrainerOptions& options) {
  std::vector<Section> cfg = read_cfg(options.cfg);
  apply_overrides(cfg, options.overrides);
  return cfg;
}

NetworkOptions network_options(const TrainerOptions& options) {
  return {.mode = Mode::training, .exact = options.exact, .seed = options.seed.value_or(kDefaultSeed)};
}

// A weights name is looked up as given, then in the backup folder.
fs::path find_weights(const fs::path& given, const fs::path& backup) {
  if (given.empty() || fs::exists(given)) return given;
  if (const fs::path in_backup = backup / given.filename(); fs::exists(in_backup)) return in_backup;
  fail(given.string(), ": there is no such weights file, nor ", (backup / given.filename()).string());
}

class Trainer {
 public:
  explicit Trainer(const TrainerOptions& options);
  TrainingOutcome run();

 private:
  void start();
  void set_priors();
  void introduce() const;
  LoaderSettings loader_settings() const;
  bool iterate(Loader& loader);
  void feed(const Batch& batch);
  StepResult compute(const Batch& batch, std::int64_t iteration);
  [[noreturn]] void report_fault(const StepResult& step, const Batch& batch) const;
  void account(const StepResult& step, const Batch& batch);
  void tell(const StepResult& step, const Batch& batch, double load, double compute);
  bool evaluation_due() const;
  double evaluate_now();
  void finish(Loader& loader);

  TrainerOptions options_;
  DataFile data_;
  fs::path backup_;
  std::string name_;
  Network net_;
  Optimizer optimizer_;
  Checkpoints checkpoints_;
  std::int64_t max_batches_;
  std::vector<fs::path> images_;
  TrainingState state_;
  std::unique_ptr<TrainingStep> step_;
  std::unique_ptr<TrainingLog> log_;
  std::unique_ptr<Network> evaluation_net_;
  InterruptGuard interrupt_;
  double seconds_per_iteration_ = 0, last_map_ = -1;
  std::int64_t evaluations_without_gain_ = 0;
};

fs::path backup_folder(const TrainerOptions& options, const DataFile& data) {
  if (!options.backup.empty()) return options.backup;
  return data.backup.empty() ? fs::path("backup") : data.backup;
}

Trainer::Trainer(const TrainerOptions& options)
    : options_(options),
      data_(read_data_file(options.data)),
      backup_(backup_folder(options, data_)),
      name_(options.cfg.stem().string()),
      net_(sections_of(options), network_options(options)),
      optimizer_(net_, net_.settings()),
      checkpoints_(backup_, name_, options.save_every),
      max_batches_(options.max_batches > 0 ? options.max_batches : net_.settings().max_batches) {
  if (net_.heads().empty()) fail(options.cfg.string(), ": no [yolo] or [region] layer to train");
  if (max_batches_ <= 0) fail(options.cfg.string(), ": [net] max_batches: how many iterations?");
  images_ = read_image_list(data_.train);
}

// What the labels of every training image say, for obj_prior=auto.
std::vector<std::vector<Truth>> Trainer::all_truths() const {
  std::vector<std::vector<Truth>> truths;
  for (const fs::path& image : images_)
    truths.push_back(read_labels(label_path(image), classes_).truths);
  return truths;
}

void Trainer::start() {
  Start start = start_training(net_, optimizer_,
                               {.weights = find_weights(options_.weights, backup_),
                                .clear = options_.clear,
                                .cutoff = options_.cutoff,
                                .seed = options_.seed});
  state_ = start.state;
  log::info(start.said);
  if (start.kind != StartKind::resumed) {
    const auto truths = needs_labels_for_prior(net_) ? all_truths() : std::vector<std::vector<Truth>>{};
    for (const PriorReport& r : apply_priors(net_, truths, start.loaded_layers)) log::info(to_string(r));
  }
  step_ = std::make_unique<TrainingStep>(net_, optimizer_, state_.seed);
  log_ = std::make_unique<TrainingLog>(checkpoints_.file("_log.jsonl"), state_.iteration);
  introduce();
}

void Trainer::introduce() const {
  const NetSettings& net = net_.settings();
  log::info(cat(name_, ": ", images_.size(), " images, batch ", net.batch, " in ", net.subdivisions,
                " part", net.subdivisions == 1 ? "" : "s", ", iterations ", state_.iteration + 1, "..",
                max_batches_, ", policy ", net.policy, ", learning rate ",
                learning_rate(net, state_.iteration + 1, state_.seed), " now, ",
                learning_rate(net, max_batches_, state_.seed), " at the end; files in ", backup_.string()));
}

StepResult Trainer::compute(const Batch& batch, std::int64_t iteration) {
  net_.resize(net_.input_shape().n, batch.height, batch.width);
  const NetSettings& net = net_.settings();
  const StepState state{.iteration = iteration, .learning_rate = learning_rate(net, iteration, state_.seed)};
  return step_->run({batch.pixels, batch.truths}, state, static_cast<std::int64_t>(state_.seen),
                    iteration > max_batches_ / 2);  // Darknet: the average covers the last half
}

void Trainer::report_fault(const StepResult& step, const Batch& batch) const {
  std::string names;
  const auto first = static_cast<std::size_t>(std::max<std::int64_t>(0, step.faulty_image));
  const auto last = std::min(batch.paths.size(), first + static_cast<std::size_t>(net_.input_shape().n));
  for (std::size_t i = first; i < last; ++i) names += cat("\n  ", batch.paths[i].string());
  fail("iteration ", state_.iteration + 1, ": the loss or a gradient is not finite, first in ", step.fault,
       ". Lower learning_rate or raise burn_in; the files of the last good checkpoint in ",
       backup_.string(), " are kept. Images of this part of the batch:", names);
}

void Trainer::account(const StepResult& step, const Batch& batch) {
  state_.iteration += 1;
  state_.seen += static_cast<std::uint64_t>(batch.truths.size());
  state_.average_loss = state_.average_loss < 0
                            ? step.loss
                            : kLossMemory * state_.average_loss + (1 - kLossMemory) * step.loss;
}

void Trainer::tell(const StepResult& step, const Batch& batch, double load, double compute) {
  const double now = load + compute;
  seconds_per_iteration_ = seconds_per_iteration_ == 0 ? now : .95 * seconds_per_iteration_ + .05 * now;
  IterationReport report{.iteration = state_.iteration,
                         .max_batches = max_batches_,
                         .images_seen = static_cast<std::int64_t>(state_.seen),
                         .images = static_cast<std::int64_t>(batch.truths.size()),
                         .average_loss = state_.average_loss,
                         .learning_rate = learning_rate(net_.settings(), state_.iteration, state_.seed),
                         .load_seconds = load,
                         .step_seconds = compute,
                         .seconds_per_iteration = seconds_per_iteration_,
                         .width = batch.width,
                         .height = batch.height,
                         .map = last_map_,
                         .best_map = state_.best_map,
                         .step = &step};
  for (const HeadAt& at : net_.heads()) report.head_layers.push_back(at.layer);
  const bool plain = state_.iteration % 10 == 0 || state_.iteration == max_batches_ || state_.iteration <= 3;
  log::progress(progress_line(report), plain);
  log_->append(json_line(report));
  last_map_ = -1;
}

bool Trainer::iterate(Loader& loader) {
  const double begin = seconds_now();
  const Batch batch = loader.next();
  const double loaded = seconds_now();
  const StepResult step = compute(batch, state_.iteration + 1);
  if (!step.finite) report_fault(step, batch);
  account(step, batch);
  const double computed = seconds_now();
  if (evaluation_due()) last_map_ = evaluate_now();
  tell(step, batch, loaded - begin, computed - loaded);
  checkpoints_.save_due(net_, optimizer_, state_, max_batches_);
  return state_.iteration < max_batches_ && !interrupt_.requested() &&
         (options_.patience == 0 || evaluations_without_gain_ < options_.patience);
}

bool Trainer::evaluation_due() const {
  if (!options_.map || state_.iteration < net_.settings().burn_in) return false;
  const auto batch = static_cast<double>(net_.settings().batch);
  const double epoch = static_cast<double>(images_.size()) / batch;
  const auto period = std::max<std::int64_t>(kEvaluateEvery, std::llround(options_.map_epochs * epoch));
  return state_.iteration % period == 0 || state_.iteration == max_batches_;
}

double Trainer::evaluate_now() {
  if (!evaluation_net_)
    evaluation_net_ = std::make_unique<Network>(
        sections_of(options_), NetworkOptions{.mode = Mode::inference, .exact = options_.exact});
  copy_parameters(net_, *evaluation_net_);
  const double map = evaluate_map(*evaluation_net_, data_);
  log::end_progress();
  log::info(fmt::format("iteration {}: mAP@0.50 = {:.4f}{}", state_.iteration, map,
                        map > state_.best_map ? ", the best so far" : ""));
  if (map > state_.best_map) {
    state_.best_map = map;
    state_.best_iteration = state_.iteration;
    evaluations_without_gain_ = 0;
    checkpoints_.save_best(net_, state_);
  } else {
    ++evaluations_without_gain_;
  }
  return map;
}

TrainingOutcome Trainer::run() {
  start();
  TrainingOutcome outcome;
  if (state_.iteration < max_batches_) {
    Loader loader(loader_settings());
    while (iterate(loader)) {
    }
    log::end_progress();
    checkpoints_.save_last(net_, optimizer_, state_);
  } else {
    log::info(cat("nothing to do: iteration ", state_.iteration, " of ", max_batches_, "; -clear counts anew"));
  }
  outcome.iterations = state_.iteration;
  outcome.best_map = state_.best_map;
  if (interrupt_.requested() && state_.iteration < max_batches_) {
    outcome.exit_code = interrupt_.exit_code();
    log::info(cat("interrupted; go on with ", checkpoints_.file("_last.weights").string()));
  } else {
    checkpoints_.save_final(net_, optimizer_, state_);
    log::info(cat("saved ", checkpoints_.file("_final.weights").string()));
  }
  return outcome;
}

}  // namespace

TrainingOutcome train_detector(const TrainerOptions& options) { return Trainer(options).run(); }

}  // namespace darknet
