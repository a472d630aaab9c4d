#include "train/trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <deque>
#include <memory>

#include "cfg/data_file.h"
#include "core/input.h"
#include "core/log.h"
#include "core/text.h"
#include "core/threads.h"
#include "dataset/image_list.h"
#include "dataset/labels.h"
#include "dataset/loader.h"
#include "eval/predict.h"
#include "nn/schedule.h"
#include "nn/weights.h"
#include "train/advice.h"
#include "train/arithmetic.h"
#include "train/checkpoints.h"
#include "train/interrupt.h"
#include "train/live_chart.h"
#include "train/prior.h"
#include "train/progress.h"
#include "train/run_length.h"
#include "train/step.h"
#include "train/training_files.h"

namespace darknet {
namespace {
namespace fs = std::filesystem;

constexpr std::int64_t kPlainEvery = 10;             // iterations between progress lines in a file
constexpr std::int64_t kEvaluateAtLeastEvery = 100;  // iterations
constexpr std::int64_t kEvaluationBatch = 4;
constexpr double kAverageLoss = .1;  // Darknet: share of the newest loss in the running average

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point t) {
  return std::chrono::duration<double>(Clock::now() - t).count();
}

// One training from start to end.
class Trainer {
 public:
  explicit Trainer(const TrainerOptions& options);
  TrainingOutcome run();

 private:
  // A step that was asked for, and what of its batch is needed when its result is there.
  struct Begun {
    std::int64_t iteration = 0;
    InputSize size;
    std::vector<std::int64_t> images;
  };
  struct OtherDevice {
    OtherDevice(std::vector<Section> cfg, const NetworkOptions& options)
        : net(std::move(cfg), options), optimizer(net, net.settings()) {}
    Network net;
    Optimizer optimizer;
  };
  void read_labels();
  void start();
  void give_advice(const Start& start) const;
  void tell_nothing_left(StartKind kind) const;
  void begin_anew(const Start& start);
  Arithmetic arithmetic() const;
  void take_up_algorithms();
  void tell_plan() const;
  LoaderSettings loader_settings() const;
  void make_replicas();
  void begin(const Batch& batch);
  void finish_step(const Loader& loader);
  void finish_steps(const Loader& loader) {
    while (step_->begun() > 0) finish_step(loader);
  }
  void count(const StepResult& result, const Begun& step);
  [[noreturn]] void report_fault(const StepResult& result, const Begun& step);
  void tell(const StepResult& result, const Begun& step, double seconds);
  std::int64_t asked() const { return state_.iteration + step_->begun(); }
  bool may_work_ahead() const;
  bool evaluation_due(std::int64_t iteration) const;
  void evaluate();
  bool out_of_patience() const {
    return options_.patience > 0 && state_.evaluations_without_gain >= options_.patience;
  }
  void iterate(Loader& loader);
  TrainingOutcome finish(int exit_code);
  std::int64_t max_batches() const { return net_.settings().max_batches; }
  bool averaging() const;

