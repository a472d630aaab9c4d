// Trains and evaluates every variant with every seed, and keeps the results: `detector sweep`, of
// which `detector compare` is the case of few variants. Seeds are the outer loop: after each of
// them every variant has as many runs. The results are a Comparison (report/comparison.h).
#pragma once
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "train/sweep_folder.h"
#include "train/sweep_options.h"
#include "train/sweep_run.h"

namespace darknet {

class Sweep {
 public:
  // Reads the lists and labels, checks every variant and adds variants and seeds to the folder.
  // Throws where any of it is unsound, or the folder holds runs of other data or settings. Where
  // nothing is requested, the settings are the folder's.
  explicit Sweep(const SweepOptions&);

  const SweepOptions& options() const { return setting_.options; }
  // All that the folder held at the last update(), the baseline first.
  const Comparison& comparison() const { return found_; }

  // Reads the variants, seeds and results that this or other processes have added to the folder
  // since, and with a tuning split makes its choice anew. Returns the runs that have ended since.
  std::vector<const ComparedRun*> update();

  // Makes the runs of this call that have not ended and that no other process makes, one after
  // another, and calls `after_run` after each. 0, or the exit code of an interruption, after
  // saving; the same call resumes.
  int run(const std::function<void()>& after_run);

  // The runs of this call, and how many of them have not ended: after run(), those that other
  // processes make.
  std::int64_t size() const { return static_cast<std::int64_t>(queue_.size()); }
  std::int64_t unfinished() const;
  // How many of them have not ended and are made by nobody at this moment.
  std::int64_t free_runs() const;
  // Forgets those that diverged and that nobody makes, to train them again.
  void forget_diverged();

  const SweepFolder& folder() const { return folder_; }

 private:
  struct Taken {
    const SweepSite* site;
    std::unique_ptr<LockFile> lock;
  };
  void require_own_kind() const;
  void adopt_settings();
  void require_settings_of(const nlohmann::json& folders) const;
  void freeze(const std::vector<Section>& cfg);
  void read_cfg_and_plan();
  void require_known_per() const;
  void split_lists();
  void keep_split(const DataFile& user) const;
  void read_valid();
  bool has_runs_to_make() const;
  void check_variants(const std::vector<Section>& cfg);
  void make_queue();
  void arrange();
  void choose();
  bool is_sound(const std::vector<std::string>& overrides) const;
  Taken take_next() const;

  SweepSetting setting_;
  SweepFolder folder_;
  nlohmann::json shared_;  // what all runs of the folder have in common
  SweptCfg cfg_;
  std::optional<TuningSplit> split_;  // where a tuning split is kept
  std::vector<PlannedVariant> planned_;
  std::vector<SweepSite> queue_;
  Comparison found_;
};

// "run 3 of 60: focal, seed 1: mAP@0.5 71.2 %, ETA 1:02:03", after each run.
class SweepProgress {
 public:
  explicit SweepProgress(const Sweep& sweep);
  void report(const ComparedRun&);

 private:
  const Sweep& sweep_;
  std::chrono::steady_clock::time_point start_;
  std::int64_t made_ = 0;
};

}  // namespace darknet
