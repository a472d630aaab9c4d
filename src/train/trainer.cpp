#include "train/trainer.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

#include "core/device_failure.h"
#include "core/index.h"
#include "core/sentence_of.h"
#include "core/text.h"
#include "core/together.h"
#include "nn/schedule.h"
#include "nn/target_loss.h"
#include "train/join_devices.h"
#include "train/run_length.h"
#include "train/stopwatch.h"
#include "train/training_run.h"

namespace darknet {
namespace {

constexpr double kAverageLoss = .1;  // Darknet: share of the newest loss in the running average
constexpr std::int64_t kMaxWithoutImages = 10;  // steps in a row that learn nothing

constexpr char kDivergedRemedy[] =
    "; the files in the backup folder stay as they were. A lower learning_rate, a longer burn_in "
    "or clip= may help; try_fix_nan=1 repairs single gradients and losses, not a network that "
    "has diverged";

bool leaves_out_images(const StepResult& result) {
  return std::ranges::any_of(result.heads,
                             [](const HeadTelemetry& t) { return t.images_left_out > 0; });
}

}  // namespace

// A collective: where one rank lacks the memory for the new size, all throw.
void Trainer::resize_to(const Batch& batch) {
  const Shape now = net_.input_shape();
  if (now.h == batch.size.height && now.w == batch.size.width) return;
  finish_steps();
  together(ranks(), [&] {
    for (const Replica& r : replicas_) r.net->resize(now.n, batch.size.height, batch.size.width);
  });
}

void Trainer::begin_step(const Batch& batch) {
  const std::int64_t iteration = asked() + 1;
  step_->begin({batch.pixels, batch.truths, batch.tiles, batch.targets},
               {.iteration = iteration,
                .learning_rate = learning_rate(net_.settings(), iteration, state_.seed)},
               static_cast<std::int64_t>(state_.seen) + step_->in_flight() * net_.settings().batch,
               averaging());
}

void Trainer::count(const StepResult& result) {
  std::optional<log::WithoutWarnings> quiet;
  if (!is_first()) quiet.emplace();
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
  if (std::isfinite(result.loss))  // else try_fix_nan left all of the batch out
    state_.average_loss = state_.average_loss < 0 ? result.loss
                                                  : (1 - kAverageLoss) * state_.average_loss +
                                                        kAverageLoss * result.loss;
  if (const std::string warning = divergence_.look(state_.iteration, state_.average_loss);
      !warning.empty())
    log::end_progress(), log::warn(warning);
}

void Trainer::finish_step() {
  const StepResult result = step_->finish();
  const double seconds = seconds_since(last_);
  if (!result.finite) report_not_finite(result);
  count(result);
  require_images(result);
  if (leaves_out_images(result) || evaluation_due(state_.iteration) ||
      checkpoints_.due(state_.iteration, max_batches()))
    require_finite_parameters();
  const EvaluationScore evaluation =
      evaluation_due(state_.iteration) ? evaluate() : EvaluationScore{};
  count_unreadable();
  report(result, evaluation, seconds);
  last_ = Clock::now();
  load_seconds_ = 0;
}

// The loss is that of all ranks, so that all throw here.
void Trainer::require_images(const StepResult& result) {
  if (!leaves_out_images(result) || std::isfinite(result.loss)) {
    steps_without_images_ = 0;
    return;
  }
  if (++steps_without_images_ < kMaxWithoutImages) return;
  log::end_progress();
  not_finite_ = true;
  throw Diverged(result.params.iteration,
                 cat("iteration ", result.params.iteration, ": for ", kMaxWithoutImages,
                     " steps in a row the loss of every image is not finite"),
                 kDivergedRemedy);
}

// To be called before parameters are saved or evaluated. They are equal in all ranks, so that all
// throw or none does.
void Trainer::require_finite_parameters() {
  for (std::int64_t i = 0; i < net_.size(); ++i)
    for (const Parameter* p : net_.layer(i).parameters()) {
      const std::vector<float> values = p->value.to_host(net_.stream());
      if (std::ranges::all_of(values, [](float v) { return std::isfinite(v); })) continue;
      log::end_progress();
      not_finite_ = true;
      throw Diverged(state_.iteration,
                     cat("iteration ", state_.iteration, ": the parameters of ",
                         net_.layer(i).title(), " are not finite"),
                     kDivergedRemedy);
    }
}

// Each rank has met those of its own images. Throws once: steps in flight are finished after that.
void Trainer::count_unreadable() {
  const std::int64_t unreadable = unreadable_.add(ranks(), loader_->take_newly_unreadable());
  state_.skipped_images = std::max(state_.skipped_images, unreadable);
  const auto images = std::ssize(labelled_.images);
  if (!ranks().several() || static_cast<double>(unreadable) <= options_.max_bad * images) return;
  if (std::exchange(refused_unreadable_, true)) return;
  throw CommonFailure(cat(unreadable, " of ", plural(images, "image"),
                          " cannot be read, more than -max_bad ", options_.max_bad * 100,
                          " %; `darknet detector check` lists them, and -max_bad N allows more"));
}

// Whether the next step may be asked for before the last one's result is there.
bool Trainer::may_work_ahead() const {
  return options_.device.type != DeviceType::cpu && asked() < max_batches() &&
         !evaluation_due(asked()) && !checkpoints_.due(asked(), max_batches());
}

// The batch is made once more, since the loader may have reused its memory. Where one image is to
// blame, the rank that computed it names it; else every rank names all images of its share.
void Trainer::report_not_finite(const StepResult& result) {
  log::end_progress();
  not_finite_ = true;
  std::string layer, images;
  try {
    const Batch batch = batches_->make(result.params.iteration - 1);
    layer =
        step_->non_finite_layer({batch.pixels, batch.truths, batch.tiles, batch.targets}, result);
    const std::int64_t first = result.non_finite_image, mine = first - step_->first_image();
    for (std::int64_t i = 0; i < std::ssize(batch.images); ++i)
      if (first < 0 || (i >= mine && i < mine + net_.input_shape().n))
        images += "\n  " + labelled_.images[to_size(batch.images[to_size(i)])].string();
  } catch (const DeviceFailure&) {
    throw;
  } catch (const Error& e) {  // images that are gone meanwhile are not what is wrong
    images = cat("\n  not read again: ", sentence_of(e));
  }
  std::string layers, all_images;
  for (const std::string& found : ranks().all_gather(layer))
    layers = layers.empty() ? found : layers;
  if (layers.empty()) layers = "a loss or a gradient";
  for (const std::string& found : ranks().all_gather(images)) all_images += found;
  throw Diverged(
      result.params.iteration,
      cat("iteration ", result.params.iteration, ": ", layers, " is not finite"),
      cat("; nothing was updated, and the weights in ", backup_.string(),
          " stay as they were. A lower learning_rate, a longer burn_in or clip= may help. Images "
          "of this step:",
          all_images));
}

// Where there are several ranks, the others learn of an error at the next batch, so that all end
// together and what can be saved is saved.
template <class F>
void Trainer::write_in_rank_0(F write) {
  if (!ranks().several()) return write();
  if (!is_first()) return;
  try {
    write();
  } catch (const std::exception&) {
    if (!write_error_) write_error_ = std::current_exception();
  }
}

// After Ctrl-C the step is finished, and then the state is saved. A single slow step, as one that
// reads from a busy disk, is no reason to warn.
void Trainer::warn_of_kill_timeout(double seconds) {
  constexpr int kInARow = 3;
  slow_steps_ = seconds > launch_.kill_timeout / 2 ? slow_steps_ + 1 : 0;
  if (slow_steps_ < kInARow || !is_first() || std::exchange(warned_of_kill_timeout_, true)) return;
  log::end_progress();
  log::warn(cat("an iteration takes about ", std::round(10 * seconds) / 10, " s, and ",
                launch_.launcher, ", unless it is configured otherwise, leaves its processes ",
                launch_.kill_timeout,
                " s to save after Ctrl-C; to end the run after saving: kill -TERM ", ::getpid(),
                " (on ", ranks().host_of(0), ")"));
}

void Trainer::report(const StepResult& result, const EvaluationScore& evaluation, double seconds) {
  warn_of_kill_timeout(seconds);
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
  write_in_rank_0([&] {
    for (const auto& observer : observers_) observer->iteration(report);
  });
}

// Nothing where it was interrupted. A best network that cannot be written is not recorded as the
// best: a run that resumes evaluates again.
EvaluationScore Trainer::evaluate() {
  log::end_progress();
  const EvaluationRecord before = state_.evaluation;
  const std::optional<EvaluationScore> found =
      evaluator_->evaluate(net_, state_.iteration, [this] { return interrupted() != 0; });
  if (!found) return {};
  const EvaluationRecord& record = state_.evaluation;
  if (record.best_iteration == state_.iteration)
    write_in_rank_0([&] {
      try {
        checkpoints_.save_best(net_, state_);
      } catch (const std::exception&) {
        state_.evaluation = before;
        state_.evaluation.pending = true;
        throw;
      }
    });
  log::info(cat("iteration ", state_.iteration, ": ", to_string(*found), " on ",
                plural(std::ssize(evaluator_->images().images), "image"), "; best ",
                record.best_score, " at iteration ", record.best_iteration));
  return *found;
}

void Trainer::log_saved(const char* why) const {
  log::info(cat(why, " at iteration ", state_.iteration, "; saved. To resume, ",
                options_.how_to_resume.empty()
                    ? cat("give ", checkpoints_.file("_last.weights").string(), " as weights")
                    : options_.how_to_resume));
}

TrainingOutcome Trainer::finish(int exit_code) {
  together(ranks(), [&] {
    for (const auto& observer : observers_) observer->finished(exit_code == 0);
  });
  step_->leave_ranks();  // which may wait: all is saved
  if (exit_code != 0)
    log_saved("interrupted");
  else
    log::info(cat("done: ", checkpoints_.file("_final.weights").string()));
  return {state_.iteration, state_.evaluation.best_score, exit_code,
          checkpoints_.file(exit_code == 0 ? "_final.weights" : "_last.weights")};
}

// Null where a signal came to any rank: then all end after the same step.
const Batch* Trainer::next_batch() {
  const auto before = Clock::now();
  const Batch* batch = nullptr;
  exit_code_ = largest_of_all(ranks(), [&]() -> std::int64_t {
    rethrow_write_error();
    const int asked_to_end = interrupted();
    if (asked_to_end == 0) batch = &loader_->next();
    return asked_to_end;
  });
  load_seconds_ += seconds_since(before);
  return exit_code_ == 0 ? batch : nullptr;
}

void Trainer::iterate(const Batch& batch) {
  resize_to(batch);
  begin_step(batch);
  while (step_->in_flight() > (may_work_ahead() ? 1 : 0)) finish_step();
}

void Trainer::run_steps() {
  const std::int64_t first = state_.iteration;
  if (state_.evaluation.pending && evaluator_) evaluate();
  state_.evaluation.pending = false;  // without -map nobody asks for it any more
  last_ = Clock::now();
  while (asked() < max_batches() && !out_of_patience()) {
    const Batch* const batch = next_batch();
    if (!batch) break;
    iterate(*batch);
  }
  finish_steps();
  if (state_.iteration > 0) require_finite_parameters();  // what ends early is saved, too
  together(ranks(), [&] { rethrow_write_error(); });
  if (exit_code_ == 0 && state_.iteration > first) finish_shards();
}

// It may take minutes: a signal ends the wait, and what was learned is on the disk before.
void Trainer::finish_shards() {
  if (largest_of_all(ranks(), [&] { return shards_->unread(); }) == 0) return;
  log::end_progress();
  together(ranks(), [&] {
    if (is_first()) checkpoints_.save_last(net_, optimizer_, state_);
  });
  std::int64_t mine = 0, left = 0;
  do {  // in rounds, so that a signal to one rank or a wrong shard of one ends the wait of all
    const auto until = Clock::now() + std::chrono::milliseconds(500);
    left = largest_of_all(ranks(), [&] {
      mine = shards_->finish([&] { return interrupted() != 0 || Clock::now() > until; });
      return mine;
    });
    exit_code_ = largest_of_all(ranks(), [&] { return std::int64_t{interrupted()}; });
  } while (left > 0 && exit_code_ == 0);
  shards_cut_short_ = left > 0;
  if (mine > 0)
    log::warn(cat(plural(mine, "shard"), mine == 1 ? " was" : " were",
                  " not compared with the checksums; darknet data check compares all"));
}

// The error that ends the run is reported afterwards.
void Trainer::save_after_error() try {
  checkpoints_.save_last(net_, optimizer_, state_);
  log::end_progress();
  log_saved("ended by an error");
} catch (const std::exception& e) {
  log::error(cat("the state of iteration ", state_.iteration, " cannot be saved: ", e.what(),
                 "; the files in ", backup_.string(), " stay as they were"));
}

TrainingOutcome Trainer::run() try { return run_to_end(); } catch (const std::exception& e) {
  end_job_of_devices(ranks(), options_.device, e);
  throw;
}

TrainingOutcome Trainer::run_to_end() {
  const std::int64_t first = state_.iteration;
  loader_.emplace(*batches_, LoaderOptions{.first = state_.iteration,
                                           .threads = options_.threads,
                                           .max_bad = options_.max_bad});
  try {
    run_steps();
  } catch (const DeviceFailure&) {
    throw;  // the parameters are not to be saved
  } catch (const Error& e) {
    const auto* const common = dynamic_cast<const CommonFailure*>(&e);
    if (ranks().several() && !common) throw;  // the others do not know of it
    if (common && common->of_device()) throw;
    if (!not_finite_) finish_steps();
    if (!not_finite_ && state_.iteration > first && is_first()) save_after_error();
    step_->leave_ranks();
    throw;
  }
  const bool ended = state_.iteration >= max_batches() && !state_.evaluation.pending;
  if (out_of_patience())
    log::info(cat(plural(options_.patience, "evaluation"), " without a better ",
                  task_->score_name(), ": ending early"));
  if (!shards_cut_short_ && (ended || out_of_patience())) return finish(0);
  const auto asked_to_end = [this] { return std::int64_t{interrupted()}; };
  return finish(static_cast<int>(std::max(exit_code_, largest_of_all(ranks(), asked_to_end))));
}

namespace {

TrainingOutcome train(const TrainingSettings& options, MakeTask task,
                      std::unique_ptr<TrainingObserver> observer) {
  Ranks& ranks = *options.ranks.ranks;
  TrainingSettings own;
  together(ranks, [&] { own = of_this_rank(options); });
  plan_hours(own);
  std::optional<Trainer> trainer;
  together(ranks, [&] {
    std::optional<log::WithoutWarnings> quiet;
    if (!ranks.is_first()) quiet.emplace();
    trainer.emplace(own, task);
  });
  trainer->start(std::move(observer));
  return trainer->run();
}

}  // namespace

TrainingOutcome train_detector(const TrainingSettings& options,
                               std::unique_ptr<TrainingObserver> observer) {
  return train(options, detection_task, std::move(observer));
}

TrainingOutcome train_classifier(const TrainingSettings& options,
                                 std::unique_ptr<TrainingObserver> observer) {
  return train(options, classification_task, std::move(observer));
}

}  // namespace darknet
