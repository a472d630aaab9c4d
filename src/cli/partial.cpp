// darknet partial in.cfg in.weights out N
#include <memory>

#include "cli/command.h"
#include "cli/open_network.h"
#include "core/file.h"
#include "core/log.h"
#include "core/protected_files.h"
#include "nn/weights.h"

namespace darknet::cli {
namespace {

struct Options {
  std::string cfg, weights, out;
  std::int64_t layers = 0;
};

int partial(const Options& o) {
  const ProtectedFiles inputs({{"the cfg", o.cfg}, {"the weights file", o.weights}});
  require_writable_file(o.out);
  const Network net = open_network({.cfg = o.cfg, .weights = o.weights});
  if (o.layers < 1 || o.layers > net.size())
    fail("N = ", o.layers, ": this network has ", net.size(), " layers");
  save_weights(o.out, net, 0, o.layers);
  log::info(cat(o.out, ": the first ", o.layers, " of ", net.size(), " layers"));
  return 0;
}

}  // namespace

void add_partial(CLI::App& program, Run& run) {
  CLI::App& app = subcommand(program, {"partial"}, "cut a backbone out of a weights file");
  const auto o = std::make_shared<Options>();  // outlives this call, in CLI11's callbacks
  app.add_option("cfg", o->cfg, "the network's .cfg")->required();
  app.add_option("weights", o->weights, "its .weights")->required();
  app.add_option("out", o->out, "the file to write")->required();
  app.add_option("N", o->layers, "how many layers, counted as darknet net info does")->required();
  app.final_callback([o, &run] { run = [o] { return partial(*o); }; });
}

}  // namespace darknet::cli
