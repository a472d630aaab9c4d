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

// What a logged figure is: its sum divided by the images of the step, by all of the gradient, by
// the number of positive or of negative anchors; or the sum itself, an integer. Those of
// loss_per_image add up to the loss, those of share_of_gradient to the gradient of the objectness.
enum class TelemetryScale : std::uint8_t {
  loss_per_image,
  share_of_gradient,
  per_positive,
  per_negative,
  count,
  unlogged
};

// Where the charts draw it (report/training_chart.cpp).
enum class TelemetryPanel : std::uint8_t {
  loss_parts,
  gradient_shares,
  mean_objectness,
  boxes,
  none
};

// Sums over the images of one forward pass of one head; of several passes and heads by +=.
struct HeadTelemetry {
#define TELEMETRY(name, key, scale, panel, series) double name = 0;
#include "detect/telemetry.def"
#undef TELEMETRY
  double images_left_out = 0;  // of micro-batches that try_fix_nan left out of these sums

  DN_HD HeadTelemetry& operator+=(const HeadTelemetry& o) {
#define TELEMETRY(name, key, scale, panel, series) name += o.name;
#include "detect/telemetry.def"
#undef TELEMETRY
    images_left_out += o.images_left_out;
    return *this;
  }
  DN_HD bool finite() const { return not_finite == 0; }
  double loss() const { return sum_of(TelemetryScale::loss_per_image); }
  // Of the objectness.
  double gradient() const { return sum_of(TelemetryScale::share_of_gradient); }

 private:
  double sum_of(TelemetryScale wanted) const {
    double sum = 0;
#define TELEMETRY(name, key, scale, panel, series) \
  if (TelemetryScale::scale == wanted) sum += (name);
#include "detect/telemetry.def"
#undef TELEMETRY
    return sum;
  }
};
static_assert(std::is_trivially_copyable_v<HeadTelemetry>);

enum class Figure : std::uint8_t {
#define TELEMETRY(name, key, scale, panel, series) name,
#include "detect/telemetry.def"
#undef TELEMETRY
};

using TelemetrySum = double HeadTelemetry::*;
struct TelemetryFigure {
  Figure figure;
  std::string_view key;  // in the training log
  TelemetryScale scale;
  TelemetryPanel panel;
  std::string_view series;  // its name there; "" where the panel has one only
  TelemetrySum sum;
};

// nvcc 12 takes no std::to_array() of what has a pointer to a member for a constant.
inline constexpr std::array kTelemetryFigures{
#define TELEMETRY(name, key, scale, panel, series)                      \
  TelemetryFigure{Figure::name,          key,    TelemetryScale::scale, \
                  TelemetryPanel::panel, series, &HeadTelemetry::name},
#include "detect/telemetry.def"
#undef TELEMETRY
};

constexpr const TelemetryFigure& telemetry_figure(Figure f) {
  return kTelemetryFigures[to_size(f)];
}

// The loss of an image, on average over those of the step's `images` that count; NaN where none
// does.
inline double loss_per_image(const HeadTelemetry& t, double images) {
  return t.loss() / (images - t.images_left_out);
}

// The figure as it is logged, of a step over `images`; 0 where nothing is there to divide by, and
// NaN for a loss of no image.
inline double logged_value(const HeadTelemetry& t, const TelemetryFigure& f, double images) {
  const double sum = t.*f.sum;
  const auto share = [&](double whole) { return whole > 0 ? sum / whole : 0; };
  switch (f.scale) {
    case TelemetryScale::loss_per_image:
      return sum / (images - t.images_left_out);
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
