// The chart of a training run, and of several side by side, from their NAME_log.jsonl.
#pragma once
#include <array>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "core/index.h"
#include "detect/telemetry.h"
#include "report/chart.h"

namespace darknet {

// The telemetry of a log, one entry per iteration of the history it belongs to.
class FigureHistory {
 public:
  std::vector<double>& operator[](Figure f) { return values_[to_size(f)]; }
  const std::vector<double>& operator[](Figure f) const { return values_[to_size(f)]; }

 private:
  std::array<std::vector<double>, kTelemetryFigures.size()> values_;
};

struct HeadHistory {
  std::string name;  // "layer 16"
  FigureHistory figures;
};

inline constexpr double kNotLogged = std::numeric_limits<double>::quiet_NaN();

// What a log has of one head in one iteration.
struct LoggedHead {
  double layer = kNotLogged;
  std::array<double, kTelemetryFigures.size()> figures = filled_with(kNotLogged);
  double operator[](Figure f) const { return figures[to_size(f)]; }

 private:
  static constexpr std::array<double, kTelemetryFigures.size()> filled_with(double value) {
    std::array<double, kTelemetryFigures.size()> all{};
    for (double& v : all) v = value;
    return all;
  }
};

// One iteration as it is logged and drawn; what is not known is kNotLogged.
struct LoggedIteration {
  double iteration = kNotLogged, loss = kNotLogged, average_loss = kNotLogged;
  double learning_rate = kNotLogged, images_per_second = kNotLogged, map = kNotLogged;
  double top1 = kNotLogged, topk = kNotLogged, top = kNotLogged;  // of a classifier; top: the k
  double load_seconds = kNotLogged, step_seconds = kNotLogged;
  std::vector<LoggedHead> heads;
};

// The figures of a log that a chart shows, one entry per logged iteration; heads are summed or, for
// means, weighted by their counts. What a line does not have is NaN.
struct TrainingHistory {
  std::string label;
  std::vector<double> iteration, loss, average_loss, learning_rate, images_per_second, map;
  std::vector<double> top1, topk;
  double top = kNotLogged;         // the k of topk; not logged: of a detector
  std::vector<double> seconds;     // load and step
  FigureHistory figures;           // of all heads together
  std::vector<HeadHistory> heads;  // each by itself

  void add(const LoggedIteration&);
  // The same from a line of a log; false where it is none (a kill may have cut it) or holds a
  // figure that is no number.
  bool add(const std::string& json_line);
};

inline constexpr std::uint64_t kMaxLogBytes = std::uint64_t{1} << 32;  // of a training run's log

// The share of objects in the objectness gradient of the first training step, mean of the heads;
// kNotLogged where the history does not begin with it.
double first_positive_share(const TrainingHistory&);

// Throws where the file cannot be read, its first line is of no training log or a figure in it is
// no number.
TrainingHistory read_history(const std::filesystem::path& log);

// All figures of one training.
Chart training_chart(const TrainingHistory&);
// Of it, the shares of easy and hard background and of objects in the objectness gradient.
Panel gradient_share_panel(const TrainingHistory&);
// What can be compared of several, one line each.
Chart comparison_chart(const std::vector<TrainingHistory>&);

// Training runs of one recipe: a line for their mean and a band from the lowest to the highest.
struct HistoryGroup {
  std::string label;
  std::vector<const TrainingHistory*> histories;  // not null; must outlive the call
};
Chart comparison_chart(const std::vector<HistoryGroup>&);

}  // namespace darknet
