// darknet report gain folder...
#include <fmt/core.h>

#include "cli/command.h"
#include "core/error.h"
#include "core/file.h"
#include "core/input.h"
#include "core/shell.h"
#include "core/text.h"
#include "image/canvas.h"
#include "report/gain.h"

namespace darknet::cli {
namespace {
namespace fs = std::filesystem;

struct ReportGainArguments {
  std::vector<std::string> folders;
  fs::path out = "runs/gain";
  std::string baseline;
};

std::string command_of(const ReportGainArguments& o) {
  std::vector<std::string> words{"darknet", "report", "gain"};
  words.insert(words.end(), o.folders.begin(), o.folders.end());
  words.insert(words.end(), {"-out", o.out.string()});
  if (!o.baseline.empty()) words.insert(words.end(), {"-baseline", o.baseline});
  return shell_command(words);
}

// Each folder is a point of its own: one given twice would count twice.
void require_different(const std::vector<std::string>& folders) {
  for (auto a = folders.begin(); a != folders.end(); ++a) {
    if (!is_folder(*a))
      throw Error(cat("'", shown(*a),
                      "': there is no such folder; give those of `detector compare` "
                      "or `detector sweep`"));
    for (auto b = folders.begin(); b != a; ++b)
      if (fs::equivalent(*a, *b))
        throw Error(cat(shown(*a), ": this folder is given twice; give each once"), 2);
  }
}

int report(const ReportGainArguments& o) {
  if (has_canvas()) require_image_library();  // before anything is made
  require_different(o.folders);
  for (const std::string& folder : o.folders)
    if (is_present(o.out) && fs::equivalent(folder, o.out))
      throw Error(
          cat("-out ", shown(folder), ": its own page would be replaced; give another folder"), 2);
  const GainStudy study = read_gain_study({o.folders.begin(), o.folders.end()}, o.baseline);
  make_folder(o.out);
  require_writable_gain(o.out);
  write_gain(study, o.out, command_of(o));
  fmt::print("{}\n-> {}\n", printable(gain_text(study)),
             printable((o.out / "index.html").string()));
  return 0;
}

}  // namespace

void add_report_gain(Program& program) {
  const Command command = program.command(
      "report gain", "draw the gain of each variant over a baseline against the imbalance");
  command.footer(
      "Each FOLDER is what `detector compare` or `detector sweep` left, with data of another "
      "imbalance: a point at its measured negatives per positive, with the paired difference of "
      "every variant to the baseline.");
  auto& o = command.options<ReportGainArguments>();
  command.argument("folders", o.folders, "folders of finished comparisons or sweeps")
      .value_name("FOLDER")
      .required();
  command.option("-out", o.out, "folder of the page").show_default();
  command
      .text_option(
          "-baseline", o.baseline,
          "the variant that the others are compared with, of tuned sweeps the loss, or the "
          "values of -per, that it was chosen for (the first of the first folder)")
      .value_name("NAME");
  command.runs([&o] { return report(o); });
}

}  // namespace darknet::cli
