// darknet net info cfg
#include <fmt/core.h>

#include "cli/common_flags.h"
#include "cli/network_arguments.h"
#include "core/error.h"
#include "core/log.h"
#include "core/text.h"
#include "nn/network.h"

namespace darknet::cli {
namespace {

std::string text(const Shape& s) { return fmt::format("{} x {} x {}", s.w, s.h, s.c); }

std::int64_t values_in(Layer& layer) {
  std::int64_t n = 0;
  for (const Parameter* p : layer.parameters()) n += p->value.size();
  return n;
}

void print_layer(Network& net, std::int64_t i, double bflops, std::int64_t parameters) {
  Layer& layer = net.layer(i);
  const LayerSummary s = layer.summary();
  const std::int64_t source = layer.sources().front();
  const Shape in = source < 0 ? net.input_shape() : net.output_shape(source);
  fmt::print("{:>4} {:<15} {:>7} {:>9}  {:>17} -> {:<17} {:>10} {:>8}  {}\n", i, layer.type(),
             s.filters, s.size, text(in), text(net.output_shape(i)), parameters,
             bflops > 0 ? fmt::format("{:.3f}", bflops) : "", s.note);
}

void print_memory(const char* what, const MemoryUse& m) {
  fmt::print("{}: {}\n", what, to_string(m));
}

// What hinders training alone is worth a line, not a failure.
void print_training(const CfgArguments& o) try {
  const log::WithoutWarnings printed_before;
  const Network training(sections_of(o), {.mode = Mode::training});
  print_memory(
      fmt::format("memory, training with {} at a time", plural(training.input_shape().n, "image"))
          .c_str(),
      training.memory());
} catch (const Error& e) {
  fmt::print("training is not possible: {}\n", printable(e.what()));
}

int info(const CfgArguments& o) {
  Network net(sections_of(o), {});
  fmt::print("{:>4} {:<15} {:>7} {:>9}  {:>17} -> {:<17} {:>10} {:>8}\n", "", "layer", "filters",
             "size", "input", "output", "parameters", "BFLOPs");
  double all_bflops = 0;
  std::int64_t all_parameters = 0;
  for (std::int64_t i = 0; i < net.size(); ++i) {
    const double bflops = 2e-9 * static_cast<double>(net.layer(i).summary().multiply_adds);
    const std::int64_t parameters = values_in(net.layer(i));
    print_layer(net, i, bflops, parameters);
    all_bflops += bflops, all_parameters += parameters;
  }
  fmt::print("total: {} parameters, {:.3f} BFLOPs per image\n", all_parameters, all_bflops);
  print_memory("memory, inference of one image", net.memory());
  print_training(o);
  return 0;
}

}  // namespace

void add_net_info(Program& program) {
  const Command command =
      program.command("net info", "the layers of a cfg, its size and its memory");
  auto& o = command.options<CfgArguments>();
  cfg_argument(command, o.cfg).required();
  add_overrides(command, o.overrides);
  command.runs([&o] { return info(o); });
}

}  // namespace darknet::cli
