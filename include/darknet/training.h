// Trains a detector as `darknet detector train` does: with the same options, the same weights bit
// for bit. C++17.
//
//   darknet::TrainerOptions options;
//   options.data = "x.data", options.cfg = "x.cfg", options.backup = "runs/x";
//   options.overrides = {"yolo.0.obj_loss=focal"};
//   options.max_batches = 2000;
//   const darknet::TrainingResult result =
//       darknet::train(options, [](const darknet::TrainingIteration& i) {
//         std::printf("%lld: %f\n", static_cast<long long>(i.iteration), i.loss);
//         return i.loss < 1e3;  // false: save, and end
//       });
//
// Nothing is written to standard output, no signal is handled, and no page is served. Training over
// several GPUs, its length in hours and event files for TensorBoard are left to the command.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "darknet/detector.h"  // LogLevel
#include "darknet/error.h"
#include "darknet/export.h"

namespace darknet {

// What is out of its range, or does not go together, is an Exception of train().
struct TrainerOptions {
  std::filesystem::path data;  // a .data file: train=, names= or classes=; with `map` also valid=
  std::filesystem::path cfg;   // NAME.cfg; the files that are written are called NAME_...
  // A backbone, or earlier weights. NAME_last.weights with NAME_last.state next to it resumes where
  // that training ended. Empty: from scratch.
  std::filesystem::path weights;
  std::vector<std::string> overrides;  // changes of the cfg, as of -set: "net.0.batch=32"
  std::filesystem::path backup;        // folder of the files; empty: backup= of the .data file
  std::optional<std::uint64_t> seed;   // none: 1, or that of the training that is resumed
  std::string device = "auto";         // as DetectorOptions::device
  std::string precision;  // element type of activations: "" as the cfg has it, "f32", "bf16", "f16"
  std::int64_t max_batches = 0;  // iterations; 0: max_batches= of the cfg
  // In its place: passes over the training images; burn_in and steps scale along.
  double epochs = 0;
  bool map = false;              // evaluate on valid= during the run; keeps NAME_best.weights
  double map_epochs = 4;         // between two evaluations, of at least 100 iterations
  std::int64_t patience = 0;     // with `map`: end after so many evaluations without gain; 0: never
  bool clear = false;            // count from 0, and forget the optimizer's state
  std::int64_t partial = 0;      // load only the first so many layers of the weights; 0: all
  std::int64_t freeze = 0;       // the first so many layers keep the values of the weights
  std::int64_t save_every = 0;   // period of the numbered weights files, iterations; 0: Darknet's
  int loader_threads = 0;        // that read and augment images; 0: chosen, up to 1024
  std::int64_t cache_mb = 2048;  // decoded images kept in memory
  double max_bad = .01;          // share of images that may be unreadable and are skipped, 0..1
  std::string bad_labels = "stop";  // of invalid labels: "stop", "clip", "skip" (as -bad_labels)
  bool exact = false;               // direct convolutions only
  bool deterministic = false;       // GPUs: only algorithms that are bitwise reproducible
  std::filesystem::path tuning;     // the convolutions' algorithms, by `darknet bench -tune`
  // Gets messages from the calling thread, as DetectorOptions::log does. Null: they are dropped.
  std::function<void(LogLevel, const std::string& message)> log;
  // Asked between the steps, and between the batches of an evaluation, by the calling thread. Once
  // it returns true the training is saved and ends. Null: nobody is asked.
  std::function<bool()> stop;
};

// One iteration that has been made. A loss is a mean over its images.
struct TrainingIteration {
  std::int64_t iteration = 0;    // from 1
  std::int64_t max_batches = 0;  // of how many
  std::int64_t images_seen = 0;  // from the start of the training
  double loss = 0;
  double average_loss = 0;  // a running mean, in which the newest loss counts a tenth
  double learning_rate = 0;
  double images_per_second = 0;               // a running mean
  double load_seconds = 0, step_seconds = 0;  // waiting for the images; computing
  std::int64_t width = 0, height = 0;         // of the network's input, pixels
  std::optional<double> map;                  // mAP@0.5, 0..1, where this iteration was evaluated
  std::optional<double> best_map;             // of the evaluations so far; none before the first
};

// Called after each iteration, and after its files are written, by the thread that called train().
// `false` saves and ends the training, and so does an exception, which train() then throws on.
// Afterwards it is not called again, although an iteration that a GPU is computing already is
// finished and saved too. It must not use a Detector on the GPU that trains (an Exception).
using IterationObserver = std::function<bool(const TrainingIteration&)>;

struct TrainingResult {
  std::int64_t iterations = 0;  // made so far, with those of a training that was resumed
  bool stopped = false;         // by the observer or `stop`, after saving
  // BACKUP/NAME_final.weights; where it was stopped NAME_last.weights.
  std::filesystem::path weights;
  std::optional<double> best_map;  // none without an evaluation
};

// Writes into the backup folder what the command writes: weights, state, logs (NAME_log.jsonl,
// NAME_results.csv) and chart. One training at a time in a process: throws where another is at
// work. Throws where a file is missing or invalid, and where the loss is no longer a finite number;
// what was trained until then is saved where it is sound.
DARKNET_EXPORT TrainingResult train(const TrainerOptions&, const IterationObserver& = nullptr);

}  // namespace darknet
