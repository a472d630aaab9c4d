// What a training run reports while it goes: one line per iteration for people, one JSON object per
// iteration for programs.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>
#include "report/training_chart.h"
#include "train/line_log.h"
#include "train/observer.h"

namespace darknet {

std::string progress_line(const IterationReport&);
std::string json_line(const IterationReport&);
LoggedIteration logged(const IterationReport&);  // what of json_line() a chart shows

FileFormat training_log_format();

// NAME_log.jsonl: appended line by line. On a resume, lines of later iterations are dropped first.
class TrainingLog final : public TrainingObserver {
 public:
  TrainingLog(std::filesystem::path, std::int64_t keep_up_to_iteration);
  void iteration(const IterationReport& r) override { log_.append(json_line(r)); }
  // The lines of the run that this one resumes; empty after the first iteration.
  const std::string& kept() const { return log_.kept(); }

 private:
  LineLog log_;
};

// On a terminal a line that is rewritten with every iteration; elsewhere one now and then. At the
// end, how many iterations an overflow of f16 left without an update.
class ProgressLine final : public TrainingObserver {
 public:
  void iteration(const IterationReport&) override;
  void finished(bool complete) override;

 private:
  std::int64_t iterations_ = 0, overflows_ = 0;  // of this call
};

}  // namespace darknet
