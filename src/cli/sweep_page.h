// The files next to the page of a sweep: table, JSON, charts and images.
#pragma once
#include <string>

#include "cli/sweep_arguments.h"
#include "report/comparison_statistics.h"

namespace darknet::cli {

// Throws where one of them could not be written: before the training runs, which take hours.
void check_sweep_outputs(const SweepArguments&);

// What a page is made of; only tuning has a confirmation, and that not before it is begun.
struct SweepParts {
  const Comparison& sweep;
  const Comparison* confirmation = nullptr;
};
// Writes the files of report/comparison_files.h; with `images` also what the networks find on some
// of them. Returns the tables and the verdict on every variant, for a terminal.
std::string write_sweep_page(const SweepParts&, const SweepArguments&, bool images);

}  // namespace darknet::cli
