// darknet weights fuse cfg weights out_cfg out_weights

#include "cli/batch_norm_command.h"
#include "nn/parameters_by_role.h"

namespace darknet::cli {
namespace {

std::vector<std::int64_t> normalised_layers(Network& net) {
  std::vector<std::int64_t> layers;
  for (std::int64_t i = 0; i < net.size(); ++i) {
    const std::int64_t owner = net.layer(i).shares() < 0 ? i : net.layer(i).shares();
    const ParametersByRole p = parameters_by_role(net.layer(owner));
    if (p.weights && p.scale) layers.push_back(i);
  }
  return layers;
}

}  // namespace

void add_weights_fuse(Program& program) {
  const Command command =
      program.command("weights fuse", "fold batch normalisation into the weights before it");
  auto& o = command.options<BatchNormArguments>();
  add_batch_norm_arguments(command, o);
  command.footer(
      "The new cfg, with batch_normalize=0, and the new weights give the outputs of the old ones, "
      "for programs that know no batch normalisation. This program gains nothing: it folds when it "
      "loads. To train on, keep the old ones. A [batchnorm] section stays.");
  command.runs([&o] {
    return change_batch_norm(o, normalised_layers, 0,
                             "nothing to fold: no layer has batch_normalize=1");
  });
}

}  // namespace darknet::cli
