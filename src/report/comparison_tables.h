// The figures of a comparison as text: a table to read, JSON, and CSV with a row for each run.
#pragma once
#include <string>
#include <vector>

#include "report/comparison_statistics.h"

namespace darknet {

// Rows of cells; the first is the head, and the first cell of a row what it is about.
using Cells = std::vector<std::vector<std::string>>;
// mAP@0.5 of every seed, with what became of the runs that have none.
Cells variants_cells(const Comparison&, const ComparisonStatistics&);
// Against the first variant. Empty where there is no other.
Cells differences_cells(const Comparison&, const ComparisonStatistics&);
// A row for each metric that any run has, a column for each variant.
Cells metrics_cells(const Comparison&, const ComparisonStatistics&);

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
