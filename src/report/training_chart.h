// The chart of a training, and of several beside each other, from their NAME_log.jsonl.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "report/chart.h"

namespace darknet {

// What a log tells of one head, one entry per iteration of the history it belongs to.
struct HeadHistory {
  std::string name;  // "layer 16"
  std::vector<double> objectness_positive, objectness_negative, class_loss, box_loss;
  std::vector<double> share_easy, share_hard, share_positive;  // of the objectness gradient
  std::vector<double> p_positive, p_negative;
};

// The figures of a log that a chart shows, one entry per iteration told; heads are summed or, for
// means, weighed by their counts. What a line does not have is NaN.
struct TrainingHistory {
  std::string label;
  std::vector<double> iteration, loss, average_loss, learning_rate, images_per_second, map;
  std::vector<double> objectness_positive, objectness_negative, class_loss, box_loss;
  std::vector<double> share_easy, share_hard, share_positive;  // of the objectness gradient
  std::vector<double> p_positive, p_negative, mean_iou;
  std::vector<double> positives, negatives, seconds;  // anchors of the batch; load and step
  std::vector<HeadHistory> heads;                     // each by itself

  // One line of a log; false where it is none (a kill may have cut it).
  bool add(const std::string& json_line);
};

inline constexpr std::uint64_t kMaxLogBytes = std::uint64_t{1} << 32;  // of a training's log

// Throws where the file cannot be read or no line of it is of a training log.
TrainingHistory read_history(const std::filesystem::path& log);

// All figures of one training.
Chart training_chart(const TrainingHistory&);
// What can be compared of several, one line each.
Chart comparison_chart(const std::vector<TrainingHistory>&);

}  // namespace darknet
