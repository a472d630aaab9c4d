// darknet detector init data
#include <fmt/core.h>

#include <memory>

#include "cfg/data_file.h"
#include "cli/bad_labels.h"
#include "cli/command.h"
#include "cli/run_inputs.h"
#include "core/file.h"
#include "core/input.h"
#include "core/log.h"
#include "core/text.h"
#include "train/draft.h"

namespace darknet::cli {
namespace {
namespace fs = std::filesystem;

struct Options {
  DraftOptions draft;
  fs::path out;
  bool force = false;
};

int run_init(Options o) {
  if (o.out.empty()) o.out = fs::path(o.draft.data).replace_extension(".cfg");
  if (is_present(o.out) && !o.force)
    fail(o.out.string(), ": the file exists; -force replaces it, -out writes another");
  if (is_present(o.out)) {             // -force replaces no input
    const log::WithoutWarnings quiet;  // reading it for the draft gives them
    open_data(o.draft.data, ListedFiles::images_and_labels);
  }
  require_writable_file(o.out, kCfgFormat);
  const Draft draft = draft_cfg(o.draft);
  write_file_atomically(o.out, draft.cfg);
  for (const std::string& reason : draft.reasons) fmt::print("{}\n", printable(reason));
  for (const std::string& finding : draft.findings) log::warn(finding);
  const std::string weights = o.draft.weights.empty() ? "" : cat(" ", o.draft.weights.string());
  fmt::print("-> {0}\ntrain with: darknet detector train {1} {0}{2} -map\n",
             printable(o.out.string()), printable(o.draft.data.string()), printable(weights));
  return 0;
}

}  // namespace

void add_detector_init(CLI::App& program, Run& run) {
  CLI::App& app = subcommand(program, {"detector", "init"}, "write a cfg for your own images");
  app.footer(
      "Reads the labels and image sizes of train=, measures memory and some training iterations, "
      "and "
      "writes a cfg with\nwhat follows from them: input size, anchors, batch, length and schedule. "
      "It says why, in the cfg too.");
  const auto o = std::make_shared<Options>();  // outlives this call, in CLI11's callbacks
  data_argument(app, o->draft.data)->required();
  app.add_option("--like", o->draft.like,
                 "the network to start from; without it the objects' sizes, or the weights, choose")
      ->check(CLI::IsMember(draft_networks()))
      ->type_name("NETWORK");
  add_run_length(app, o->draft.length, nullptr);
  as_input(app.add_option("--weights", o->draft.weights,
                          "a backbone (or other weights) to start from: checks that it fits"),
           "the weights file")
      ->check(CLI::ExistingFile)
      ->type_name("FILE");
  app.add_option("--loss", o->draft.loss, "of the objectness: ce or focal")
      ->check(CLI::IsMember({"ce", "focal"}))
      ->capture_default_str();
  add_bad_labels(app, o->draft.bad_labels);
  app.add_option("--out", o->out, "the cfg to write (the .data file's name with .cfg)");
  app.add_flag("--force", o->force, "replace an existing file");
  add_device(app, o->draft.device);
  app.final_callback([o, &run] { run = [o] { return run_init(*o); }; });
}

}  // namespace darknet::cli
