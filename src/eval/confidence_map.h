// A rising map of a detector's confidences: what `detector calibrate` fits, so that of the
// detections with a confidence of .8 eight in ten are hits. Fitting is in eval/recalibration.h.
#pragma once
#include <vector>

namespace darknet {

// Of a fitted temperature.
inline constexpr double kLeastTemperature = .01, kMostTemperature = 100;

class ConfidenceMap {
 public:
  // A point of a piecewise linear map.
  struct Knot {
    double confidence = 0, precision = 0;
  };

  ConfidenceMap() = default;  // leaves confidences as they are
  // sigmoid(logit(p) / temperature); above 1 it pulls towards .5. Throws unless it is finite and
  // above 0.
  static ConfidenceMap of_temperature(double temperature);
  // Linear between (0, 0), the knots and (1, 1). Throws unless they lie in 0..1, confidences rise
  // and precisions do not fall.
  static ConfidenceMap of_knots(std::vector<Knot>);

  bool identity() const { return temperature_ == 1 && knots_.empty(); }
  double temperature() const { return temperature_; }
  const std::vector<Knot>& knots() const { return knots_; }

  // `confidence` is taken to 0..1 before.
  float operator()(float confidence) const;
  // Every confidence that is mapped to more than `value` lies above it.
  float lower_bound(float value) const;

 private:
  double temperature_ = 1;
  std::vector<Knot> knots_;  // none: the temperature
};

}  // namespace darknet
