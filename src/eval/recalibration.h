// Fitting a map of confidences to a set of matched detections, with its error on images that the
// fit did not see. How far confidences are off is measured in eval/calibration.h.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "core/named.h"
#include "eval/calibration.h"
#include "eval/confidence_map.h"

namespace darknet {

enum class CalibrationMethod : std::uint8_t {
  temperature,  // Guo et al., "On Calibration of Modern Neural Networks" (ICML 2017), section 4.2
  isotonic      // Zadrozny and Elkan (KDD 2002), by pool-adjacent-violators
};
constexpr auto choices(CalibrationMethod) {
  return std::to_array<Named<CalibrationMethod>>(
      {{"temperature", CalibrationMethod::temperature}, {"isotonic", CalibrationMethod::isotonic}});
}

struct ScoredHit {
  float score = 0;  // confidence, 0..1
  bool hit = false;
};

// The temperature of the smallest negative log-likelihood, within .01 to 100; or the rising curve
// of the smallest squared error. Throws unless there are hits and misses.
ConfidenceMap fit_confidences(std::vector<ScoredHit>, CalibrationMethod);

struct Recalibration {
  ConfidenceMap map;          // of all images
  Calibration before, after;  // after: each half of the images by the map of the other half
  std::int64_t images = 0, detections = 0, hits = 0;
};
// Of the detections with a score of at least `threshold`, before and after the same. The halves are
// the images with even and with odd places in the list. Throws where a half has no hits or no
// misses.
Recalibration recalibrate(std::span<const MatchedClass>, CalibrationMethod, double threshold);

}  // namespace darknet
