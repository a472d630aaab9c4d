#include "report/comparison_grid.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <optional>

#include "core/index.h"

namespace darknet {
namespace {

std::optional<double> number_in(std::string_view text) {
  double value = 0;
  const auto end = std::from_chars(text.data(), text.data() + text.size(), value);
  if (end.ec != std::errc{} || end.ptr != text.data() + text.size() || !std::isfinite(value))
    return std::nullopt;
  return value;
}

using KeyValues = std::map<std::string, double>;  // of one variant, by key without its section

// "yolo.*.obj_gamma=2" and "region.*.obj_gamma=2" are one key; where sections have different
// values, it is none.
KeyValues numbers_of(const ComparedVariant& v) {
  std::map<std::string, std::optional<double>> all;
  for (const std::string& o : v.overrides) {
    const std::string key = o.substr(0, o.find('='));
    if (key.size() == o.size()) continue;
    const std::optional<double> value = number_in(std::string_view(o).substr(key.size() + 1));
    const auto [at, is_new] = all.emplace(key.substr(key.rfind('.') + 1), value);
    if (!is_new && at->second != value) at->second.reset();
  }
  KeyValues numbers;
  for (const auto& [key, value] : all)
    if (value) numbers.emplace(key, *value);
  return numbers;
}

// Keys with numbers, in the order in which they stand in the variants.
std::vector<std::string> keys_of(const std::vector<ComparedVariant>& variants) {
  std::vector<std::string> keys;
  for (const ComparedVariant& v : variants)
    for (const std::string& o : v.overrides) {
      const std::string full = o.substr(0, o.find('=')), key = full.substr(full.rfind('.') + 1);
      if (std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(key);
    }
  return keys;
}

std::size_t place_of(const std::vector<double>& values, double value) {
  return to_size(std::lower_bound(values.begin(), values.end(), value) - values.begin());
}

void sort_distinct(std::vector<double>& values) {
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
}

bool has(const KeyValues& v, const VariantGrid& g) {
  return v.contains(g.x_key) && v.contains(g.y_key);
}

// Whether it is a grid: at least half of three or more cells.
bool fill(VariantGrid& g, const std::vector<KeyValues>& numbers) {
  for (const KeyValues& v : numbers)
    if (has(v, g)) g.xs.push_back(v.at(g.x_key)), g.ys.push_back(v.at(g.y_key));
  sort_distinct(g.xs), sort_distinct(g.ys);
  if (g.xs.size() < 2 || g.ys.size() < 2) return false;
  g.cells.assign(g.ys.size(), std::vector<std::vector<std::size_t>>(g.xs.size()));
  std::size_t filled = 0;
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    if (!has(numbers[i], g)) continue;
    auto& cell =
        g.cells[place_of(g.ys, numbers[i].at(g.y_key))][place_of(g.xs, numbers[i].at(g.x_key))];
    filled += cell.empty();
    cell.push_back(i);
  }
  return filled > 2 && 2 * filled >= g.xs.size() * g.ys.size();
}

}  // namespace

std::vector<VariantGrid> variant_grids(const std::vector<ComparedVariant>& variants) {
  std::vector<KeyValues> numbers;
  for (const ComparedVariant& v : variants) numbers.push_back(numbers_of(v));
  const std::vector<std::string> keys = keys_of(variants);
  std::vector<VariantGrid> grids;
  for (std::size_t x = 0; x < keys.size(); ++x)
    for (std::size_t y = x + 1; y < keys.size(); ++y) {
      VariantGrid g{.x_key = keys[x], .y_key = keys[y]};
      if (fill(g, numbers)) grids.push_back(std::move(g));
    }
  return grids;
}

}  // namespace darknet
