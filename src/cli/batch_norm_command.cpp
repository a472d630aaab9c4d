#include "cli/batch_norm_command.h"

#include <filesystem>
#include <sstream>

#include "cfg/key_files.h"
#include "cfg/override.h"
#include "cfg/parse.h"
#include "cli/common_flags.h"
#include "cli/new_file.h"
#include "core/error.h"
#include "core/file.h"
#include "core/index.h"
#include "core/log.h"
#include "core/text.h"
#include "nn/batch_norm_edits.h"
#include "nn/weights.h"

namespace darknet::cli {
namespace {

// "convolutional.3.batch_normalize=0" for each of the layers.
std::vector<std::string> assignments_for(const std::vector<Section>& cfg,
                                         const std::vector<std::int64_t>& layers, int value) {
  std::vector<std::string> assignments;
  for (const std::int64_t layer : layers) {
    const std::size_t place = to_size(layer) + 1;
    const std::string name = name_of_place(cfg, place);
    assignments.push_back(cat(name, ".batch_normalize=", value));
    if (cfg[place].has("cbn")) assignments.push_back(name + ".cbn=0");  // it asks for it too
  }
  return assignments;
}

}  // namespace

void add_batch_norm_arguments(const Command& command, BatchNormArguments& o) {
  cfg_argument(command, o.cfg).required();
  weights_argument(command, o.weights).required();
  command.argument("out_cfg", o.out_cfg, "the cfg to write").required();
  command.argument("out_weights", o.out_weights, "the weights file to write").required();
  add_overrides(command, o.overrides);
  add_force(command, o.force);
}

int change_batch_norm(const BatchNormArguments& o, const ChangedLayers& changed, int value,
                      const char* none) {
  const std::vector<Section> sections = sections_of(o);
  require_new_file(o.out_cfg, kCfgFormat, o.force);
  require_new_file(o.out_weights, kWeightsFormat, o.force);
  if (std::filesystem::weakly_canonical(o.out_cfg) ==
      std::filesystem::weakly_canonical(o.out_weights))
    throw Error(cat(printable(o.out_cfg), ": the cfg and the weights need files of their own"), 2);
  Network from(sections, {});
  const std::vector<std::int64_t> layers = changed(from);
  if (layers.empty()) fail_at({o.cfg, 0}, none);
  const LoadedWeights loaded = load_weights(o.weights, from);
  const std::string original = read_cfg_text(o.cfg);
  const std::string text =
      moved_cfg(with_overrides(with_overrides(original, o.overrides, Comments::kept),
                               assignments_for(sections, layers, value), Comments::kept),
                o.cfg, o.out_cfg);
  std::istringstream in(text);
  const log::WithoutWarnings printed_before;
  Network to(parse_cfg(in, o.out_cfg), {});
  convert_batch_norm(from, to);
  save_weights(o.out_weights, to, loaded.seen);
  write_file_atomically(o.out_cfg, with_line_ends_of(original, text));
  log::info(cat("batch_normalize=", value, " in ", plural(std::ssize(layers), "layer"), " -> ",
                printable(o.out_cfg), ", ", printable(o.out_weights)));
  return 0;
}

}  // namespace darknet::cli
