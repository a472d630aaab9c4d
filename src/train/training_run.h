// One training run from start to end, behind train/trainer.h. In a job of several processes every
// rank makes the same run on its share of each batch and of the images that are evaluated; rank 0
// alone writes and prints.
#pragma once
#include <chrono>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cfg/data_file.h"
#include "core/log.h"
#include "core/protected_files.h"
#include "dataset/loader.h"
#include "dataset/shard_verifier.h"
#include "train/checkpoints.h"
#include "train/evaluator.h"
#include "train/interrupt.h"
#include "train/live_page.h"
#include "train/numerics_config.h"
#include "train/objectness_start.h"
#include "train/other_device.h"
#include "train/progress.h"
#include "train/step.h"
#include "train/task.h"
#include "train/trainer.h"
#include "train/unreadable_images.h"

namespace darknet {

// The settings of this rank: the GPUs of -gpus are divided among the ranks of a host; where it
// names one, the ranks take that and those after it.
TrainingSettings of_this_rank(TrainingSettings);

using MakeTask = std::unique_ptr<TrainingTask> (*)(const DataFile&, const std::vector<Section>&);

class Trainer {
 public:
  // Reads everything but the weights. Calls no collectives. `options`: of_this_rank().
  Trainer(const TrainingSettings& options, MakeTask task);
  void start(std::unique_ptr<TrainingObserver> observer);
  TrainingOutcome run();

 private:
  using Clock = std::chrono::steady_clock;
  void read_labels();
  void make_evaluator(LabelledImages valid);
  Start load();
  void require_equal_inputs();
  BatchSettings batches(bool whole = false) const;
  void show_images() const;
  void give_advice(const Start& start) const;
  void report_nothing_left(StartKind kind) const;
  void start_fresh(const Start& start);
  NumericsConfig numerics() const;
  void resume_algorithms();
  void make_replicas();
  void log_memory();
  void make_observers(std::unique_ptr<TrainingObserver> more);
  Ranks& ranks() const { return *options_.ranks.ranks; }
  bool is_first() const { return ranks().is_first(); }
  int interrupted() const {
    return options_.interrupted ? options_.interrupted() : signals_->exit_code();
  }
  void resize_to(const Batch& batch);
  void begin_step(const Batch& batch);
  void finish_step();
  void finish_steps() {
    while (step_->in_flight() > 0) finish_step();
  }
  void count(const StepResult& result);
  [[noreturn]] void report_not_finite(const StepResult& result);
  void require_images(const StepResult& result);
  void require_finite_parameters();
  void report(const StepResult& result, const EvaluationScore& evaluation, double seconds);
  std::int64_t asked() const { return state_.iteration + step_->in_flight(); }
  bool may_work_ahead() const;
  bool evaluation_due(std::int64_t i) const { return evaluator_ && evaluator_->due(i); }
  EvaluationScore evaluate();
  template <class F>
  void write_in_rank_0(F write);
  void rethrow_write_error() const {
    if (write_error_) std::rethrow_exception(write_error_);
  }
  void save_after_error();
  void log_saved(const char* why) const;
  void warn_of_kill_timeout(double seconds);
  bool out_of_patience() const { return evaluator_ && evaluator_->out_of_patience(); }
  const Batch* next_batch();
  void count_unreadable();
  void iterate(const Batch& batch);
  void run_steps();
  TrainingOutcome run_to_end();
  void finish_shards();
  TrainingOutcome finish(int exit_code);
  std::int64_t max_batches() const { return net_.settings().max_batches; }
  bool averaging() const;

  TrainingSettings options_;
  // Of all ranks but the first, until the first step: all would give the same warnings.
  std::optional<log::WithoutWarnings> quiet_;
  std::unique_ptr<LivePage> page_;  // until the observers take it; its port is opened first
  DataFile data_;
  std::vector<Section> cfg_;  // as every network of this run is made from it
  std::unique_ptr<TrainingTask> task_;
  ProtectedFiles inputs_;
  std::filesystem::path backup_;
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
  std::int64_t exit_code_ = 0;     // of the signal that any rank got
  std::unique_ptr<TrainingStep> step_;
  std::unique_ptr<ShardVerifier> shards_;  // of train=
  std::optional<Batches> batches_;
  std::optional<Loader> loader_;
  UnreadableImages unreadable_;  // by all ranks
  Clock::time_point last_;       // when the last iteration was done with
  double load_seconds_ = 0;      // waited for batches since
  std::vector<std::unique_ptr<TrainingObserver>> observers_;
  std::optional<InterruptGuard> signals_;  // none where the caller says when to end
  double seconds_per_iteration_ = 0;
  bool shards_cut_short_ = false;          // a signal ended finish_shards()
  bool refused_unreadable_ = false;        // count_unreadable() has thrown
  bool not_finite_ = false;                // the network may hold numbers that are not finite
  std::int64_t steps_without_images_ = 0;  // in a row: try_fix_nan left out all of them
  bool warned_left_out_ = false, warned_fixed_ = false;
  bool warned_of_kill_timeout_ = false;
  std::exception_ptr write_error_;  // of rank 0, which the other ranks have not been told yet
  const Launch launch_ = launch_of_environment();
  int slow_steps_ = 0;  // in a row, for the launcher's kill timeout
  DivergenceWatch divergence_;
};

}  // namespace darknet
