#include "eval/confidence_map.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/error.h"
#include "core/math.h"

namespace darknet {
namespace {

double between(const ConfidenceMap::Knot& a, const ConfidenceMap::Knot& b, double p) {
  const double width = b.confidence - a.confidence;
  return width > 0 ? a.precision + (b.precision - a.precision) * (p - a.confidence) / width
                   : b.precision;
}

double along(const std::vector<ConfidenceMap::Knot>& knots, double p) {
  const auto right = std::lower_bound(
      knots.begin(), knots.end(), p,
      [](const ConfidenceMap::Knot& k, double value) { return k.confidence < value; });
  return between(right == knots.begin() ? ConfidenceMap::Knot{0, 0} : *(right - 1),
                 right == knots.end() ? ConfidenceMap::Knot{1, 1} : *right, p);
}

}  // namespace

ConfidenceMap ConfidenceMap::of_temperature(double temperature) {
  if (!(temperature > 0) || !std::isfinite(temperature))
    fail("a temperature of ", temperature, ": expected a finite number above 0");
  ConfidenceMap map;
  map.temperature_ = temperature;
  return map;
}

ConfidenceMap ConfidenceMap::of_knots(std::vector<Knot> knots) {
  Knot last{-1, 0};
  for (const Knot& k : knots) {
    if (!(k.confidence > last.confidence && k.confidence >= 0 && k.confidence <= 1) ||
        !(k.precision >= last.precision && k.precision <= 1))
      fail("a calibration curve with the point (", k.confidence, ", ", k.precision,
           "): expected rising confidences and precisions within 0 to 1");
    last = k;
  }
  if (knots.empty()) fail("a calibration curve without points");
  ConfidenceMap map;
  map.knots_ = std::move(knots);
  return map;
}

float ConfidenceMap::operator()(float confidence) const {
  if (identity()) return confidence;
  const double p = std::clamp(static_cast<double>(confidence), 0., 1.);
  if (!knots_.empty()) return static_cast<float>(along(knots_, p));
  if (p <= 0 || p >= 1) return static_cast<float>(p);
  return static_cast<float>(math::sigmoid(std::log(p / (1 - p)) / temperature_));
}

float ConfidenceMap::lower_bound(float value) const {
  if (identity()) return value;
  float low = 0, high = 1;  // by bisection: low maps to at most the value, or is 0
  if (!((*this)(high) > value)) return high;
  for (int i = 0; i < 60; ++i) {
    const float middle = low + (high - low) / 2;
    ((*this)(middle) > value ? high : low) = middle;
  }
  return low;
}

}  // namespace darknet
