// NAME_chart.svg and NAME_chart.png beside the weights, drawn anew while a training runs.
#pragma once
#include <chrono>
#include <filesystem>
#include <string>

#include "report/training_chart.h"

namespace darknet {

class LiveChart {
 public:
  // `past`: the lines of the log that a resumed training keeps.
  LiveChart(std::filesystem::path base, const std::string& label, const std::string& past);

  // One line of the log; now and then the chart is drawn with it.
  void add(const std::string& json_line);
  // A chart that cannot be written is warned about once and ends no training.
  void draw();

 private:
  std::filesystem::path base_;
  TrainingHistory history_;
  std::chrono::steady_clock::time_point drawn_ = std::chrono::steady_clock::now();
  bool failed_ = false;
};

}  // namespace darknet
