// The page of a comparison: verdict, tables, charts and pictures on one index.html that needs
// nothing but the files beside it.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "report/comparison.h"

namespace darknet {

struct PageFiles {                              // relative to the page
  std::vector<std::filesystem::path> charts;    // .svg
  std::vector<std::filesystem::path> pictures;  // side by side
  std::string command;                          // that makes it all again
};

std::string comparison_page(const Comparison&, const std::vector<ArmDifference>&, const PageFiles&);

}  // namespace darknet
