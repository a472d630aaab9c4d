// Observers of a training run: its log, chart, progress line, page and checkpoints.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "train/evaluation_sample.h"
#include "train/step.h"
#include "train/task_kind.h"

namespace darknet {

// The figures of one iteration.
struct IterationReport {
  TaskKind task = TaskKind::detection;
  std::int64_t iteration = 0, max_batches = 0, images_seen = 0, images = 0;
  double average_loss = 0;
  float learning_rate = 0;
  double load_seconds = 0, step_seconds = 0;  // waiting for the batch; computing
  double seconds_per_iteration = 0;           // running mean, for images/s and the ETA
  std::int64_t width = 0, height = 0;
  double map = -1;              // of this iteration's evaluation; -1: none
  double top1 = -1, topk = -1;  // the same of a classifier,
  std::int64_t top = 0;         // and the k of topk in every iteration
  double best_score = -1;       // the best map, of a classifier the best top1
  const StepResult* step = nullptr;
  std::vector<std::int64_t> head_layers;  // of step->heads
  // Of the last evaluation; null: none yet. Shared, because an observer may show it later.
  std::shared_ptr<const EvaluationSample> sample = nullptr;
};

class TrainingObserver {
 public:
  virtual ~TrainingObserver() = default;
  virtual void iteration(const IterationReport&) = 0;  // of every iteration, in their order
  // After the last iteration; `complete`: of the whole run, else it was interrupted.
  virtual void finished(bool /*complete*/) {}
};

}  // namespace darknet
