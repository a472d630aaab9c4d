// darknet detector init data
#include <fmt/core.h>

#include <algorithm>

#include "cfg/data_file.h"
#include "cli/bad_labels.h"
#include "cli/common_flags.h"
#include "cli/run_inputs.h"
#include "core/file.h"
#include "core/input.h"
#include "core/log.h"
#include "core/text.h"
#include "train/draft.h"
#include "train/interrupt.h"

namespace darknet::cli {
namespace {
namespace fs = std::filesystem;

struct InitArguments {
  DraftOptions draft;
  fs::path out;
  bool force = false;
};

Draft draft_of(const InitArguments& o) {
  InterruptReport interrupt(cat(printable(o.out.string()), " was not written"),
                            "while the labels were read");
  return draft_cfg(o.draft, [&](const std::string& work) { interrupt.at(work); });
}

int run_init(InitArguments o) {
  if (o.out.empty()) o.out = fs::path(o.draft.data).replace_extension(".cfg");
  if (is_present(o.out) && !o.force)
    fail(o.out.string(), ": the file exists; -force replaces it, -out writes another");
  if (is_present(o.out)) {             // -force replaces no input
    const log::WithoutWarnings quiet;  // reading it for the draft gives them
    open_data(o.draft.data, ListedFiles::images_and_labels);
  }
  require_writable_file(o.out, kCfgFormat);
  const Draft draft = draft_of(o);
  write_file_atomically(o.out, draft.cfg);
  for (const std::string& reason : draft.reasons) fmt::print("{}\n", printable(reason));
  for (const std::string& finding : draft.findings) log::warn(finding);
  const std::string weights = o.draft.weights.empty() ? "" : cat(" ", o.draft.weights.string());
  fmt::print("-> {0}\ntrain with: darknet detector train {1} {0}{2} -map\n",
             printable(o.out.string()), printable(o.draft.data.string()), printable(weights));
  return 0;
}

}  // namespace

void add_detector_init(Program& program) {
  const Command command = program.command("detector init", "write a cfg for your own images");
  command.footer(
      "Reads the labels and image sizes of train=, measures memory and some training iterations, "
      "and writes a cfg with what follows from them: input size, anchors, batch, length and "
      "schedule. It says why, in the cfg too.");
  auto& o = command.options<InitArguments>();
  data_argument(command, o.draft.data).required();
  command
      .text_option("-like", o.draft.like,
                   cat("the network to start from: ", joined(draft_networks(), ", "),
                       "; without it the objects' sizes, or the weights, choose"))
      .check([](const std::string& name) {
        const std::vector<std::string> known = draft_networks();
        return std::ranges::count(known, name) > 0
                   ? ""
                   : cat(shown(name), " is none of ", joined(known, ", "));
      })
      .value_name("NETWORK");
  add_run_length(command, o.draft.length, nullptr);
  command
      .option("-weights", o.draft.weights,
              "a backbone (or other weights) to start from: checks that it fits")
      .input("the weights file")
      .existing_file()
      .value_name("FILE");
  command.text_option("-loss", o.draft.loss, "of the objectness: ce or focal")
      .one_of({"ce", "focal"})
      .show_default();
  add_bad_labels(command, o.draft.bad_labels);
  command.option("-out", o.out, "the cfg to write (the .data file's name with .cfg)");
  command.flag("-force", o.force, "replace an existing file");
  add_device(command, o.draft.device);
  command.runs([&o] { return run_init(o); });
}

}  // namespace darknet::cli
