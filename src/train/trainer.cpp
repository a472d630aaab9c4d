#include "train/trainer.h"

#include <algorithm>
#include <chrono>

#include "cfg/data_file.h"
#include "core/device_failure.h"
#include "core/index.h"
#include "core/input.h"
#include "core/log.h"
#include "core/text.h"
#include "core/threads.h"
#include "dataset/image_list.h"
#include "dataset/loader.h"
#include "eval/predict.h"
#include "nn/schedule.h"
#include "nn/target_loss.h"
#include "nn/weights.h"
#include "train/checkpoints.h"
#include "train/evaluator.h"
#include "train/interrupt.h"
#include "train/live_chart.h"
#include "train/live_page.h"
#include "train/memory_report.h"
#include "train/numerics_config.h"
#include "train/objectness_start.h"
#include "train/other_device.h"
#include "train/plan_report.h"
#include "train/progress.h"
#include "train/run_length.h"
#include "train/scalar_logs.h"
#include "train/step.h"
#include "train/stopwatch.h"
#include "train/task.h"
#include "train/training_batches.h"
#include "train/training_files.h"

namespace darknet {
namespace {
namespace fs = std::filesystem;

constexpr double kAverageLoss = .1;  // Darknet: share of the newest loss in the running average

using Clock = std::chrono::steady_clock;

using MakeTask = std::unique_ptr<TrainingTask> (*)(const DataFile&, const std::vector<Section>&);

// One training run from start to end.
class Trainer {
 public:
  Trainer(const TrainingSettings& options, MakeTask task,
          std::unique_ptr<TrainingObserver> observer);
  TrainingOutcome run();

 private:
  void read_labels();
  void make_evaluator(LabelledImages valid);
  void start();
  void give_advice(const Start& start) const;
  void report_nothing_left(StartKind kind) const;
  void start_fresh(const Start& start);
  NumericsConfig numerics() const;
  void resume_algorithms();
  void make_replicas();
  void log_memory();
  void make_observers(std::unique_ptr<TrainingObserver> more);
  int interrupted() const {
    return options_.interrupted ? options_.interrupted() : signals_->exit_code();
  }
  void begin_step(const Batch& batch);
  void finish_step();
  void finish_steps() {
    while (step_->in_flight() > 0) finish_step();
  }
  void count(const StepResult& result);
  [[noreturn]] void report_not_finite(const StepResult& result);
  void report(const StepResult& result, const EvaluationScore& evaluation, double seconds);
  std::int64_t asked() const { return state_.iteration + step_->in_flight(); }
  bool may_work_ahead() const;
  bool evaluation_due(std::int64_t i) const { return evaluator_ && evaluator_->due(i); }
  EvaluationScore evaluate();
  bool out_of_patience() const { return evaluator_ && evaluator_->out_of_patience(); }
  void iterate();
  void run_steps();
  TrainingOutcome finish(int exit_code);
  std::int64_t max_batches() const { return net_.settings().max_batches; }
  bool averaging() const;

