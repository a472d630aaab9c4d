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

// "1e-6", without the zero that the exponent is filled up with.
std::string general(double value) {
  std::string text = fmt::format("{:g}", value);
  const auto e = text.find('e');
  if (e != std::string::npos && e + 3 < text.size() && text[e + 2] == '0') text.erase(e + 2, 1);
  return text;
}

std::string label_of(double value, double step) {
  if (std::abs(value) < step * 1e-6) return "0";
  if (std::abs(value) >= 1e6 || std::abs(value) < 1e-4) return general(value);
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

// Powers of ten, with their double and fivefold, from `low` to `high`.
std::vector<double> steps_between(double low, double high) {
  std::vector<double> steps;
  const double first = std::floor(std::log10(low) - 1e-9), last = std::log10(high) + 1e-9;
  for (double d = first; d <= last; ++d)
    for (const double factor : {1., 2., 5.})
      if (const double v = factor * std::pow(10, d);
          v >= low * (1 - 1e-9) && v <= high * (1 + 1e-9))
        steps.push_back(v);
  return steps;
}

bool is_power_of_ten(double value) {
  const double log = std::log10(value);
  return std::abs(log - std::round(log)) < 1e-9;
}

// From one such step to another. Its ticks are all of them, or as many decades as have room.
Axis log_axis(double low, double high, int max_ticks) {
  constexpr double kLeast = 1e-300, kMost = 1e300;  // ten times these are numbers still
  low = std::clamp(low, kLeast, kMost), high = std::clamp(high, low, kMost);
  Axis axis{.log = true};
  const std::vector<double> below = steps_between(low / 10, low),
                            above = steps_between(high, high * 10);
  axis.low = below.back(), axis.high = above.front();
  if (axis.high < axis.low * (1 + 1e-9)) axis.high = above[1];
  std::vector<double> steps = steps_between(axis.low, axis.high);
  if (std::ssize(steps) > max_ticks + 1) {
    std::erase_if(steps, [](double v) { return !is_power_of_ten(v); });
    const auto every = (std::ssize(steps) + max_ticks) / (max_ticks + 1);
    for (std::ptrdiff_t k = 0; k < std::ssize(steps); k += every)
      axis.ticks.push_back(
          {steps[static_cast<std::size_t>(k)], general(steps[static_cast<std::size_t>(k)])});
    return axis;
  }
  for (const double v : steps) axis.ticks.push_back({v, general(v)});
  return axis;
}

}  // namespace

double Axis::place(double value) const {
  return log ? (std::log(value) - std::log(low)) / (std::log(high) - std::log(low))
             : (value - low) / (high - low);
}

Axis axis_for(double low, double high, int max_ticks, bool log) {
  constexpr double kMost = 1e300;  // ten times it is a number still
  if (std::isnan(low) || std::isnan(high)) low = high = 1;
  low = std::clamp(low, -kMost, kMost), high = std::clamp(high, -kMost, kMost);
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

void keep_whole_ticks(Axis& axis) {
  const auto whole = [](double v) {
    return std::abs(v - std::round(v)) < 1e-9 * (1 + std::abs(v));
  };
  std::erase_if(axis.ticks, [&](const Tick& t) { return !whole(t.value); });
  for (Tick& t : axis.ticks) t.label = label_of(t.value, 1);
}

Axis fixed_axis(double low, double high, int max_ticks) {
  if (!(high > low)) return axis_for(low, high, max_ticks, false);
  return {.low = low,
          .high = high,
          .ticks = ticks_between(low, high, nice_step(high - low, max_ticks))};
}

}  // namespace darknet
