// darknet partial in.cfg in.weights out N

#include "cli/command.h"
#include "cli/network_arguments.h"
#include "cli/open_network.h"
#include "core/file.h"
#include "core/log.h"
#include "core/text.h"
#include "nn/weights.h"

namespace darknet::cli {
namespace {

struct PartialArguments : NetworkArguments {
  std::string out;
  std::int64_t layers = 0;
};

// Weights of another size are not what an earlier call with these arguments wrote.
void require_same_size(const std::filesystem::path& out, const Network& net, std::int64_t layers) {
  std::error_code missing;
  const auto size = std::filesystem::file_size(out, missing);
  if (missing || size == 0) return;
  if (const auto mine = weights_bytes(net, 0, layers).size(); mine != size)
    fail(out.string(), ": would replace weights of another network (", size, " bytes, not ", mine,
         "); give the output another name, or remove the file first");
}

int partial(const PartialArguments& o) {
  require_writable_file(o.out, kWeightsFormat);
  const Network net = open_network(o);
  if (o.layers < 1 || o.layers > net.size())
    fail("N = ", o.layers, ": this network has ", plural(net.size(), "layer"));
  require_same_size(o.out, net, o.layers);
  save_weights(o.out, net, 0, o.layers);
  log::info(cat(o.out, ": the first ", o.layers, " of ", plural(net.size(), "layer")));
  return 0;
}

}  // namespace

void add_partial(Program& program) {
  const Command command = program.command("partial", "cut a backbone out of a weights file");
  auto& o = command.options<PartialArguments>();
  add_positionals(command, o, Positionals::cfg_weights);
  command.argument("out", o.out, "the file to write").required();
  command.argument("N", o.layers, "how many layers, counted as darknet net info does").required();
  command.runs([&o] { return partial(o); });
}

}  // namespace darknet::cli
