// What a sweep varies: keys with the values that each may take, and the points of their space that
// are tried: all of them (a grid), or so many drawn by random numbers or a Halton sequence.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/named.h"

namespace darknet {

enum class Search : std::uint8_t { grid, random, halton };
constexpr auto choices(Search) {
  return std::to_array<Named<Search>>(
      {{"grid", Search::grid}, {"random", Search::random}, {"halton", Search::halton}});
}

enum class Scale : std::uint8_t { linear, logarithmic, whole };

struct NumberRange {
  double low = 0, high = 1;
  Scale scale = Scale::linear;
};

struct Axis {
  std::string key;                  // "yolo.*.obj_gamma", or "obj_gamma" of every head
  std::vector<std::string> values;  // of a list
  std::optional<NumberRange> range;
};

// "a, b" as "a" and "b"; "" between two commas, too.
std::vector<std::string> comma_separated(std::string_view text);

// "KEY=V1,V2,..." or "KEY=LOW..HIGH", with ":log" or ":int" behind it; throws, naming the text,
// where it is neither.
Axis parse_axis(const std::string& text);

// A value for each axis.
using Point = std::vector<std::string>;
// Every combination, the last axis fastest. Throws on a range, and beyond 1000 of them.
std::vector<Point> grid_points(const std::vector<Axis>&);
// Point `index`, from 0, of a sequence without end; the same for every budget. Halton: radical
// inverses of index + 1 in the first primes (Halton 1960), an axis each. Throws beyond 12 axes.
Point search_point(const std::vector<Axis>&, Search, std::uint64_t index);

}  // namespace darknet
