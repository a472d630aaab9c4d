// darknet bench cfg
#include "train/bench.h"

#include <fmt/core.h>

#include <memory>

#include "cli/command.h"

namespace darknet::cli {
namespace {

constexpr double kMib = 1 << 20;

std::string milliseconds(const Spread& s) {
  return fmt::format("{:.1f} ms ({:.1f} to {:.1f})", 1e3 * s.median, 1e3 * s.least, 1e3 * s.most);
}

// "  12.345    180   78%": milliseconds, GFLOP/s and their share of the peak.
std::string rate(double seconds, double flops, double peak) {
  if (seconds <= 0) return fmt::format("{:>9}{:>8}{:>6}", "", "", "");
  if (flops <= 0) return fmt::format("{:>9.3f}{:>8}{:>6}", 1e3 * seconds, "", "");
  return fmt::format("{:>9.3f}{:>8.1f}{:>5.0f}%", 1e3 * seconds, 1e-9 * flops / seconds,
                     100 * flops / seconds / peak);
}

std::string bare(double seconds) {
  return seconds > 0 ? fmt::format("{:>9.3f}", 1e3 * seconds) : fmt::format("{:>9}", "");
}

void print_head(const BenchOptions& o) {
  fmt::print("{:>4} {:<15} {:>7}  {:<17}{:>9}{:>8}{:>6}", "", "layer", "size", "output", "forward",
             "GFLOP/s", "peak");
  if (o.training) fmt::print("{:>9}{:>8}{:>6}", "backward", "GFLOP/s", "peak");
  if (o.reference) fmt::print("{:>9}", "bare fwd");
  if (o.reference && o.training) fmt::print("{:>9}", "bare bwd");
  fmt::print("\n");
}

void print_row(const BenchOptions& o, const std::string& index, const LayerBench& b,
               const std::string& output, double peak) {
  fmt::print("{:>4} {:<15} {:>7}  {:<17}{}", index, b.type, b.size, output,
             rate(b.forward, b.forward_flops, peak));
  if (o.training) fmt::print("{}", rate(b.backward, b.backward_flops, peak));
  if (o.reference) fmt::print("{}", bare(b.bare_forward));
  if (o.reference && o.training) fmt::print("{}", bare(b.bare_backward));
  fmt::print("\n");
}

void print_layers(const BenchOptions& o, const BenchReport& r) {
  print_head(o);
  LayerBench sum{.type = "all layers"};
  for (std::size_t i = 0; i < r.layers.size(); ++i) {
    const LayerBench& b = r.layers[i];
    print_row(o, fmt::format("{}", i), b,
              fmt::format("{} x {} x {}", b.output.w, b.output.h, b.output.c), r.peak_flops);
    sum.forward += b.forward, sum.backward += b.backward;
    sum.forward_flops += b.forward_flops, sum.backward_flops += b.backward_flops;
    sum.bare_forward += b.bare_forward, sum.bare_backward += b.bare_backward;
  }
  print_row(o, "", sum, "", r.peak_flops);
}

void print_total(const BenchOptions& o, const BenchReport& r) {
  fmt::print("{}: {}, {:.2f} images/s; median of {}\n", o.training ? "training step" : "inference",
             milliseconds(r.total), static_cast<double>(r.images) / r.total.median, o.iterations);
  if (!o.training) return;
  fmt::print(
      "  waiting for pictures {:.1f} ms{}, upload {:.1f}, forward {:.1f}, backward {:.1f}, "
      "update {:.1f}\n",
      1e3 * r.load, o.data.empty() ? " (made-up ones)" : "", 1e3 * r.parts.upload,
      1e3 * r.parts.forward, 1e3 * r.parts.backward, 1e3 * r.parts.update);
}

void print_reference(const BenchOptions& o, const BenchReport& r) {
  const ReferenceBench& b = *r.reference;
  const auto line = [&](const char* what, const Spread& s) {
    fmt::print("{}: {}; {} takes {:.3f} times as long (fastest by fastest {:.3f})\n", what,
               milliseconds(s), o.training ? "a step" : "the network", r.total.median / s.median,
               r.total.least / s.least);
  };
  line("bare convolutions, algorithms as in the network", b.planned);
  line("bare convolutions, direct", b.direct);
  if (b.left_out > 0)
    fmt::print("  {} [connected] layers are not among the bare {}\n", b.left_out, b.convolutions);
}

void print_memory(const BenchReport& r) {
  const auto mib = [](std::int64_t bytes) { return static_cast<double>(bytes) / kMib; };
  fmt::print(
      "memory: the process at most {:.1f} MiB; the network {:.1f} MiB (parameters {:.1f}, their "
      "gradients {:.1f}, activations {:.1f}, workspace {:.1f})\n",
      mib(r.peak_memory), mib(r.memory.total()), mib(r.memory.parameters),
      mib(r.memory.parameter_gradients), mib(r.memory.activations), mib(r.memory.workspace));
}

int run_bench(const BenchOptions& o) {
  if (!o.data.empty() && !o.training) throw Error("-data: pictures are for -train", 2);
  if (!o.data.empty() && o.reference)
    throw Error(
        "-data with -reference: the loader would work ahead while the network waits; "
        "measure them apart",
        2);
  const BenchReport r = bench(o);
  fmt::print("{}, {}; {} images an iteration, {} at a time, {} x {} x {}\n", o.cfg.string(),
             r.library, r.images, r.input.n, r.input.w, r.input.h, r.input.c);
  fmt::print("peak: {:.1f} GFLOP/s, the best of a 2048 x 2048 x 2048 matrix product\n",
             1e-9 * r.peak_flops);
  print_layers(o, r);
  print_total(o, r);
  if (r.reference) print_reference(o, r);
  print_memory(r);
  return 0;
}

}  // namespace

void add_bench(CLI::App& program, Run& run) {
  CLI::App& app = subcommand(program, {"bench"}, "how fast a network runs, layer by layer");
  app.footer(
      "Weights are random, pictures are noise unless -data names some. Times of layers are "
      "medians of\niterations of their own and in milliseconds; peak is the share of the fastest "
      "matrix product.\nGFLOP/s count the multiply-adds of plain convolution, so Winograd's may "
      "exceed the peak.");
  const auto o = std::make_shared<BenchOptions>();  // outlives this call, in CLI11's callbacks
  app.add_option("cfg", o->cfg, "the network's .cfg")->required();
  app.add_flag("--train", o->training, "training steps instead of inference");
  app.add_option("--batch", o->batch,
                 "images per forward pass (1); with -train per step, in the cfg's subdivisions")
      ->check(CLI::Range(1, 1 << 16))
      ->type_name("N");
  app.add_option("--iterations", o->iterations, "iterations to take the median of")
      ->check(CLI::Range(1, 1 << 20))
      ->type_name("N")
      ->capture_default_str();
  app.add_flag("--reference", o->reference,
               "in turns with the library's convolutions alone, and the ratio");
  app.add_option("--data", o->data, "with -train: the pictures of this .data file's train list")
      ->type_name("FILE");
  add_threads(app, o->threads, "with -data: threads that read and augment pictures");
  add_overrides(app, o->overrides);
  add_exact(app, o->exact);
  add_device(app, o->device);
  add_deterministic(app, o->deterministic);
  app.final_callback([o, &run] { run = [o] { return run_bench(*o); }; });
}

}  // namespace darknet::cli
