// darknet cfg convert in out
#include <fmt/core.h>

#include <algorithm>
#include <sstream>
#include <string>
#include <vector>

#include "cfg/batch_lines.h"
#include "cfg/idle_keys.h"
#include "cfg/key_files.h"
#include "cfg/override.h"
#include "cfg/parse.h"
#include "cli/common_flags.h"
#include "cli/network_arguments.h"
#include "cli/new_file.h"
#include "cli/run_inputs.h"
#include "core/file.h"
#include "core/log.h"
#include "core/text.h"
#include "nn/head_types.h"
#include "nn/network.h"

namespace darknet::cli {
namespace {

struct ConvertArguments : CfgArguments {
  std::string out;
  bool focal = false, training = false, testing = false, clean = false, force = false;
};

// Those of cfg/*-focal.cfg; docs/focal.md says what they do.
constexpr const char* kFocalKeys[] = {"obj_loss=focal",     "obj_gamma=2",   "obj_alpha=.25",
                                      "obj_prior=auto",     "obj_init=auto", "obj_target=one",
                                      "obj_normalizer=auto"};

// What -focal sets; -set, which comes later, may change it.
std::vector<std::string> focal_assignments(const std::vector<Section>& cfg,
                                           const std::string& name) {
  std::vector<std::string> types, assignments;
  for (const Section& section : cfg)
    if (is_head_type(section.type()) && std::ranges::find(types, section.type()) == types.end())
      types.push_back(section.type());
  if (types.empty())
    fail_at({name, 0}, "-focal: there is no detection head (", head_names("or"), ")");
  for (const std::string& type : types)  // each is put above the one before
    for (auto key = std::rbegin(kFocalKeys); key != std::rend(kFocalKeys); ++key)
      assignments.push_back(cat(type, ".*.", *key, " # -focal"));
  return assignments;
}

// Throws where no network can be made of it. What hinders training alone is an error where the
// command line changed anything that may be the reason.
void require_sound(const std::vector<Section>& cfg, bool changed) {
  const log::WithoutWarnings of_the_old_cfg;
  const Network inference(cfg, {});
  try {
    const Network training(cfg, {.mode = Mode::training, .batch = 1});
  } catch (const Error&) {
    if (changed) throw;
  }
}

std::string cleaned(const ConvertArguments& o, const std::string& text) {
  const CleanedCfg clean = without_idle_keys(
      text, [](std::string_view type) { return std::string(layer_type_name(type)); });
  for (const IdleKey& key : clean.removed)
    fmt::print("{}:{}: [{}] {}: removed: {}\n", printable(o.cfg), key.line, printable(key.section),
               printable(key.assignment), key.why);
  if (clean.removed.empty())
    fmt::print("{}: -clean leaves nothing out: every key has an effect\n", printable(o.cfg));
  return clean.text;
}

int convert_cfg(const ConvertArguments& o) {
  std::vector<Section> cfg = read_cfg(o.cfg);
  std::vector<std::string> assignments;
  if (o.focal) assignments = focal_assignments(cfg, o.cfg);
  assignments.insert(assignments.end(), o.overrides.begin(), o.overrides.end());
  apply_overrides(cfg, assignments);
  add_files_of_keys(run_inputs(), cfg);
  require_new_file(o.out, kCfgFormat, o.force);
  require_sound(cfg, !assignments.empty());
  const std::string original = read_cfg_text(o.cfg);
  std::string text = moved_cfg(with_overrides(original, assignments, Comments::kept), o.cfg, o.out);
  if (o.clean) text = cleaned(o, text);
  if (o.training || o.testing) text = switched_batch(text, o.training, o.cfg);
  {
    const log::WithoutWarnings printed_before;
    std::istringstream written(text);
    require_sound(parse_cfg(written, o.out), text != original);
  }
  write_file_atomically(o.out, with_line_ends_of(original, text));
  log::info(cat("-> ", printable(o.out)));
  return 0;
}

}  // namespace

void add_cfg_convert(Program& program) {
  const Command command = program.command(
      "cfg convert", "write a cfg with keys changed, in its order, with its comments");
  auto& o = command.options<ConvertArguments>();
  command.argument("in", o.cfg, "the cfg to read").input("the cfg").required();
  command.argument("out", o.out, "the cfg to write").required();
  add_overrides(command, o.overrides);
  command.flag("-focal", o.focal,
               "the objectness of every head by focal loss, with the keys of cfg/*-focal.cfg");
  const Option training = command.flag(
      "-training", o.training, "batch= and subdivisions= for training: the largest of [net]");
  command
      .flag("-testing", o.testing, "batch=1 and subdivisions=1; those for training become comments")
      .excludes(training);
  command.flag("-clean", o.clean, "leave out what has no effect here, and say what that is");
  add_force(command, o.force);
  command.footer(
      "For example -set 'yolo.*.obj_loss=focal'. What is written is a cfg that loads; a key or a "
      "value that does not is an error, and nothing is written. In another folder, tree= and map= "
      "name their files from there.");
  command.runs([&o] { return convert_cfg(o); });
}

}  // namespace darknet::cli
