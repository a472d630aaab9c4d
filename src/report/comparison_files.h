// The files of a comparison: index.html with the images that it shows, table.txt, results.json,
// summary.csv, and the charts as SVG and PNG.
#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "report/comparison_statistics.h"

namespace darknet {

struct ComparisonFiles {
  std::filesystem::path folder;  // exists
  std::string command;           // that makes it all again
  std::int64_t images = 8;       // test images drawn; 0: none
};

// Throws where write_comparison() could not replace what stands there or would write over something
// else: to be asked before long work. The folder need not exist.
void require_writable_comparison(const std::filesystem::path& folder);
// Replaces each file atomically and returns the figures that they hold.
ComparisonStatistics write_comparison(const Comparison&, const ComparisonFiles&);

// The same of a tuning comparison and its confirmation (null: none yet), whose own files lie in the
// subfolder kConfirmFolder; the page and table.txt of the folder hold both.
inline constexpr const char* kConfirmFolder = "confirm";
struct TuningStatistics {
  ComparisonStatistics tuning;
  std::optional<ComparisonStatistics> confirmation;
};
TuningStatistics write_tuning(const Comparison& tuning, const Comparison* confirmation,
                              const ComparisonFiles&);

}  // namespace darknet
