// The files next to the page of a sweep: table, JSON, charts and images.
#pragma once
#include <string>

#include "cli/sweep_arguments.h"
#include "report/comparison_statistics.h"

namespace darknet::cli {

// Throws where one of them could not be written: before the training runs, which take hours.
void check_sweep_outputs(const SweepArguments&);

// The files of report/comparison_files.h; with `images` also what the networks find on some of
// them.
ComparisonStatistics write_sweep_page(const Comparison&, const SweepArguments&, bool images);

// The table and what is said of every variant, for a terminal.
std::string sweep_summary(const Comparison&, const ComparisonStatistics&);

}  // namespace darknet::cli
