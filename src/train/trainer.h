// The training loop behind `darknet detector train` and `classifier train`: batches in, updates,
// checkpoints, evaluation, and what is reported about them.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/device.h"
#include "core/together.h"
#include "dataset/labels.h"
#include "train/all_reduce.h"
#include "train/length.h"
#include "train/observer.h"
#include "web/http_address.h"

namespace darknet {

struct TrainingSettings {
  std::filesystem::path data, cfg, weights;  // weights "": from scratch
  std::vector<std::string> overrides;        // -set
  std::filesystem::path backup;              // "": the .data file's backup=, else "backup"
  std::optional<std::uint64_t> seed;         // none: 1, or the resumed training's
  Device device;
  std::vector<Device> others;    // further devices of its type that share every batch with it
  TrainingRanks ranks = {};      // and further processes; alone by default
  std::filesystem::path tuning;  // algorithms of a fresh start; "": heuristics
  bool clear = false, map = false, exact = false, deterministic = false;
  double map_epochs = 4;      // evaluate every so many epochs, at least every 100 iterations
  std::int64_t patience = 0;  // end after so many evaluations without a better score; 0: never
  std::int64_t cutoff = -1;   // layers to load from `weights`
  std::int64_t freeze = 0;    // the first layers, which keep their values
  std::int64_t save_every = 0;
  std::int64_t max_batches = 0;  // 0: the cfg's
  RunLength length;              // instead of max_batches: the rest of the schedule scales along
  std::int64_t planned = 0;      // iterations that `length` amounts to; train_... fills it in
  int threads = 0;               // of the loader; 0: chosen
  std::int64_t cache_mb = 2048;  // decoded images kept in memory
  double max_bad = .01;          // share of images that may be unreadable
  BadLabels bad_labels = BadLabels::stop;
  std::int64_t show_images = 0;  // so many augmented images go to NAME_augmented/ at the start
  std::filesystem::path tensorboard = {};  // folder for event files; "": none
  HttpAddress http = {};                   // of a page that shows the run while it goes
  std::string how_to_resume = {};  // for the message of an interrupted run; "": with its weights
  // Asked between the steps and between the batches of an evaluation: 0, or the exit code with
  // which the run ends after saving; it stays so. Null: that of a signal (train/interrupt.h).
  std::function<int()> interrupted = nullptr;
};

// A loss or gradient that is not finite: the training run ended there, in every rank.
class Diverged : public CommonFailure {
 public:
  // The message is `reason`, then `more`.
  Diverged(std::int64_t iteration, std::string reason, const std::string& more)
      : CommonFailure(reason + more), iteration_(iteration), reason_(std::move(reason)) {}
  std::int64_t iteration() const { return iteration_; }
  const std::string& reason() const { return reason_; }  // one sentence without its full stop

 private:
  std::int64_t iteration_;
  std::string reason_;
};

struct TrainingOutcome {
  std::int64_t iterations = 0;
  double best_score = -1;         // mAP@0.5, of a classifier the top-1 accuracy
  int exit_code = 0;              // 130, 143: interrupted, after saving
  std::filesystem::path weights;  // NAME_final.weights; where it was interrupted NAME_last.weights
};

// `observer`: called for each iteration after all other observers; may be null. Throws Diverged,
// and Error where anything else is wrong.
TrainingOutcome train_detector(const TrainingSettings&,
                               std::unique_ptr<TrainingObserver> observer = nullptr);
// The same of a classifier: images are of the classes that dataset/class_targets.h finds. `length`
// may give epochs alone.
TrainingOutcome train_classifier(const TrainingSettings&,
                                 std::unique_ptr<TrainingObserver> observer = nullptr);

}  // namespace darknet
