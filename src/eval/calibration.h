// Whether a detector's probabilities mean what they say: precision against confidence, and its
// distance from the diagonal (detection expected calibration error).
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "eval/matching.h"

namespace darknet {

struct ReliabilityBin {
  double low = 0, high = 0;  // of the confidence: low <= p < high; the last includes 1
  std::int64_t detections = 0, hits = 0;
  double mean_confidence = 0;  // 0 without detections
  double precision() const {
    return detections > 0 ? static_cast<double>(hits) / static_cast<double>(detections) : 0;
  }
  double gap() const { return precision() - mean_confidence; }  // above 0: too modest
};

struct Calibration {
  std::vector<ReliabilityBin> bins;  // all, empty ones too
  std::int64_t detections = 0;
  double error = 0;      // D-ECE: sum over bins of share * |gap|
  double max_error = 0;  // the largest |gap|
};

struct CalibrationOptions {
  std::int64_t bins = 10;  // of equal width
  // Detections below it are left out. Most detections above .005 are easy background: with them the
  // error says how rightly these are scored, and little else. Compare at one threshold only.
  double threshold = .05;
};

// Küppers et al., "Multivariate Confidence Calibration for Object Detection" (CVPR workshops 2020),
// by confidence alone. All classes together; what is a hit was decided by match(), usually at IoU
// .5. 0 without detections. Throws where a score is not in 0..1 or the options are senseless.
Calibration calibration(std::span<const MatchedClass>, const CalibrationOptions& = {});

}  // namespace darknet
