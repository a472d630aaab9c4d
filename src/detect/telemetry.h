// The telemetry of a detection head: sums over its anchors, as the device forms them and as the
// host adds and logs them. The figures stand in detect/telemetry.def, once.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>
#include "core/hd.h"
#include "core/index.h"

namespace darknet {

// Sums over the images of one forward pass of one head; of several passes and heads by +=.
struct HeadTelemetry {
#define TELEMETRY(name, key, scale) double name = 0;
#include "detect/telemetry.def"
#undef TELEMETRY

  DN_HD HeadTelemetry& operator+=(const HeadTelemetry& o) {
#define TELEMETRY(name, key, scale) name += o.name;
#include "detect/telemetry.def"
#undef TELEMETRY
    return *this;
  }
  DN_HD bool finite() const { return not_finite == 0; }
  double loss() const {
    return objectness_loss_positive + objectness_loss_negative + class_loss + box_loss;
  }
  double gradient() const {  // of the objectness
    return gradient_easy_negative + gradient_hard_negative + gradient_positive;
  }
};
static_assert(std::is_trivially_copyable_v<HeadTelemetry>);

// What a logged figure is: its sum divided by the images of the step, by all of the gradient, by
// the number of positive or of negative anchors; or the sum itself, an integer.
enum class TelemetryScale : std::uint8_t {
  per_image,
  share_of_gradient,
  per_positive,
  per_negative,
  count,
  unlogged
};

enum class Figure : std::uint8_t {
#define TELEMETRY(name, key, scale) name,
#include "detect/telemetry.def"
#undef TELEMETRY
};

using TelemetrySum = double HeadTelemetry::*;
struct TelemetryFigure {
  Figure figure;
  std::string_view key;  // in the training log
  TelemetryScale scale;
  TelemetrySum sum;
};

inline constexpr auto kTelemetryFigures = std::to_array<TelemetryFigure>({
#define TELEMETRY(name, key, scale) \
  {Figure::name, key, TelemetryScale::scale, &HeadTelemetry::name},
#include "detect/telemetry.def"
#undef TELEMETRY
});

constexpr const TelemetryFigure& telemetry_figure(Figure f) {
  return kTelemetryFigures[to_size(f)];
}

// The figure as it is logged, of a step over `images`; 0 where nothing is there to divide by.
inline double logged_value(const HeadTelemetry& t, const TelemetryFigure& f, double images) {
  const double sum = t.*f.sum;
  const auto share = [&](double whole) { return whole > 0 ? sum / whole : 0; };
  switch (f.scale) {
    case TelemetryScale::per_image:
      return sum / images;
    case TelemetryScale::share_of_gradient:
      return share(t.gradient());
    case TelemetryScale::per_positive:
      return share(t.positives);
    case TelemetryScale::per_negative:
      return share(t.negatives);
    case TelemetryScale::count:
    case TelemetryScale::unlogged:
      break;
  }
  return sum;
}

}  // namespace darknet
