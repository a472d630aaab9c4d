// darknet detector train data cfg [weights]
#include <memory>

#include "cli/bad_labels.h"
#include "cli/command.h"
#include "cli/run_inputs.h"
#include "core/log.h"
#include "train/trainer.h"

namespace darknet::cli {
namespace {

void add_length(CLI::App& app, TrainerOptions& o) {
  CLI::Option* const iterations =
      app.add_option("--max_batches", o.max_batches,
                     "iterations, instead of the cfg's max_batches; the rest of the schedule stays")
          ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 40));
  add_run_length(app, o.length, iterations);
  app.add_option("--saveweights", o.save_every, "period of the numbered weights files")
      ->check(whole_from(1));
}

void add_evaluation(CLI::App& app, TrainerOptions& o) {
  CLI::Option* const map =
      app.add_flag("--map", o.map, "evaluate on valid= during the run; keeps _best.weights");
  app.add_option("--mAP_epochs", o.map_epochs,
                 "epochs between evaluations (at least 100 iterations)")
      ->check(between(.001, 1e6))
      ->needs(map)
      ->capture_default_str();
  app.add_option("--patience", o.patience,
                 "with -map: end after so many evaluations without a better mAP; 0: never")
      ->check(whole_from(0))
      ->needs(map);
}

void add_start(CLI::App& app, TrainerOptions& o) {
  app.add_flag("--clear", o.clear, "count iterations from zero and forget the optimizer's state");
  app.add_option("--partial", o.cutoff, "load only the first N layers of the weights")
      ->check(whole_from(1))
      ->type_name("N");
  add_seed(app, "of everything random; the same seed gives the same weights (1)",
           [&o](std::uint64_t seed) { o.seed = seed; });
}

void add_data(CLI::App& app, TrainerOptions& o) {
  app.add_option("--backup", o.backup,
                 "folder of the weights, instead of the .data file's backup=");
  app.add_option("--cache", o.cache_mb, "MB of decoded images kept in memory")
      ->check(CLI::Range(0, 1 << 30))
      ->capture_default_str();
  app.add_option_function<double>(
         "--max_bad", [&o](const double& percent) { o.max_bad = percent / 100; },
         "per cent of the images that may be unreadable and are skipped (1)")
      ->check(between(0, 100));
  add_bad_labels(app, o.bad_labels);
}

}  // namespace

void add_detector_train(CLI::App& program, Run& run) {
  CLI::App& app = subcommand(program, {"detector", "train"}, "train a detector");
  const auto o = std::make_shared<TrainerOptions>();  // outlives this call, in CLI11's callbacks
  data_argument(app, o->data)->required();
  cfg_argument(app, o->cfg)->required();
  app.add_option("weights", o->weights,
                 "a backbone or earlier weights; x_last.weights resumes where it ended");
  add_evaluation(app, *o);
  add_start(app, *o);
  add_length(app, *o);
  add_data(app, *o);
  add_overrides(app, o->overrides);
  add_threads(app, o->threads, "threads that read and augment images");
  add_arithmetic(app, o->exact, o->overrides, o->tuning);
  add_devices(app, o->device, o->others);
  add_deterministic(app, o->deterministic);
  add_darknet_habits(app);
  app.final_callback([o, &run] { run = [o] { return train_detector(*o).exit_code; }; });
}

}  // namespace darknet::cli
