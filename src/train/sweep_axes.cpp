#include "train/sweep_axes.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "core/error.h"
#include "core/index.h"
#include "core/number.h"
#include "core/rng.h"
#include "core/text.h"

namespace darknet {
namespace {

constexpr std::size_t kMaxPoints = 1000;
constexpr std::array<std::uint64_t, 12> kPrimes{2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37};

[[noreturn]] void refuse(const std::string& text, const std::string& why) {
  throw Error(cat("-vary '", shown(text), "': ", why), 2);
}

Scale scale_of(const std::string& text, std::string_view name) {
  if (name.empty()) return Scale::linear;
  if (name == ":log") return Scale::logarithmic;
  if (name == ":int") return Scale::whole;
  refuse(text, cat("'", shown(name), "': expected :log, :int or nothing behind LOW..HIGH"));
}

NumberRange range_of(const std::string& text, std::string_view values, std::size_t dots) {
  const auto colon = std::min(values.find(':'), values.size());
  NumberRange range{.scale = scale_of(text, values.substr(colon))};
  if (!read_number(values.substr(0, dots), range.low) ||
      !read_number(values.substr(dots + 2, colon - dots - 2), range.high) ||
      !std::isfinite(range.low) || !std::isfinite(range.high) || !(range.low < range.high))
    refuse(text, cat("'", shown(values), "': expected LOW..HIGH, two numbers, LOW the smaller"));
  if (range.scale == Scale::logarithmic && range.low <= 0)
    refuse(text, cat("'", shown(values), "': a logarithmic range begins above 0"));
  if (range.scale == Scale::whole &&
      (range.low != std::floor(range.low) || range.high != std::floor(range.high)))
    refuse(text, cat("'", shown(values), "': a range of integers has integers as its ends"));
  return range;
}

// u: 0 <= u < 1.
std::string value_at(const Axis& axis, double u) {
  if (!axis.range) {
    const auto count = static_cast<double>(axis.values.size());
    return axis.values[static_cast<std::size_t>(u * count)];
  }
  const auto [low, high, scale] = *axis.range;
  if (scale == Scale::whole)
    return fmt::format("{:.0f}", std::min(high, low + std::floor(u * (high - low + 1))));
  if (scale == Scale::logarithmic) return fmt::format("{:.4g}", low * std::pow(high / low, u));
  return fmt::format("{:.4g}", low + u * (high - low));
}

double radical_inverse(std::uint64_t index, std::uint64_t base) {
  double inverse = 0, digit = 1;
  for (; index > 0; index /= base) {
    digit /= static_cast<double>(base);
    inverse += digit * static_cast<double>(index % base);
  }
  return inverse;
}

}  // namespace

std::vector<std::string> comma_separated(std::string_view text) {
  std::vector<std::string> pieces;
  for (std::size_t from = 0; from <= text.size();) {
    const auto comma = std::min(text.find(',', from), text.size());
    pieces.emplace_back(trim(text.substr(from, comma - from)));
    from = comma + 1;
  }
  return pieces;
}

Axis parse_axis(const std::string& text) {
  const auto equals = text.find('=');
  if (equals == text.npos || equals == 0)
    refuse(text, "expected KEY=VALUE,VALUE,... or KEY=LOW..HIGH");
  Axis axis{.key = std::string(trim(text.substr(0, equals))), .values = {}, .range = {}};
  const std::string values(trim(text.substr(equals + 1)));
  if (const auto dots = values.find(".."); dots != values.npos) {
    axis.range = range_of(text, values, dots);
    return axis;
  }
  for (std::string& value : comma_separated(values)) {
    if (value.empty()) refuse(text, "a value is empty");
    if (std::find(axis.values.begin(), axis.values.end(), value) == axis.values.end())
      axis.values.push_back(std::move(value));
  }
  return axis;
}

std::vector<Point> grid_points(const std::vector<Axis>& axes) {
  std::vector<Point> points{{}};
  for (const Axis& axis : axes) {
    if (axis.range)
      throw Error(cat("-vary '", shown(axis.key),
                      "': a range has no end of values; give a list, or -search random or halton "
                      "with a -budget"),
                  2);
    if (points.size() * axis.values.size() > kMaxPoints)
      throw Error(cat("-vary: a grid of more than ", kMaxPoints,
                      " variants; give fewer values, or -search halton with a -budget"),
                  2);
    std::vector<Point> longer;
    for (const Point& point : points)
      for (const std::string& value : axis.values) {
        longer.push_back(point);
        longer.back().push_back(value);
      }
    points = std::move(longer);
  }
  return points;
}

Point search_point(const std::vector<Axis>& axes, Search search, std::uint64_t index) {
  if (axes.size() > kPrimes.size())
    throw Error(cat("-search takes up to ", kPrimes.size(), " -vary, there are ", axes.size()), 2);
  constexpr std::uint64_t kSeed = 1;
  Point point;
  for (std::size_t axis = 0; axis < axes.size(); ++axis)
    point.push_back(
        value_at(axes[axis], search == Search::halton
                                 ? radical_inverse(index + 1, kPrimes[axis])
                                 : static_cast<double>(random_uniform(kSeed, axis, index))));
  return point;
}

}  // namespace darknet
