// What `weights average`, `reset` and `rescale` have in common: they write a weights file of the
// network that a cfg describes.
#pragma once
#include <cstdint>
#include <functional>
#include <string>

#include "cli/command.h"
#include "cli/network_arguments.h"
#include "nn/network.h"

namespace darknet::cli {

struct WeightsEditArguments : CfgArguments {
  std::string out;
  bool force = false;
};
// The arguments `cfg weights out`.
void add_cfg_weights_out(const Command&, WeightsEditArguments&, std::string& weights);
// -set and -force.
void add_edit_flags(const Command&, WeightsEditArguments&);

struct WeightsEdit {
  std::uint64_t seen = 0;  // images, for the header
  std::string done;        // what was done, for the log
};
// Writes what `edit` makes of the network, which has no weights yet.
int write_edited_weights(const WeightsEditArguments&,
                         const std::function<WeightsEdit(Network&)>& edit);

}  // namespace darknet::cli
