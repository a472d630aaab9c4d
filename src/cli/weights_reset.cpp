// darknet weights reset cfg weights out
#include <cstdint>
#include <string>

#include "cli/weights_edit.h"
#include "core/text.h"
#include "nn/batch_norm_edits.h"
#include "nn/weights.h"

namespace darknet::cli {
namespace {

struct ResetArguments : WeightsEditArguments {
  std::string weights;
  bool statistics = false, keep_seen = false;
};

std::string reset_statistics(Network& net) {
  const std::int64_t layers = reset_batch_norm(net);
  if (layers == 0)
    fail_at({net.where().file, 0},
            "-statistics: nothing to reset: no layer with weights has batch_normalize=1");
  return cat("; statistics of ", plural(layers, "layer"), " folded into weights");
}

WeightsEdit reset(const ResetArguments& o, Network& net) {
  const LoadedWeights loaded = load_weights(o.weights, net);
  const std::uint64_t seen = o.keep_seen ? loaded.seen : 0;
  std::string done = cat("images seen: ", seen, ", before: ", loaded.seen);
  if (o.statistics) done += reset_statistics(net);
  return {seen, done};
}

}  // namespace

void add_weights_reset(Program& program) {
  const Command command = program.command(
      "weights reset",
      "set the number of images seen to 0; with -statistics batch normalisation too");
  auto& o = command.options<ResetArguments>();
  add_cfg_weights_out(command, o, o.weights);
  command.flag(
      "-statistics", o.statistics,
      "fold scales and statistics of batch normalisation into the weights, and set them to "
      "1, 0 and 1; outputs stay");
  command.flag("-keep_seen", o.keep_seen, "keep the number of images seen");
  command.footer("`detector train -clear` starts from iteration 0 without this.");
  add_edit_flags(command, o);
  command.runs([&o] {
    if (o.keep_seen && !o.statistics)
      throw Error("-keep_seen without -statistics leaves nothing to do", 2);
    return write_edited_weights(o, [&](Network& net) { return reset(o, net); });
  });
}

}  // namespace darknet::cli
