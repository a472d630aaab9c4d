// darknet weights reset cfg weights out
#include <cstdint>
#include <string>

#include "cli/common_flags.h"
#include "cli/network_arguments.h"
#include "cli/new_file.h"
#include "core/log.h"
#include "core/text.h"
#include "nn/batch_norm_edits.h"
#include "nn/weights.h"

namespace darknet::cli {
namespace {

struct ResetArguments : CfgArguments {
  std::string weights, out;
  bool statistics = false, keep_seen = false, force = false;
};

int reset_weights(const ResetArguments& o) {
  require_new_file(o.out, kWeightsFormat, o.force);
  Network net(sections_of(o), {});
  const LoadedWeights loaded = load_weights(o.weights, net);
  const std::uint64_t seen = o.keep_seen ? loaded.seen : 0;
  std::string done = cat("images seen: ", seen, ", before: ", loaded.seen);
  if (o.statistics)
    done += cat("; statistics of ", plural(reset_batch_norm(net), "layer"), " folded into weights");
  save_weights(o.out, net, seen);
  log::info(cat(done, " -> ", printable(o.out)));
  return 0;
}

}  // namespace

void add_weights_reset(Program& program) {
  const Command command = program.command(
      "weights reset",
      "set the number of images seen to 0; with -statistics batch normalisation too");
  auto& o = command.options<ResetArguments>();
  cfg_argument(command, o.cfg).required();
  weights_argument(command, o.weights).required();
  command.argument("out", o.out, "the weights file to write").required();
  command.flag(
      "-statistics", o.statistics,
      "fold scales and statistics of batch normalisation into the weights, and set them to "
      "1, 0 and 1; outputs stay");
  command.flag("-keep_seen", o.keep_seen, "keep the number of images seen");
  command.footer("`detector train -clear` starts from iteration 0 without this.");
  add_overrides(command, o.overrides);
  add_force(command, o.force);
  command.runs([&o] {
    if (o.keep_seen && !o.statistics)
      throw Error("-keep_seen without -statistics leaves nothing to do", 2);
    return reset_weights(o);
  });
}

}  // namespace darknet::cli
