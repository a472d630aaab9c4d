// One frame on its way through the pipeline, and what is known of it so far.
#pragma once
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "eval/predict.h"
#include "image/image.h"
#include "video/track.h"

namespace darknet {

struct Frame {
  using Clock = std::chrono::steady_clock;
  std::int64_t number = 0;  // from 1, in the order of capture; dropped frames have numbers too
  double seconds = 0;       // since the first frame
  Clock::time_point captured;
  Image image;
  PreparedImage prepared;
  std::vector<Detection> detections;
  std::vector<TrackedDetection> found;  // what is shown and recorded
  std::string line, state;              // as JSON, for files and for the web page
};

}  // namespace darknet
