#include "cli/weights_edit.h"

#include "cli/common_flags.h"
#include "cli/new_file.h"
#include "core/log.h"
#include "core/text.h"
#include "nn/weights.h"

namespace darknet::cli {

void add_cfg_weights_out(const Command& command, WeightsEditArguments& o, std::string& weights) {
  cfg_argument(command, o.cfg).required();
  weights_argument(command, weights).required();
  command.argument("out", o.out, "the weights file to write").required();
}

void add_edit_flags(const Command& command, WeightsEditArguments& o) {
  add_overrides(command, o.overrides);
  add_force(command, o.force);
}

int write_edited_weights(const WeightsEditArguments& o,
                         const std::function<WeightsEdit(Network&)>& edit) {
  const std::vector<Section> cfg = sections_of(o);
  require_new_file(o.out, kWeightsFormat, o.force);
  Network net(cfg, {});
  const WeightsEdit made = edit(net);
  save_weights(o.out, net, made.seen);
  log::info(cat(made.done, " -> ", printable(o.out)));
  return 0;
}

}  // namespace darknet::cli
