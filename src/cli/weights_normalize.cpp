// darknet weights normalize cfg weights out_cfg out_weights
#include <algorithm>
#include <set>

#include "cli/batch_norm_command.h"
#include "nn/head_types.h"
#include "nn/parameters_by_role.h"

namespace darknet::cli {
namespace {

bool lacks_batch_norm(Layer& layer) {
  const std::string_view type = layer_type_name(layer.type());
  const ParametersByRole p = parameters_by_role(layer);
  return (type == "convolutional" || type == "connected") && p.weights && !p.scale;
}

// All but those whose output a head reads, and but layers with common parameters of which a head
// reads one.
std::vector<std::int64_t> layers_to_normalise(Network& net) {
  std::set<std::int64_t> read_by_heads, layers;
  for (const HeadAt& at : net.heads())
    for (const std::int64_t source : net.layer(at.layer).sources()) read_by_heads.insert(source);
  const auto owner_of = [&](std::int64_t i) {
    return net.layer(i).shares() < 0 ? i : net.layer(i).shares();
  };
  std::set<std::int64_t> kept;
  for (const std::int64_t source : read_by_heads)
    if (source >= 0) kept.insert(owner_of(source));
  for (std::int64_t i = 0; i < net.size(); ++i)
    if (lacks_batch_norm(net.layer(owner_of(i))) && !kept.contains(owner_of(i))) layers.insert(i);
  return {layers.begin(), layers.end()};
}

}  // namespace

void add_weights_normalize(Program& program) {
  const Command command =
      program.command("weights normalize",
                      "give layers without batch normalisation one; the reverse of weights fuse");
  auto& o = command.options<BatchNormArguments>();
  add_batch_norm_arguments(command, o);
  command.footer(
      "The new cfg, with batch_normalize=1, and the new weights give the outputs of the old ones; "
      "scales are 1, means 0 and variances 1, which training moves to those of the data. Layers "
      "that a detection head reads stay as they are.");
  command.runs([&o] {
    return change_batch_norm(o, layers_to_normalise, 1,
                             "nothing to normalise: every layer before those that the heads read "
                             "has batch_normalize=1");
  });
}

}  // namespace darknet::cli
