#include "report/ticks.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace darknet {
namespace {

// The least of 1, 2, 5 times a power of ten that makes at most `max` steps.
double nice_step(double range, int max) {
  const double rough = range / max, power = std::pow(10, std::floor(std::log10(rough)));
  for (const double factor : {1., 2., 5.})
    if (factor * power >= rough * (1 - 1e-9)) return factor * power;
  return 10 * power;
}

std::string label_of(double value, double step) {
  if (std::abs(value) < step * 1e-6) return "0";
  if (std::abs(value) >= 1e6 || std::abs(value) < 1e-4) return fmt::format("{:g}", value);
  const int decimals = std::clamp(-static_cast<int>(std::floor(std::log10(step) + 1e-9)), 0, 8);
  return fmt::format("{:.{}f}", value, decimals);
}

std::vector<Tick> ticks_between(double low, double high, double step) {
  std::vector<Tick> ticks;
  const double first = std::ceil(low / step - 1e-9);
  for (double k = first; k * step <= high + step * 1e-9 && ticks.size() < 100; ++k)
    ticks.push_back({k * step, label_of(k * step, step)});
  return ticks;
}

Axis log_axis(double low, double high, int max_ticks) {
  Axis axis{.log = true};
  const double first = std::floor(std::log10(low) + 1e-9);
  double last = std::ceil(std::log10(high) - 1e-9);
  if (last <= first) last = first + 1;
  axis.low = std::pow(10, first), axis.high = std::pow(10, last);
  const double decades = last - first, every = std::ceil(decades / max_ticks);
  for (double d = 0; d <= decades; d += every)
    for (const double factor : {1., 2., 5.}) {
      const double value = factor * std::pow(10, first + d);
      const bool shown = factor == 1 || (3 * decades <= max_ticks);
      if (shown && value <= axis.high * (1 + 1e-9))
        axis.ticks.push_back({value, fmt::format("{:g}", value)});
    }
  return axis;
}

}  // namespace

double Axis::place(double value) const {
  return log ? std::log(value / low) / std::log(high / low) : (value - low) / (high - low);
}

Axis axis_for(double low, double high, int max_ticks, bool log) {
  if (log) return log_axis(low, high, max_ticks);
  if (!(high - low > 1e-12 * std::max(std::abs(low), std::abs(high)))) {
    const double half = low == 0 ? .5 : std::abs(low) / 2;
    low -= half, high += half;
  }
  const double step = nice_step(high - low, max_ticks);
  Axis axis{.low = step * std::floor(low / step + 1e-9),
            .high = step * std::ceil(high / step - 1e-9)};
  axis.ticks = ticks_between(axis.low, axis.high, step);
  return axis;
}

Axis fixed_axis(double low, double high, int max_ticks) {
  if (!(high > low)) return axis_for(low, high, max_ticks, false);
  return {.low = low,
          .high = high,
          .ticks = ticks_between(low, high, nice_step(high - low, max_ticks))};
}

}  // namespace darknet
