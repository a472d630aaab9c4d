// One run of a sweep: trains the cfg of its variant from its seed in its own folder, evaluates it
// and leaves the result there.
#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "eval/predict.h"
#include "report/comparison.h"
#include "train/sweep_options.h"

namespace darknet {

// What all runs have in common.
struct SweepSetting {
  SweepOptions options;
  std::filesystem::path data;  // that the runs are made with: options.data, or with a tuning split
  std::string cfg_text;        // of options.cfg
  EvaluationSet valid;
  std::int64_t classes = 0;
};

struct SweepSite {
  ComparedVariant variant;
  std::uint64_t seed = 1;
  std::filesystem::path folder;
};

inline constexpr const char* kHowToResume = "run the same command again";

// Trains (or resumes) and evaluates the run; the caller holds its lock. 0, or the exit code of an
// interruption, after saving. A run that diverges has ended, and its result says so.
int make_run(const SweepSetting&, const SweepSite&);

// The result of a run that has ended; none where it has not. Detections that were not stored, or
// are of other weights, are computed again; none, too, where that is interrupted.
std::optional<ComparedRun> read_run(const SweepSetting&, const SweepSite&);

// Forgets a run that diverged, so that it is made from its beginning; nothing of others.
void forget_diverged(const SweepSetting&, const SweepSite&);

}  // namespace darknet
