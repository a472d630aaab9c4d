// The figures of a comparison as text: a table to read, JSON, and CSV with a row for each run.
#pragma once
#include <string>

#include "report/comparison_statistics.h"

namespace darknet {

// table.txt: variants, differences, runs, and what diverged or is missing by name.
std::string comparison_table(const Comparison&, const ComparisonStatistics&);
// results.json: all figures. Numbers that do not exist are null or left out.
std::string comparison_json(const Comparison&, const ComparisonStatistics&);
// summary.csv: variant, seed, keys, state, every metric of kRunMetrics, command (RFC 4180; fields
// without a value are empty).
std::string comparison_csv(const Comparison&, const ComparisonStatistics&);
std::string comparison_csv_header();  // its first line

// "diverged at iteration 17", "missing", "finished".
std::string state_text(const ComparedRun&);
// The keys of a variant, or that it has none.
std::string keys_text(const ComparedVariant&);

}  // namespace darknet
