// What a sweep is to do: the same cfg with the keys of each variant, from the same seeds.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/device.h"
#include "dataset/labels.h"
#include "train/sweep_plan.h"
#include "train/tuning_split.h"

namespace darknet {

inline constexpr const char* kDefaultPer = "obj_loss";

struct SweepOptions {
  std::filesystem::path data, cfg, out;  // out: the folder of everything made
  std::filesystem::path weights;         // that every run starts from; "": from scratch
  SweepRequest request;                  // empty: the variants that the folder has
  std::vector<std::uint64_t> seeds{1};
  std::vector<std::string> overrides;  // -set, of every variant
  std::int64_t max_batches = 0;        // 0: the cfg's
  int threads = 0;                     // of the loader; 0: chosen
  Device device;
  std::filesystem::path tuning;  // "": heuristics
  bool clear = false, exact = false, deterministic = false;
  bool map = false;    // also evaluate as the training runs go
  bool retry = false;  // train again what diverged
  BadLabels bad_labels = BadLabels::stop;
  std::vector<std::string> train_flags;  // of `detector train`, to repeat a run with these options
  std::int64_t shard = 1, shards = 1;    // of the runs, numbered in their order: each shards-th
  // The runs are trained without the tuning split (train/tuning_split.h) and evaluated on it; for
  // each value of the key `per`, or combination of values of its comma-separated keys, the best
  // variant is chosen. With an empty request, 0 and "" are the folder's.
  bool tune = false;
  double tune_share = kTuneShare;
  std::string per = kDefaultPer;
  bool confirms = false;    // what another sweep has chosen, with seeds of its own
  std::int64_t freeze = 0;  // the first layers, which keep the values of `weights`
};

}  // namespace darknet
