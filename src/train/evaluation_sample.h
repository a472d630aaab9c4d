// A few images of valid= with what the last evaluation of a training run found on them.
#pragma once
#include <cstdint>
#include <filesystem>
#include <vector>

#include "detect/box.h"

namespace darknet {

struct SampledImage {
  std::filesystem::path file;
  std::vector<Truth> truths;
  std::vector<Detection> detections;  // at least as probable as `threshold`
};
struct EvaluationSample {
  std::int64_t iteration = 0;  // that was evaluated
  float threshold = .25f;      // where F1 was best
  std::vector<SampledImage> images;
};

}  // namespace darknet
