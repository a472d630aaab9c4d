// darknet check cfg [weights]
#include <fmt/core.h>

#include <cmath>

#include "cli/common_flags.h"
#include "cli/network_arguments.h"
#include "core/log.h"
#include "core/ops.h"
#include "core/tensor.h"
#include "core/text.h"
#include "train/device_check.h"
#include "train/interrupt.h"

namespace darknet::cli {
namespace {

struct CheckArguments : CfgArguments {
  std::string devices, against;
  DeviceCheckOptions check;
};

std::string default_devices() {
  return device_count(DeviceType::cuda) > 0 ? "cpu,cuda" : "cpu,reference";
}

void choose_devices(const std::string& names, const std::vector<Section>& cfg,
                    DeviceCheckOptions& to) {
  const std::size_t comma = names.find(',');
  if (comma == names.npos || names.find(',', comma + 1) != names.npos)
    throw Error(cat("-devices ", names, ": expected two, as cpu,cuda:0 or cpu,reference"), 2);
  to.first = checked_device(names.substr(0, comma));
  const auto against = to.second.precision;
  to.second = checked_device(names.substr(comma + 1));
  to.second.precision = against;
  if (to_string(to.first) == to_string(to.second) &&
      precision_of(to.first, cfg) == precision_of(to.second, cfg))
    throw Error(cat("-devices ", names, ": these are the same"), 2);
}

std::string about(const CheckedDevice& d, const std::vector<Section>& cfg) {
  const Ops& library = d.reference ? reference_ops() : ops(d.device.type);
  return cat(to_string(d), " in ", name_of(precision_of(d, cfg)), " (", library.name(d.device),
             ')');
}

std::string text_of(const Difference& d, double relative) {
  return d.compared ? fmt::format("{:>9.1e} {:>9.1e}", d.absolute, relative)
                    : fmt::format("{:>9} {:>9}", "-", "-");
}

// Of the array whose gradient differs most.
std::string gradient_text(const LayerCheck& l) {
  const GradientDifference* const worst = l.worst_gradient();
  if (!worst) return text_of({}, 0);
  const Difference& d = worst->difference;
  return cat(text_of(d, d.overall), " ", name_of(worst->role));
}

void print(const DeviceCheck& check) {
  fmt::print("{:>4} {:<15} {:^19} {:^19} {:^19}\n{:>4} {:<15}", "", "", "inference", "training",
             "gradients", "", "layer");
  for (int i = 0; i < 3; ++i) fmt::print(" {:>9} {:>9}", "absolute", "relative");
  fmt::print("\n");
  for (const LayerCheck& l : check.layers)
    fmt::print("{:>4} {:<15} {} {} {}{}\n", l.layer, l.type,
               text_of(l.inference, l.inference.relative), text_of(l.training, l.training.relative),
               gradient_text(l), check.passes(l) ? "" : "  FAILED");
}

int run_check(CheckArguments& o) {
  const std::vector<Section> cfg = sections_of(o);
  if (!o.against.empty()) o.check.second.precision = value_of<DType>(o.against);
  choose_devices(o.devices.empty() ? default_devices() : o.devices, cfg, o.check);
  const InterruptGuard interrupt("the pass");
  fmt::print("{}: {} against {}{}\n", printable(o.cfg), about(o.check.first, cfg),
             about(o.check.second, cfg), o.check.exact ? ", -exact" : "");
  std::fflush(stdout);  // what follows may take minutes
  o.check.stop = [&] { return interrupt.requested(); };
  const DeviceCheck check = check_devices(cfg, o.check);
  if (check.stopped) {
    log::info("interrupted: no figures are given, they need all passes; nothing is written");
    return interrupt.exit_code();
  }
  print(check);
  fmt::print(
      "{}: relative differences up to {:.0e} are allowed at inference and {:.0e} in training; of "
      "gradients, which are compared in the Euclidean norm, {:.0e} of a layer's together{}\n",
      check.passes() ? "passed" : "FAILED", check.inference_tolerance, check.training_tolerance,
      check.gradient_tolerance,
      std::isfinite(check.array_tolerance)
          ? fmt::format(" and {:.0e} of each array", check.array_tolerance)
          : "");
  return check.passes() ? 0 : 1;
}

}  // namespace

void add_check(Program& program) {
  const Command command =
      program.command("check", "the same network on two devices, layer by layer");
  command.footer(
      "Differences are the largest of a layer, absolute and relative to the layer's largest "
      "magnitude; relative ones of gradients are of the Euclidean norm, and each layer shows the "
      "array (weights, biases, scales) whose gradient differs most. Images are noise, ground "
      "truths are synthetic; weights are random where no file "
      "is named. 'reference' is the reference implementation on the CPU, plain loops: slow with "
      "large networks, -set net.0.width=96 -set net.0.height=96 helps.");
  auto& o = command.options<CheckArguments>();
  cfg_argument(command, o.cfg).required();
  command.argument("weights", o.check.weights, "weights; without them random ones")
      .input("the weights file");
  command
      .text_option("-devices", o.devices,
                   "two of cpu, cuda, cuda:N, reference (cpu and a GPU, or else the reference)")
      .value_name("A,B");
  add_overrides(command, o.overrides);
  add_arithmetic(command, o.check.exact, o.overrides, o.check.tuning);
  command
      .text_option("-against", o.against,
                   "element type of activations on the second device, where it is not the first's")
      .one_of(names_of<DType>())
      .value_name("TYPE");
  add_deterministic(command, o.check.deterministic);
  command.runs([&o] { return run_check(o); });
}

}  // namespace darknet::cli