  TrainerOptions options_;
  DataFile data_;
  ProtectedFiles inputs_;
  fs::path backup_;
  Network net_;
  Optimizer optimizer_;
  std::int64_t classes_;
  LabelledImages labelled_;
  EvaluationSet validation_;
  std::unique_ptr<Network> evaluated_;  // for inference, with -map
  Checkpoints checkpoints_;
  TrainingState state_;
  std::vector<std::unique_ptr<OtherDevice>> others_;
  std::unique_ptr<TrainingStep> step_;
  std::deque<Begun> begun_;
  Clock::time_point last_;   // when the last iteration was done with
  double load_seconds_ = 0;  // waited for batches since
  std::unique_ptr<TrainingLog> log_;
  std::unique_ptr<LiveChart> chart_;
  InterruptGuard interrupt_;
  double seconds_per_iteration_ = 0, map_now_ = -1;
  bool faulty_ = false;  // the network may hold numbers that are not finite
  bool told_of_left_out_ = false;
  DivergenceWatch divergence_;
};

NetworkOptions training_network(const TrainerOptions& o) {
  return {.device = o.device,
          .mode = Mode::training,
          .exact = o.exact,
          .deterministic = o.deterministic,
          .replicas = 1 + static_cast<std::int64_t>(o.others.size()),
          .seed = o.seed.value_or(1),
          .tuning = tuning_for(o.tuning, o.device)};
}

Trainer::Trainer(const TrainerOptions& options)
    : options_(with_planned_length(options)),
      data_(read_data_file(options.data)),
      backup_(options.backup.empty() ? data_.backup : options.backup),
      net_(training_sections(options_), training_network(options)),
      optimizer_(net_, net_.settings()),
      classes_(classes_of(net_)),
      checkpoints_(backup_, options.cfg.stem().string(),
                   options.save_every > 0 ? options.save_every : data_.save_weights) {
  require_picture_input(net_);
  if (data_.classes > 0 && data_.classes != classes_)
    fail_at({data_.path.string(), 0}, "classes=", data_.classes, ", but the heads of ",
            options.cfg.string(), " have ", classes_);
  if (!data_.names.empty()) read_names(data_.names, classes_);
  if (max_batches() == 0)
    fail_at({options.cfg.string(), 0}, "[net] max_batches: a training needs its length");
  read_labels();
  check_training_files(options_, data_, checkpoints_, inputs_);
  start();
}

void Trainer::read_labels() {
  labelled_ = read_all_labels(read_image_list(required(data_, data_.train, "train")), classes_,
                              options_.bad_labels);
  log::info(cat("training images: ", labelled_.images.size(), " with ",
                plural(labelled_.objects, "object"), ", ", labelled_.empty, " without any"));
  if (labelled_.clipped > 0)
    log::warn(cat(plural(labelled_.clipped, "box"),
                  " clipped that reached out of the image by up to ", kOverhangPixels,
                  " pixels or ", kOverhang, " of its size"));
  if (!options_.map) return;
  LabelledImages valid = read_all_labels(read_image_list(required(data_, data_.valid, "valid")),
                                         classes_, options_.bad_labels);
  log::info(
      cat("validation images: ", valid.images.size(), " with ", plural(valid.objects, "object")));
  validation_ = {std::move(valid.images), std::move(valid.truths), {}};
  evaluated_ = std::make_unique<Network>(
      training_sections(options_),
      NetworkOptions{.device = options_.device,
                     .exact = options_.exact,
                     .batch = std::min<std::int64_t>(
                         kEvaluationBatch, static_cast<std::int64_t>(validation_.images.size())),
                     .tuning = net_.options().tuning});
}

void Trainer::start() {
  if (options_.cutoff >= 0 && options_.weights.empty())
    throw Error("-partial needs a weights file", 2);
  const StartOptions options{.weights = find_weights(options_.weights, backup_),
                             .clear = options_.clear,
                             .cutoff = options_.cutoff,
                             .seed = options_.seed};
  const Start start = start_training(net_, optimizer_, options);
  state_ = start.state;
  checkpoints_.adopt(state_);
  log::info(start.said);
  if (state_.iteration >= max_batches()) tell_nothing_left(start.kind);
  if (start.kind == StartKind::weights)
    checkpoints_.keep_start(options.weights, state_.iteration, max_batches());
  if (start.kind == StartKind::resumed)
    require_same(arithmetic(), state_, options_.weights.string()), take_up_algorithms();
  else
    begin_anew(start);
  note(arithmetic(), state_);
  note_run_length(options_, max_batches(), state_);
  if (state_.iteration < max_batches()) tell_plan();
  make_replicas();
  log_ = std::make_unique<TrainingLog>(checkpoints_.file("_log.jsonl"), state_.iteration);
  chart_ = std::make_unique<LiveChart>(checkpoints_.file("_chart"), options_.cfg.stem().string(),
                                       log_->kept());
}

Arithmetic Trainer::arithmetic() const {
  return {.processor = options_.device.type,
          .devices = net_.options().replicas,
          .exact = options_.exact,
          .deterministic = options_.deterministic,
          .precision = net_.settings().precision,
          .threads = options_.device.type == DeviceType::cpu ? launch_threads() : 0};
}

// The same bits need the algorithms that the training began with, whatever -tuning says now.
void Trainer::take_up_algorithms() {
  const Tuning& remembered = state_.algorithms;
  if (remembered.library().empty()) return;  // a state of before there were any
  if (const std::string here = net_.algorithms().library(); here != remembered.library())
    return log::warn(cat("that training ran on ", remembered.library(), ", this is ", here,
                         ": it goes on, but not to the same bits"));
  if (!options_.tuning.empty())
    log::info("the training goes on with the algorithms it began with, not those of -tuning");
  net_.set_algorithms(remembered);
  net_.parameters_changed();
  if (evaluated_) evaluated_->set_algorithms(remembered);
}

// Weights may say of themselves how much they were trained: Darknet's counting, and a surprise for
// those who meant to start from them.
void Trainer::tell_nothing_left(StartKind kind) const {
  const std::string text =
      cat(plural(state_.iteration, "iteration"), " already made and max_batches=", max_batches(),
          ": nothing is left to do; a larger max_batches trains on, -clear counts anew");
  if (kind != StartKind::resumed) fail(options_.weights.string(), ": ", text);
  log::info(text);
}

void Trainer::begin_anew(const Start& start) {
  if (is_present(checkpoints_.file("_last.state")))
    log::warn(
        cat(checkpoints_.file("_last.weights").string(),
            ", _best.weights and _log.jsonl of an earlier training will be replaced; to go on "
            "with that training instead, give its _last.weights"));
  give_advice(start);
  for (const PriorReport& r : apply_priors(net_, labelled_, start.loaded_layers))
    log::info(to_string(r));
}

void Trainer::tell_plan() const {
  const NetSettings& n = net_.settings();
  const double epochs =
      static_cast<double>(max_batches() * n.batch) / static_cast<double>(labelled_.images.size());
  log::info(cat(
      "iterations ", state_.iteration + 1, " to ", max_batches(), ", ", plural(n.batch, "image"),
      " each in ", plural(n.subdivisions * net_.options().replicas, "part"), " (",
      plural(static_cast<std::int64_t>(epochs), "epoch"), " in all); learning rate ",
      n.learning_rate, " policy ", n.policy, n.burn_in > 0 ? cat(", burn_in ", n.burn_in) : "",
      "; seed ", state_.seed, "; files go to ", backup_.string()));
  if (options_.device.type != DeviceType::cpu)
    log::info(cat("computed by ", ops(options_.device.type).name(options_.device)));
  for (const Device& d : options_.others)
    log::info(cat("and by ", to_string(d), ", ", ops(d.type).name(d)));
  for (const HeadAt& at : net_.heads())
    log::info(cat("objectness of ", net_.layer(at.layer).title(), ": ",
                  at.head->settings().objectness_loss));
}

void Trainer::give_advice(const Start& start) const {
  const LabelledImages valid{validation_.images, validation_.truths};
  const std::vector<std::string> names = names_of(data_.names, classes_);
  for (const std::string& finding : advise({.net = &net_,
                                    .names = names,
                                    .train = &labelled_,
                                    .valid = options_.map ? &valid : nullptr,
                                    .loaded_layers = start.loaded_layers}))
    log::warn(finding);
}

LoaderSettings Trainer::loader_settings() const {
  const AugmentationKeys keys = net_.heads().back().head->settings().augmentation;
  return {.images = labelled_.images,
          .truths = labelled_.truths,
          .channels = net_.settings().channels,
          .batch = net_.settings().batch,
          .size =
              [this, random = keys.random](std::int64_t k) {
                return random_size(net_.settings(), random, state_.seed, k, max_batches());
              },
          .augmentation = augmentation_of(net_.settings(), keys),
          .seed = state_.seed,
          .first = state_.iteration,
          .threads = options_.threads,
          .cache_bytes = options_.cache_mb << 20,
          .max_bad = options_.max_bad,
          .parts = options_.device.type != DeviceType::cpu};
}

// Of the step that is asked for next. Darknet averages over the second half of the training.
bool Trainer::averaging() const {
  return net_.settings().ema_alpha > 0 && asked() >= max_batches() / 2;
}

// Every device starts with what the first one has.
void Trainer::make_replicas() {
  std::vector<Replica> replicas{{&net_, &optimizer_}};
  for (const Device& device : options_.others) {
    NetworkOptions options = training_network(options_);
    options.device = device;
    options.tuning = net_.algorithms();
    others_.push_back(std::make_unique<OtherDevice>(training_sections(options_), options));
    replicas.push_back({&others_.back()->net, &others_.back()->optimizer});
    copy_training(replicas.front(), replicas.back());
  }
  step_ = std::make_unique<TrainingStep>(replicas, state_.seed);
  if (state_.loss_scale.scale > 0) step_->set_loss_scale(state_.loss_scale);
}

void Trainer::begin(const Batch& batch) {
  const Shape now = net_.input_shape();
  if (now.h != batch.size.height || now.w != batch.size.width) {
    net_.resize(now.n, batch.size.height, batch.size.width);
    for (const auto& other : others_) other->net.resize(now.n, batch.size.height, batch.size.width);
  }
  const std::int64_t iteration = asked() + 1;
  step_->begin({batch.pixels, batch.truths, batch.parts, net_.settings().letter_box},
               {.iteration = iteration,
                .learning_rate = learning_rate(net_.settings(), iteration, state_.seed)},
               static_cast<std::int64_t>(state_.seen) + step_->begun() * net_.settings().batch,
               averaging());
  begun_.push_back({iteration, batch.size, batch.images});
}

void Trainer::count(const StepResult& result, const Begun& step) {
  if (result.truths_left_out > 0 && !told_of_left_out_) {
    told_of_left_out_ = true;
    log::warn(cat("iteration ", step.iteration, ": ", plural(result.truths_left_out, "object"),
                  " of this batch left out, beyond the heads' max=; later ones are "
                  "in the log as truths_left_out"));
  }
  ++state_.iteration;
  state_.seen += static_cast<std::uint64_t>(step.images.size());
  state_.loss_scale = result.loss_scale;
  state_.average_loss = state_.average_loss < 0
                            ? result.loss
                            : (1 - kAverageLoss) * state_.average_loss + kAverageLoss * result.loss;
  if (const std::string warning = divergence_.look(step.iteration, state_.average_loss);
      !warning.empty())
    log::end_progress(), log::warn(warning);
}

void Trainer::finish_step(const Loader& loader) {
  const Begun step = std::move(begun_.front());
  begun_.pop_front();
  const StepResult result = step_->finish();
  const double seconds = seconds_since(last_);
  if (!result.finite) report_fault(result, step);
  count(result, step);
  map_now_ = -1;
  if (evaluation_due(state_.iteration)) evaluate();
  state_.skipped_images = std::max(state_.skipped_images, loader.unreadable());
  tell(result, step, seconds);
  checkpoints_.save_due(net_, optimizer_, state_, max_batches());
  last_ = Clock::now();
  load_seconds_ = 0;
}

// Whether the next step may be asked for before the last one's result is there.
bool Trainer::may_work_ahead() const {
  return options_.device.type != DeviceType::cpu && asked() < max_batches() &&
         !evaluation_due(asked()) && !checkpoints_.due(asked(), max_batches());
}

// The batch is made once more: the loader's may be gone.
void Trainer::report_fault(const StepResult& result, const Begun& step) {
  log::end_progress();
  faulty_ = true;
  LoaderSettings settings = loader_settings();
  settings.threads = 1;
  settings.cache_bytes = 0;
  Loader again(std::move(settings));
  const Batch& batch = again.next();
  const std::string layer = step_->fault_of(
      {batch.pixels, batch.truths, batch.parts, net_.settings().letter_box}, result);
  const bool any = result.faulty_image < 0;
  const auto begin = any ? 0 : static_cast<std::size_t>(result.faulty_image);
  const auto count = any ? step.images.size() : static_cast<std::size_t>(net_.input_shape().n);
  std::string images;
  for (std::size_t i = begin; i < std::min(begin + count, step.images.size()); ++i)
    images += "\n  " + labelled_.images[static_cast<std::size_t>(step.images[i])].string();
  fail("iteration ", step.iteration, ": ", layer,
       " is not finite; nothing was updated, and the weights in ", backup_.string(),
       " stay as they were. A lower learning_rate, a longer burn_in or clip= may help. Images of "
       "this step:",
       images);
}

void Trainer::tell(const StepResult& result, const Begun& step, double seconds) {
  seconds_per_iteration_ =
      seconds_per_iteration_ == 0 ? seconds : .95 * seconds_per_iteration_ + .05 * seconds;
  IterationReport report{
      .iteration = state_.iteration,
      .max_batches = max_batches(),
      .images_seen = static_cast<std::int64_t>(state_.seen),
      .images = static_cast<std::int64_t>(step.images.size()),
      .average_loss = state_.average_loss,
      .learning_rate = learning_rate(net_.settings(), state_.iteration, state_.seed),
      .load_seconds = load_seconds_,
      .step_seconds = std::max(0., seconds - load_seconds_),
      .seconds_per_iteration = seconds_per_iteration_,
      .width = step.size.width,
      .height = step.size.height,
      .map = map_now_,
      .best_map = state_.best_map,
      .step = &result};
  for (const HeadAt& at : net_.heads()) report.head_layers.push_back(at.layer);
  const std::string line = json_line(report);
  log_->append(line);
  chart_->add(line);
  const bool plain = state_.iteration % kPlainEvery == 0 || state_.iteration == 1 ||
                     state_.iteration == max_batches();
  log::progress(progress_line(report), plain);
}

bool Trainer::evaluation_due(std::int64_t iteration) const {
  if (!options_.map) return false;
  const double epoch =
      static_cast<double>(labelled_.images.size()) / static_cast<double>(net_.settings().batch);
  const auto period =
      std::max<std::int64_t>(kEvaluateAtLeastEvery, std::llround(options_.map_epochs * epoch));
  if (iteration == max_batches()) return true;
  return iteration % period == 0 && iteration >= net_.settings().burn_in;
}

void Trainer::evaluate() {
  copy_parameters(net_, *evaluated_);
  evaluated_->parameters_changed();
  log::end_progress();
  state_.evaluation_pending = true;
  const auto images = run_evaluation(*evaluated_, validation_, options_.threads,
                                     [this] { return interrupt_.requested(); });
  if (interrupt_.requested()) return;  // a resume does it again
  state_.evaluation_pending = false;
  const Evaluation e = darknet::evaluate(images, {.classes = classes_});
  map_now_ = e.mean_average_precision;
  ++state_.evaluations_without_gain;
  if (map_now_ > state_.best_map) {
    state_.best_map = map_now_;
    state_.best_iteration = state_.iteration;
    state_.evaluations_without_gain = 0;
    checkpoints_.save_best(net_, state_);
  }
  log::info(cat("iteration ", state_.iteration, ": mAP@0.5 ", map_now_, " on ",
                plural(static_cast<std::int64_t>(validation_.images.size()), "image"), "; best ",
                state_.best_map, " at iteration ", state_.best_iteration));
}

TrainingOutcome Trainer::finish(int exit_code) {
  log::end_progress();
  checkpoints_.save_last(net_, optimizer_, state_);
  chart_->draw();
  if (exit_code != 0) {
    log::info(cat("interrupted at iteration ", state_.iteration, "; saved. To go on: give ",
                  checkpoints_.file("_last.weights").string()));
  } else {
    checkpoints_.save_final(net_, optimizer_, state_);
    log::info(cat("done: ", checkpoints_.file("_final.weights").string()));
  }
  return {state_.iteration, state_.best_map, exit_code};
}

void Trainer::iterate(Loader& loader) {
  const auto before = Clock::now();
  const Batch& batch = loader.next();
  load_seconds_ += seconds_since(before);
  const Shape now = net_.input_shape();
  if (now.h != batch.size.height || now.w != batch.size.width) finish_steps(loader);
  begin(batch);
  while (step_->begun() > (may_work_ahead() ? 1 : 0)) finish_step(loader);
}

TrainingOutcome Trainer::run() {
  const std::int64_t first = state_.iteration;
  Loader loader(loader_settings());
  try {
    if (state_.evaluation_pending && evaluated_) evaluate();
    state_.evaluation_pending = false;  // without -map nobody asks for it any more
    last_ = Clock::now();
    while (asked() < max_batches() && !out_of_patience() && !interrupt_.requested())
      iterate(loader);
    finish_steps(loader);
  } catch (const Error&) {
    if (!faulty_) finish_steps(loader);
    if (!faulty_ && state_.iteration > first) checkpoints_.save_last(net_, optimizer_, state_);
    throw;
  }
  const bool ended = state_.iteration >= max_batches() && !state_.evaluation_pending;
  if (out_of_patience())
    log::info(cat(plural(options_.patience, "evaluation"), " without a better mAP: ending early"));
  return finish(ended || out_of_patience() ? 0 : interrupt_.exit_code());
}

}  // namespace

TrainingOutcome train_detector(const TrainerOptions& options) { return Trainer(options).run(); }

}  // namespace darknet
