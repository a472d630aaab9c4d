// The page of a comparison: verdict, tables, charts and images on one index.html that needs
// nothing but the files next to it.
#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "report/comparison.h"

namespace darknet {

// One scene: an image for the ground truth and one for each network.
struct PageScene {
  std::string name;
  std::vector<PanelFile> panels;
};

struct PageFiles {  // paths relative to the page
  std::vector<PanelFile> training, precision_recall;
  std::optional<PageScene> difference;  // where the networks differ most
  std::vector<PageScene> scenes;        // spread over the list
  std::string command;                  // that makes it all again
};

std::string comparison_page(const Comparison&, const std::vector<VariantDifference>&,
                            const PageFiles&);

}  // namespace darknet
