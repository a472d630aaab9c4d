// Which variants of a comparison form a grid of two keys with numbers, such as obj_gamma and
// obj_alpha.
#pragma once
#include <string>
#include <vector>

#include "report/comparison.h"

namespace darknet {

struct VariantGrid {
  std::string x_key, y_key;    // without their section
  std::vector<double> xs, ys;  // ascending
  // [y][x]: the variants with these two values, whatever their other keys are.
  std::vector<std::vector<std::vector<std::size_t>>> cells;
};

// One for each pair of keys that both vary and of whose combinations at least half are there, in
// the order of the keys. Variants without one of the two keys have no place in it.
std::vector<VariantGrid> variant_grids(const std::vector<ComparedVariant>&);

}  // namespace darknet
