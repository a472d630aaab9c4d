#include "cli/sweep_page.h"

#include "cfg/data_file.h"
#include "cli/run_inputs.h"
#include "core/text.h"
#include "report/comparison_files.h"
#include "report/comparison_tables.h"

namespace darknet::cli {

void check_sweep_outputs(const SweepArguments& o) {
  open_data(o.data, ListedFiles::images_and_labels);
  require_writable_comparison(o.out);
}

ComparisonStatistics write_sweep_page(const Comparison& c, const SweepArguments& o, bool images) {
  return write_comparison(
      c, {.folder = o.out, .command = sweep_command(o), .images = images ? o.images : 0});
}

std::string sweep_summary(const Comparison& c, const ComparisonStatistics& s) {
  std::string text = printable(comparison_table(c, s), "\n") + "\n";
  for (const VariantDifference& d : s.differences)
    text += printable(verdict_text(c, d), "\n") + "\n";
  return text;
}

}  // namespace darknet::cli
