#include "cli/sweep_page.h"

#include "cfg/data_file.h"
#include "cli/run_inputs.h"
#include "core/error.h"
#include "core/input.h"
#include "core/text.h"
#include "report/comparison_files.h"
#include "report/comparison_page.h"
#include "report/comparison_tables.h"

namespace darknet::cli {

namespace {

std::string summary(const Comparison& c, const ComparisonStatistics& s) {
  std::string text;
  if (c.purpose != Purpose::comparison) text = part_heading(c) + "\n\n";
  text += printable(comparison_table(c, s), "\n") + "\n";
  for (const std::string& sentence : sentences_of(c, s)) text += printable(sentence, "\n") + "\n";
  return text;
}

}  // namespace

void check_sweep_outputs(const SweepArguments& o) {
  const DataFile data = open_data(o.data, ListedFiles::images_and_labels);
  if (o.share > 0 && !data.tune.empty())
    throw Error(cat("-tune_share: ", data.path.string(), " has tune=, which is the tuning split"),
                2);
  require_writable_comparison(o.out);
  if (o.tune || is_folder(o.out / kConfirmFolder))
    require_writable_comparison(o.out / kConfirmFolder);
}

std::string write_sweep_page(const SweepParts& parts, const SweepArguments& o, bool images) {
  const ComparisonFiles files{
      .folder = o.out, .command = sweep_command(o), .images = images ? o.images : 0};
  if (parts.sweep.purpose != Purpose::tuning)
    return summary(parts.sweep, write_comparison(parts.sweep, files));
  const TuningStatistics found = write_tuning(parts.sweep, parts.confirmation, files);
  std::string text = summary(parts.sweep, found.tuning);
  if (found.confirmation) text += "\n" + summary(*parts.confirmation, *found.confirmation);
  return text;
}

}  // namespace darknet::cli
