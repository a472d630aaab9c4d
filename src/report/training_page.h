// The page of a training run while it goes, as pure functions: progress, charts, and what the
// network finds on some validation images. Its script asks for what is new; train/live_page.h
// answers.
#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "report/page_markup.h"
#include "report/training_chart.h"

namespace darknet {

enum class TrainingPhase : std::uint8_t { preparing, training, finished, interrupted };
const char* name_of(TrainingPhase);

struct TrainingProgress {
  TrainingPhase phase = TrainingPhase::preparing;
  std::int64_t iteration = 0, max_batches = 0;
  double seconds_per_iteration = 0;
  double best_score = -1;        // a fraction; -1: no evaluation yet
  std::int64_t sampled_at = -1;  // the iteration that the images are of; -1: there are none
  float threshold = 0;           // of the detections on them
};

// Names and values to read at a glance; what is not known yet is left out. The telemetry is the
// mean of the last iterations.
std::vector<std::pair<std::string, std::string>> training_figures(const TrainingHistory&,
                                                                  const TrainingProgress&);

// What the script asks for now and then: {"phase", "sentence", "done" (0 to 1), "iteration",
// "max_batches", "sampled_at", "figures": [[name, value]]}.
std::string training_state_json(const TrainingHistory&, const TrainingProgress&);
// What it asks for where the iteration or the images have changed.
std::string training_charts(const TrainingHistory&);
std::string training_images(const TrainingProgress&, const std::vector<PageImage>&);

// The page as it is now. It needs no other address than these three, state.json, charts.html and
// images.html, and works without its script, as of the moment when it was loaded.
std::string training_page(const TrainingHistory&, const TrainingProgress&,
                          const std::vector<PageImage>&);

}  // namespace darknet