  TrainingSettings options_;
  std::unique_ptr<LivePage> page_;  // until the observers take it; its port is asked for first
  DataFile data_;
  std::vector<Section> cfg_;  // as every network of this run is made from it
  std::unique_ptr<TrainingTask> task_;
  ProtectedFiles inputs_;
  fs::path backup_;
  Network net_;
  Optimizer optimizer_;
  std::int64_t classes_;
  CacheBudget cache_;
  LabelledImages labelled_;
  Checkpoints checkpoints_;
  TrainingState state_;
  std::vector<StartReport> starts_;     // of a fresh start
  std::optional<Evaluator> evaluator_;  // with -map
  std::vector<std::unique_ptr<OtherDevice>> others_;
  std::vector<Replica> replicas_;  // net_, then others_
  std::unique_ptr<TrainingStep> step_;
  std::optional<Batches> batches_;
  std::optional<Loader> loader_;
  Clock::time_point last_;   // when the last iteration was done with
  double load_seconds_ = 0;  // waited for batches since
  std::vector<std::unique_ptr<TrainingObserver>> observers_;
  std::optional<InterruptGuard> signals_;  // none where the caller says when to end
  double seconds_per_iteration_ = 0;
  bool not_finite_ = false;  // the network may hold numbers that are not finite
  bool warned_left_out_ = false, warned_fixed_ = false;
  DivergenceWatch divergence_;
};

NetworkOptions training_network(const TrainingSettings& o) {
  return {.device = o.device,
          .mode = Mode::training,
          .exact = o.exact,
          .deterministic = o.deterministic,
          .replicas = 1 + std::ssize(o.others),
          .seed = o.seed.value_or(1),
          .tuning = tuning_for(o.tuning, o.device)};
}

Trainer::Trainer(const TrainingSettings& options, MakeTask task,
                 std::unique_ptr<TrainingObserver> observer)
    : options_(options),
      page_(open_page(options.http, options.cfg.stem().string())),
      data_(read_data_file(options.data)),
      cfg_(training_sections(options_, data_)),
      task_(task(data_, cfg_)),
      backup_(options.backup.empty() ? data_.backup : options.backup),
      net_(cfg_, training_network(options)),
      optimizer_(net_, net_.settings()),
      classes_(task_->classes(net_)),
      cache_(options.cache_mb << 20),
      checkpoints_(backup_, options.cfg.stem().string(),
                   options.save_every > 0 ? options.save_every : data_.save_weights) {
  if (!options_.interrupted) signals_.emplace();
  if (!data_.names.empty()) read_names(data_.names, classes_);
  if (max_batches() == 0)
    fail_at({options.cfg.string(), 0}, "[net] max_batches must be set (above 0) to train");
  read_labels();
  check_training_files(options_, cfg_, data_, checkpoints_, inputs_);
  start();
  make_observers(std::move(observer));
}

void Trainer::read_labels() {
  labelled_ = task_->labelled(read_image_list(required(data_, data_.train, "train")), classes_,
                              options_.bad_labels);
  log::info(cat("training images: ", task_->count_of(labelled_)));
  require_channels(labelled_.images, net_.settings(), options_.max_bad, "train");
  if (labelled_.clipped > 0)
    log::warn(cat(plural(labelled_.clipped, "box"),
                  " clipped that reached out of the image by up to ", kOverhangPixels,
                  " pixels or ", kOverhang, " of its size"));
  if (!options_.map) return;
  LabelledImages valid = task_->labelled(read_image_list(required(data_, data_.valid, "valid")),
                                         classes_, options_.bad_labels);
  log::info(cat("validation images: ", task_->count_of(valid)));
  require_channels(valid.images, net_.settings(), 0, "valid");
  make_evaluator(std::move(valid));
}

void Trainer::make_evaluator(LabelledImages valid) {
  const NetSettings& n = net_.settings();
  const auto images = std::ssize(labelled_.images);
  evaluator_.emplace(
      *task_,
      EvaluatorSettings{.images = std::move(valid),
                        .period = evaluation_period(options_.map_epochs, images, n.batch),
                        .first = n.burn_in,
                        .last = n.max_batches,
                        .patience = options_.patience,
                        .threads = options_.threads,
                        .cache = &cache_},
      cfg_, net_.options(), state_.evaluation);
}

void Trainer::start() {
  if (options_.cutoff >= 0 && options_.weights.empty())
    throw Error("-partial needs a weights file", 2);
  const StartOptions options{.weights = find_weights(options_.weights, backup_),
                             .clear = options_.clear,
                             .cutoff = options_.cutoff,
                             .seed = options_.seed};
  const Start start = start_training(net_, optimizer_, options);
  require_random_sizes(net_, cfg_);
  state_ = start.state;
  batches_.emplace(task_->training_batches(net_, labelled_, state_.seed), &cache_);
  checkpoints_.register_existing(state_);
  log::info(start.summary);
  if (state_.iteration >= max_batches()) report_nothing_left(start.kind);
  if (start.kind == StartKind::weights)
    checkpoints_.keep_start(options.weights, state_.iteration, max_batches());
  log_reports(weigh_objectness(net_, labelled_));
  if (start.kind == StartKind::resumed)
    check_compatible(numerics(), state_, options_.weights.string()), resume_algorithms();
  else
    start_fresh(start);
  record(numerics(), state_);
  note_run_length(options_, max_batches(), state_);
  if (state_.iteration < max_batches()) {
    log_plan(net_, state_, labelled_.images.size(), backup_);
    log_devices(options_.device, options_.others);
  }
  make_replicas();
  log_memory();
  if (options_.show_images > 0)
    show_augmented(options_, checkpoints_.file("_augmented"), state_.iteration,
                   task_->training_batches(net_, labelled_, state_.seed),
                   names_of(data_.names, classes_));
}

// A kill loses no line of the log that a saved state counts.
void Trainer::make_observers(std::unique_ptr<TrainingObserver> more) {
  auto log = std::make_unique<TrainingLog>(checkpoints_.file("_log.jsonl"), state_.iteration);
  auto chart = std::make_unique<LiveChart>(checkpoints_.file("_chart"),
                                           options_.cfg.stem().string(), log->kept());
  if (page_) page_->begin(names_of(data_.names, classes_), log->kept());
  observers_.push_back(std::move(log));
  observers_.push_back(std::make_unique<ProgressLine>());
  observers_.push_back(
      std::make_unique<PeriodicCheckpoints>(checkpoints_, net_, optimizer_, state_));
  observers_.push_back(
      std::make_unique<ResultsCsv>(checkpoints_.file("_results.csv"), state_.iteration));
  if (!options_.tensorboard.empty())
    observers_.push_back(std::make_unique<TensorBoardLog>(options_.tensorboard, state_.iteration));
  observers_.push_back(std::move(chart));
  if (page_) observers_.push_back(std::move(page_));
  if (more) observers_.push_back(std::move(more));
}

NumericsConfig Trainer::numerics() const {
  return {.processor = options_.device.type,
          .devices = net_.options().replicas,
          .exact = options_.exact,
          .deterministic = options_.deterministic,
          .precision = std::string(name_of(net_.settings().precision)),
          .threads = options_.device.type == DeviceType::cpu ? launch_threads() : 0,
          .scaled_decode = net_.settings().augmentation.scaled_decode};
}

// Bitwise equal results need the algorithms that the run started with, whatever -tuning says now.
void Trainer::resume_algorithms() {
  const Tuning& remembered = state_.algorithms;
  if (remembered.library().empty()) return;  // a state of before there were any
  if (const std::string here = net_.algorithms().library(); here != remembered.library())
    return log::warn(
        cat("that training ran on ", remembered.library(), ", this is ", here, kNotBitwise));
  if (!options_.tuning.empty())
    log::info("the run resumes with the algorithms it began with, not those of -tuning");
  net_.set_algorithms(remembered);
  net_.parameters_changed();
  check_algorithms(remembered, net_.algorithms());
  if (evaluator_) evaluator_->set_algorithms(remembered);
}

// Weights may say of themselves how much they were trained: Darknet's counting, and a surprise for
// those who meant to start from them.
void Trainer::report_nothing_left(StartKind kind) const {
  const std::string text =
      cat(plural(state_.iteration, "iteration"), " already made and max_batches=", max_batches(),
          ": nothing is left to do; a larger max_batches trains on, -clear counts anew");
  if (kind != StartKind::resumed) fail(options_.weights.string(), ": ", text);
  log::info(text);
}

void Trainer::start_fresh(const Start& start) {
  checkpoints_.warn_of_earlier();
  give_advice(start);
  starts_ = start_objectness(
      net_, labelled_, [this] { return batches_->make(0); }, start.loaded_layers);
  for (const StartReport& r : starts_) log::info(to_string(r));
}

void Trainer::give_advice(const Start& start) const {
  const std::vector<std::string> names = names_of(data_.names, classes_);
  for (const std::string& finding : task_->advice({.net = &net_,
                                    .names = names,
                                    .train = &labelled_,
                                    .valid = evaluator_ ? &evaluator_->images() : nullptr,
                                    .loaded_layers = start.loaded_layers}))
    log::warn(finding);
}

// Of the step that is asked for next. Darknet averages over the second half of the run.
bool Trainer::averaging() const {
  return net_.settings().ema_alpha > 0 && asked() >= max_batches() / 2;
}

// Every device starts with what the first one has.
void Trainer::make_replicas() {
  replicas_ = {{&net_, &optimizer_}};
  const log::WithoutWarnings quiet;  // the first network gave those of the cfg
  for (const Device& device : options_.others) {
    NetworkOptions options = training_network(options_);
    options.device = device;
    options.tuning = net_.algorithms();
    others_.push_back(std::make_unique<OtherDevice>(cfg_, options, replicas_.front()));
    replicas_.push_back(others_.back()->replica());
  }
  step_ = std::make_unique<TrainingStep>(replicas_, state_.seed);
  if (state_.loss_scale.scale > 0) step_->set_loss_scale(state_.loss_scale);
  if (state_.positives_average > 0) step_->set_positives_average(state_.positives_average);
}

void Trainer::log_memory() {
  for (std::size_t i = 0; i < replicas_.size(); ++i) {
    auto report = memory_report(*replicas_[i].net, *replicas_[i].optimizer, *step_, i);
    if (!report) continue;
    if (i == 0 && evaluator_) report->evaluation = evaluator_->bytes();
    log::info(to_string(*report));
  }
}

void Trainer::begin_step(const Batch& batch) {
  const Shape now = net_.input_shape();
  if (now.h != batch.size.height || now.w != batch.size.width)
    for (const Replica& r : replicas_) r.net->resize(now.n, batch.size.height, batch.size.width);
  const std::int64_t iteration = asked() + 1;
  step_->begin({batch.pixels, batch.truths, batch.tiles, batch.targets},
               {.iteration = iteration,
                .learning_rate = learning_rate(net_.settings(), iteration, state_.seed)},
               static_cast<std::int64_t>(state_.seen) + step_->in_flight() * net_.settings().batch,
               averaging());
}

void Trainer::count(const StepResult& result) {
  if (result.truths_left_out > 0 && !warned_left_out_) {
    warned_left_out_ = true;
    log::warn(cat("iteration ", result.params.iteration, ": ",
                  plural(result.truths_left_out, "object"),
                  " of this batch left out, beyond the heads' max=; later ones are "
                  "in the log as truths_left_out"));
  }
  if (result.fixed > 0 && !std::exchange(warned_fixed_, true))
    log::end_progress(), log::warn(warning_of_fixed(result));
  if (state_.iteration == 0)
    for (const FirstStepShare& share : first_step_shares(net_, starts_, result.heads))
      log::end_progress(), share.balanced ? log::info(share.text) : log::warn(share.text);
  ++state_.iteration;
  state_.seen += static_cast<std::uint64_t>(net_.settings().batch);
  state_.loss_scale = result.loss_scale;
  state_.positives_average = result.positives_average;
  state_.average_loss = state_.average_loss < 0
                            ? result.loss
                            : (1 - kAverageLoss) * state_.average_loss + kAverageLoss * result.loss;
  if (const std::string warning = divergence_.look(state_.iteration, state_.average_loss);
      !warning.empty())
    log::end_progress(), log::warn(warning);
}

void Trainer::finish_step() {
  const StepResult result = step_->finish();
  const double seconds = seconds_since(last_);
  if (!result.finite) report_not_finite(result);
  count(result);
  const EvaluationScore evaluation =
      evaluation_due(state_.iteration) ? evaluate() : EvaluationScore{};
  state_.skipped_images = std::max(state_.skipped_images, loader_->unreadable());
  report(result, evaluation, seconds);
  last_ = Clock::now();
  load_seconds_ = 0;
}

// Whether the next step may be asked for before the last one's result is there.
bool Trainer::may_work_ahead() const {
  return options_.device.type != DeviceType::cpu && asked() < max_batches() &&
         !evaluation_due(asked()) && !checkpoints_.due(asked(), max_batches());
}

// The batch is made once more: the loader's may be gone.
void Trainer::report_not_finite(const StepResult& result) {
  log::end_progress();
  not_finite_ = true;
  const Batch batch = batches_->make(result.params.iteration - 1);
  const std::string layer =
      step_->non_finite_layer({batch.pixels, batch.truths, batch.tiles, batch.targets}, result);
  const bool any = result.non_finite_image < 0;
  const auto begin = any ? 0 : to_size(result.non_finite_image);
  const auto count = any ? batch.images.size() : to_size(net_.input_shape().n);
  std::string images;
  for (std::size_t i = begin; i < std::min(begin + count, batch.images.size()); ++i)
    images += "\n  " + labelled_.images[to_size(batch.images[i])].string();
  throw Diverged(
      result.params.iteration,
      cat("iteration ", result.params.iteration, ": ", layer, " is not finite"),
      cat("; nothing was updated, and the weights in ", backup_.string(),
          " stay as they were. A lower learning_rate, a longer burn_in or clip= may help. Images "
          "of this step:",
          images));
}

void Trainer::report(const StepResult& result, const EvaluationScore& evaluation, double seconds) {
  seconds_per_iteration_ =
      seconds_per_iteration_ == 0 ? seconds : .95 * seconds_per_iteration_ + .05 * seconds;
  IterationReport report{
      .task = task_->kind(),
      .iteration = state_.iteration,
      .max_batches = max_batches(),
      .images_seen = static_cast<std::int64_t>(state_.seen),
      .images = net_.settings().batch,
      .average_loss = state_.average_loss,
      .learning_rate = learning_rate(net_.settings(), state_.iteration, state_.seed),
      .load_seconds = load_seconds_,
      .step_seconds = std::max(0., seconds - load_seconds_),
      .seconds_per_iteration = seconds_per_iteration_,
      .width = result.input.w,
      .height = result.input.h,
      .map = evaluation.map,
      .top1 = evaluation.top1,
      .topk = evaluation.topk,
      .top = task_->top(),
      .best_score = state_.evaluation.best_score,
      .step = &result};
  if (evaluator_) report.sample = evaluator_->sample();
  for (const LossAt& at : losses_of(net_)) report.head_layers.push_back(at.layer);
  for (const auto& observer : observers_) observer->iteration(report);
}

// Nothing where it was interrupted.
EvaluationScore Trainer::evaluate() {
  log::end_progress();
  const std::optional<EvaluationScore> found =
      evaluator_->evaluate(net_, state_.iteration, [this] { return interrupted() != 0; });
  if (!found) return {};
  const EvaluationRecord& record = state_.evaluation;
  if (record.best_iteration == state_.iteration) checkpoints_.save_best(net_, state_);
  log::info(cat("iteration ", state_.iteration, ": ", to_string(*found), " on ",
                plural(std::ssize(evaluator_->images().images), "image"), "; best ",
                record.best_score, " at iteration ", record.best_iteration));
  return *found;
}

TrainingOutcome Trainer::finish(int exit_code) {
  for (const auto& observer : observers_) observer->finished(exit_code == 0);
  if (exit_code != 0)
    log::info(cat("interrupted at iteration ", state_.iteration, "; saved. To resume, ",
                  options_.how_to_resume.empty()
                      ? cat("give ", checkpoints_.file("_last.weights").string(), " as weights")
                      : options_.how_to_resume));
  else
    log::info(cat("done: ", checkpoints_.file("_final.weights").string()));
  return {state_.iteration, state_.evaluation.best_score, exit_code,
          checkpoints_.file(exit_code == 0 ? "_final.weights" : "_last.weights")};
}

void Trainer::iterate() {
  const auto before = Clock::now();
  const Batch& batch = loader_->next();
  load_seconds_ += seconds_since(before);
  const Shape now = net_.input_shape();
  if (now.h != batch.size.height || now.w != batch.size.width) finish_steps();
  begin_step(batch);
  while (step_->in_flight() > (may_work_ahead() ? 1 : 0)) finish_step();
}

void Trainer::run_steps() {
  if (state_.evaluation.pending && evaluator_) evaluate();
  state_.evaluation.pending = false;  // without -map nobody asks for it any more
  last_ = Clock::now();
  while (asked() < max_batches() && !out_of_patience() && interrupted() == 0) iterate();
  finish_steps();
}

TrainingOutcome Trainer::run() {
  const std::int64_t first = state_.iteration;
  loader_.emplace(*batches_, LoaderOptions{.first = state_.iteration,
                                           .threads = options_.threads,
                                           .max_bad = options_.max_bad});
  try {
    run_steps();
  } catch (const DeviceFailure&) {
    throw;  // the parameters are not to be saved
  } catch (const Error&) {
    if (!not_finite_) finish_steps();
    if (!not_finite_ && state_.iteration > first) checkpoints_.save_last(net_, optimizer_, state_);
    throw;
  }
  const bool ended = state_.iteration >= max_batches() && !state_.evaluation.pending;
  if (out_of_patience())
    log::info(cat(plural(options_.patience, "evaluation"), " without a better ",
                  task_->score_name(), ": ending early"));
  return finish(ended || out_of_patience() ? 0 : interrupted());
}

}  // namespace

TrainingOutcome train_detector(const TrainingSettings& options,
                               std::unique_ptr<TrainingObserver> observer) {
  return Trainer(options, detection_task, std::move(observer)).run();
}

TrainingOutcome train_classifier(const TrainingSettings& options,
                                 std::unique_ptr<TrainingObserver> observer) {
  return Trainer(options, classification_task, std::move(observer)).run();
}

}  // namespace darknet
