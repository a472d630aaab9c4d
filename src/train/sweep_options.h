// What a sweep is to do: the same cfg with the keys of each variant, from the same seeds.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/device.h"
#include "dataset/labels.h"
#include "train/sweep_plan.h"

namespace darknet {

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
  std::vector<std::string> train_flags;  // of `detector train`, to repeat a run as told here
  std::int64_t shard = 1, shards = 1;    // of the runs, numbered in their order: each shards-th
};

}  // namespace darknet
