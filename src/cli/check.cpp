// darknet check cfg [weights]
#include <fmt/core.h>

#include <memory>

#include "cfg/parse.h"
#include "cli/command.h"
#include "core/ops.h"
#include "train/device_check.h"

namespace darknet::cli {
namespace {

struct Options {
  std::string cfg, devices;
  std::vector<std::string> overrides;
  DeviceCheckOptions check;
};

std::string default_devices() {
  return device_count(DeviceType::cuda) > 0 ? "cpu,cuda" : "cpu,reference";
}

void choose_devices(const std::string& names, DeviceCheckOptions& to) {
  const std::size_t comma = names.find(',');
  if (comma == names.npos || names.find(',', comma + 1) != names.npos)
    throw Error(cat("-devices ", names, ": expected two, as cpu,cuda:0 or cpu,reference"), 2);
  to.first = checked_device(names.substr(0, comma));
  to.second = checked_device(names.substr(comma + 1));
  if (to_string(to.first) == to_string(to.second))
    throw Error(cat("-devices ", names, ": these are the same"), 2);
}

std::string library(const CheckedDevice& d) {
  streams(d.device.type).use(d.device);
  return d.reference ? reference_ops().name() : ops(d.device.type).name();
}

std::string text_of(const Difference& d) {
  return d.compared ? fmt::format("{:>9.1e} {:>9.1e}", d.absolute, d.relative)
                    : fmt::format("{:>9} {:>9}", "-", "-");
}

void print(const DeviceCheck& check) {
  fmt::print("{:>4} {:<15} {:^19} {:^19} {:^19}\n{:>4} {:<15}", "", "", "inference", "training",
             "gradients", "", "layer");
  for (int i = 0; i < 3; ++i) fmt::print(" {:>9} {:>9}", "absolute", "relative");
  fmt::print("\n");
  for (const LayerCheck& l : check.layers)
    fmt::print("{:>4} {:<15} {} {} {}{}\n", l.layer, l.type, text_of(l.inference),
               text_of(l.training), text_of(l.gradient), check.passes(l) ? "" : "  FAILED");
}

int run_check(Options& o) {
  choose_devices(o.devices.empty() ? default_devices() : o.devices, o.check);
  std::vector<Section> cfg = read_cfg(o.cfg);
  apply_overrides(cfg, o.overrides);
  fmt::print("{}: {} ({}) against {} ({}){}\n", o.cfg, to_string(o.check.first),
             library(o.check.first), to_string(o.check.second), library(o.check.second),
             o.check.exact ? ", -exact" : "");
  const DeviceCheck check = check_devices(cfg, o.check);
  print(check);
  fmt::print(
      "{}: relative differences up to {:.0e} are allowed at inference, {:.0e} in training and of "
      "gradients\n",
      check.passes() ? "passed" : "FAILED", check.inference_tolerance, check.training_tolerance);
  return check.passes() ? 0 : 1;
}

}  // namespace

void add_check(CLI::App& program, Run& run) {
  CLI::App& app = subcommand(program, {"check"}, "the same network on two devices, layer by layer");
  app.footer(
      "Differences are the largest of a layer, absolute and relative to the layer's largest "
      "magnitude.\nPictures are noise, truths are made up; weights are random where no file is "
      "named.\n'reference' is plain loops on the CPU: slow with large networks, -set "
      "net.0.width=96\n-set net.0.height=96 helps.");
  const auto o = std::make_shared<Options>();  // outlives this call, in CLI11's callbacks
  app.add_option("cfg", o->cfg, "the network's .cfg")->required();
  app.add_option("weights", o->check.weights, "weights; without them random ones");
  app.add_option("--devices", o->devices,
                 "two of cpu, cuda, cuda:N, reference (cpu and a GPU, or else the reference)")
      ->type_name("A,B");
  add_overrides(app, o->overrides);
  add_arithmetic(app, o->check.exact, o->overrides, o->check.tuning);
  add_deterministic(app, o->check.deterministic);
  app.final_callback([o, &run] { run = [o] { return run_check(*o); }; });
}

}  // namespace darknet::cli
