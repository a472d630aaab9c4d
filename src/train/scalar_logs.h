// The figures of a training run for programs that draw or compare runs: a CSV file, and event files
// of TensorBoard.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "report/event_file.h"
#include "report/training_chart.h"
#include "train/line_log.h"
#include "train/observer.h"

namespace darknet {

// All figures of an iteration, those of heads as "layer_16/mean_iou", always in the same order.
std::vector<Scalar> scalars_of(const LoggedIteration&);

// NAME_results.csv: a header, then one line per iteration; empty cells where nothing is known.
class ResultsCsv final : public TrainingObserver {
 public:
  ResultsCsv(const std::filesystem::path&, std::int64_t keep_up_to_iteration);
  void iteration(const IterationReport&) override;

 private:
  std::string path_;
  LineLog log_;
  bool begun_ = false;
};

// FOLDER/events.out.tfevents...: one file for each call of the program, which is how TensorBoard
// takes runs that resume.
class TensorBoardLog final : public TrainingObserver {
 public:
  TensorBoardLog(const std::filesystem::path& folder, std::int64_t resumed_at);
  void iteration(const IterationReport&) override;

 private:
  AppendedFile file_;
};

}  // namespace darknet
