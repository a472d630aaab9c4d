// What a training tells while it runs: one line per iteration for people, one JSON object per
// iteration for programs.
#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>
#include "core/file.h"
#include "train/step.h"

namespace darknet {

// The figures of one iteration.
struct IterationReport {
  std::int64_t iteration = 0, max_batches = 0, images_seen = 0, images = 0;
  double average_loss = 0;
  float learning_rate = 0;
  double load_seconds = 0, step_seconds = 0;  // waiting for the batch; computing
  double seconds_per_iteration = 0;           // running mean, for images/s and the ETA
  std::int64_t width = 0, height = 0;
  double map = -1;  // of this iteration's evaluation; -1: none
  double best_map = -1;
  const StepResult* step = nullptr;
  std::vector<std::int64_t> head_layers;
};

std::string progress_line(const IterationReport&);
std::string json_line(const IterationReport&);

FileFormat training_log_format();

// NAME_log.jsonl: appended line by line. On a resume, lines of later iterations are dropped first.
class TrainingLog {
 public:
  TrainingLog(std::filesystem::path, std::int64_t keep_up_to_iteration);
  void append(const std::string& line);
  // The lines of an earlier training that this one goes on with; empty after the first append().
  const std::string& kept() const { return kept_; }

 private:
  std::filesystem::path path_;
  std::string kept_;  // an older log stays as it is until the first line of this training
  std::optional<AppendedFile> file_;
};

}  // namespace darknet
