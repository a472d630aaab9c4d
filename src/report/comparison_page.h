// The page of a comparison: verdicts, charts, tables and images on one index.html. Charts are part
// of it; only the images lie in files next to it.
#pragma once
#include <string>
#include <vector>

#include "report/comparison_statistics.h"
#include "report/page_markup.h"

namespace darknet {

// One scene: an image for the ground truth and one for each network.
struct PageScene {
  std::string name;
  std::vector<PageImage> panels;
};

struct PageScenes {
  std::vector<PageScene> different;  // where the networks differ most, from there on
  std::vector<PageScene> spread;     // evenly over the list
};

// `command`: makes it all again.
std::string comparison_page(const Comparison&, const ComparisonStatistics&, const PageScenes&,
                            const std::string& command);

struct PagePart {
  const Comparison& comparison;
  const ComparisonStatistics& statistics;
  PageScenes scenes;
};
// Tuning and its confirmation (null: none yet), two parts of one page: verdicts come from the
// confirmation alone.
std::string tuning_page(const PagePart& tuning, const PagePart* confirmation,
                        const std::string& command);
// Their headings: what a part is and what it was evaluated on. Of the confirmation also what is
// missing.
std::string part_heading(const Comparison&);
// What may be said of it: verdicts, a choice, or why there is none yet.
std::vector<std::string> sentences_of(const Comparison&, const ComparisonStatistics&);

}  // namespace darknet
