// NAME_chart.svg and NAME_chart.png next to the weights, drawn anew during a training run.
#pragma once
#include <chrono>
#include <filesystem>
#include <string>

#include "report/training_chart.h"
#include "train/observer.h"

namespace darknet {

class LiveChart final : public TrainingObserver {
 public:
  // `past`: the lines of the log that a resumed run keeps.
  LiveChart(std::filesystem::path base, const std::string& label, const std::string& past);

  void iteration(const IterationReport&) override;  // now and then the chart is drawn
  void finished(bool /*complete*/) override { draw(); }

 private:
  // A chart that cannot be written is warned about once and ends no run.
  void draw();

  std::filesystem::path base_;
  TrainingHistory history_;
  std::chrono::steady_clock::time_point drawn_ = std::chrono::steady_clock::now();
  bool failed_ = false;
};

}  // namespace darknet
