#include "cli/training_flags.h"

#include "cli/bad_labels.h"
#include "cli/common_flags.h"
#include "core/log.h"

namespace darknet::cli {
namespace {

void add_length(const Command& command, TrainingSettings& o, Trained trained) {
  const Option iterations =
      command
          .option("-max_batches", o.max_batches,
                  "iterations, instead of the cfg's max_batches; the rest of the schedule stays")
          .integer_in(1, std::int64_t{1} << 40);
  if (trained == Trained::detector)
    add_run_length(command, o.length, &iterations);
  else
    add_epochs(command, o.length, &iterations);
  command.option("-saveweights", o.save_every, "period of the numbered weights files")
      .integer_from(1);
}

void add_evaluation(const Command& command, TrainingSettings& o, Trained trained) {
  const bool detector = trained == Trained::detector;
  const Option map = command.flag(
      detector ? "-map" : "-topk,-map", o.map,
      detector ? "evaluate on valid= during the run; keeps _best.weights"
               : "evaluate on valid= during the run: top-1 and top-k accuracy, k by top= of the "
                 ".data file (5); keeps _best.weights, by top-1");
  command
      .option("-mAP_epochs", o.map_epochs, "epochs between evaluations (at least 100 iterations)")
      .number_in(.001, 1e6)
      .needs(map)
      .show_default();
  command
      .option("-patience", o.patience,
              detector ? "with -map: end after so many evaluations without a better mAP; 0: never"
                       : "with -topk: end after so many evaluations without a better top-1; 0: "
                         "never")
      .integer_from(0)
      .needs(map);
}

void add_start(const Command& command, TrainingSettings& o) {
  command.flag("-clear", o.clear, "count iterations from zero and forget the optimizer's state");
  command.option("-partial", o.cutoff, "load only the first N layers of the weights")
      .integer_from(1)
      .value_name("N");
  add_freeze(command, o.freeze);
  add_seed(command, "of everything random; the same seed gives the same weights (1)",
           [&o](std::uint64_t seed) { o.seed = seed; });
}

void add_data(const Command& command, TrainingSettings& o, Trained trained) {
  command.option("-backup", o.backup, "folder of the weights, instead of the .data file's backup=");
  command.option("-cache", o.cache_mb, "MB of decoded images kept in memory")
      .integer_in(0, 1 << 30)
      .show_default();
  constexpr std::int64_t kShown = 20;  // one contact sheet
  if (trained == Trained::detector)
    command.flag(
        "-show_imgs", [&o] { o.show_images = kShown; },
        "write the first augmented images with their boxes and a contact sheet, to "
        "NAME_augmented/ next to the weights");
  add_max_bad(command, o.max_bad);
  if (trained == Trained::detector) add_bad_labels(command, o.bad_labels);
}

// Flags of other Darknet forks and of other commands that have no effect here or are refused.
void add_training_compatibility_flags(const Command& command, Trained trained) {
  add_compatibility_flags(command);
  for (const IgnoredFlag& flag :
       {IgnoredFlag{"-chart", true,
                    "the chart is always written, as NAME_chart.svg and .png next to the weights"},
        IgnoredFlag{"-show", false, "training opens no window"}})
    add_ignored(command, flag);
  if (trained != Trained::detector)
    return add_ignored(command, {"-show_imgs", false, "augmented images are not shown"});
  add_ignored(command, {"-thresh", true, "mAP does not depend on it"});
  add_refused(command, "-tile",
              "a network is trained on images at the size of its input, and -map measures it on "
              "such; detector map -tile measures the weights on tiles of large images");
  add_ignored(command,
              {"-letter_box", false, "-set net.0.letter_box=1 does it, or the key in the cfg"});
}

}  // namespace

void add_training_flags(const Command& command, TrainingSettings& o, Trained trained) {
  data_argument(command, o.data).required();
  cfg_argument(command, o.cfg).required();
  command.argument("weights", o.weights,
                   "a backbone or earlier weights; x_last.weights resumes where it ended");
  add_evaluation(command, o, trained);
  add_start(command, o);
  add_length(command, o, trained);
  add_data(command, o, trained);
  add_overrides(command, o.overrides);
  add_threads(command, o.threads, "threads that read and augment images");
  add_arithmetic(command, o.exact, o.overrides, o.tuning);
  add_devices(command, o.device, o.others);
  add_deterministic(command, o.deterministic);
  command.flag(
      "-bf16_reduce", o.ranks.bf16,
      "several ranks (mpirun): gradients travel between them in bf16, half the bytes; NCCL "
      "also adds them in bf16. One process with several GPUs sums in f32");
  add_port(command, "-http_port,-mjpeg_port", o.http.port,
           trained == Trained::detector
               ? "serve a page with progress, charts and, with -map, detections"
               : "serve a page with progress and charts");
  add_bind(command, o.http.bind);
  command
      .option("-tensorboard", o.tensorboard,
              "folder for event files with all figures of the log, which TensorBoard draws")
      .value_name("FOLDER");
  add_training_compatibility_flags(command, trained);
}

void require_possible_training(const Command& command, const TrainingSettings& o) {
  if (o.http.port < 0 && command.at("-bind").given())
    throw Error("-bind needs -http_port: without it nothing is served", 2);
  if (o.freeze > 0 && o.weights.empty()) throw Error("-freeze needs a weights file", 2);
}

void join_ranks(TrainingSettings& o) {
  o.ranks.ranks = &launched_ranks();
  may_overlap(), may_use_nccl();  // throw for a value that says neither
  if (!o.ranks.ranks->several() && o.ranks.bf16)
    log::warn("-bf16_reduce has no effect: there is one process, and mpirun starts several");
}

}  // namespace darknet::cli
