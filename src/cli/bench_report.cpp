#include "cli/bench_report.h"

#include <fmt/core.h>

#include "cfg/override.h"
#include "core/json.h"
#include "core/text.h"

namespace darknet::cli {
namespace {

using nlohmann::ordered_json;

std::string milliseconds(const Spread& s) {
  return fmt::format("{:.1f} ms ({:.1f} to {:.1f})", 1e3 * s.median, 1e3 * s.min, 1e3 * s.max);
}

// In what a machine's rates are printed: large numbers are hard to read.
struct Unit {
  const char* name;
  double flops;
};
Unit unit_of(double peak) { return peak < 1e13 ? Unit{"GFLOP/s", 1e9} : Unit{"TFLOP/s", 1e12}; }

// "  12.345    180   78%": milliseconds, rate and its share of the peak.
std::string rate(double seconds, double flops, double peak) {
  if (seconds <= 0) return fmt::format("{:>9}{:>8}{:>6}", "", "", "");
  if (flops <= 0) return fmt::format("{:>9.3f}{:>8}{:>6}", 1e3 * seconds, "", "");
  return fmt::format("{:>9.3f}{:>8.1f}{:>5.0f}%", 1e3 * seconds,
                     flops / seconds / unit_of(peak).flops, 100 * flops / seconds / peak);
}

std::string baseline(double seconds) {
  return seconds > 0 ? fmt::format("{:>9.3f}", 1e3 * seconds) : fmt::format("{:>9}", "");
}

void print_head(const BenchOptions& o, const char* unit) {
  fmt::print("{:>4} {:<15} {:>7}  {:<17}{:>9}{:>8}{:>6}", "", "layer", "size", "output", "forward",
             unit, "peak");
  if (o.training) fmt::print("{:>9}{:>8}{:>6}", "backward", unit, "peak");
  if (o.reference) fmt::print("{:>9}", "base fwd");
  if (o.reference && o.training) fmt::print("{:>9}", "base bwd");
  fmt::print("\n");
}

void print_row(const BenchOptions& o, const std::string& index, const LayerBench& b,
               const std::string& output, double peak) {
  fmt::print("{:>4} {:<15} {:>7}  {:<17}{}", index, b.type, b.size, output,
             rate(b.forward, b.forward_flops, peak));
  if (o.training) fmt::print("{}", rate(b.backward, b.backward_flops, peak));
  if (o.reference) fmt::print("{}", baseline(b.baseline_forward));
  if (o.reference && o.training) fmt::print("{}", baseline(b.baseline_backward));
  fmt::print("\n");
}

void print_layers(const BenchOptions& o, const BenchReport& r) {
  print_head(o, unit_of(r.peak_flops).name);
  LayerBench sum{.type = "all layers"};
  for (std::size_t i = 0; i < r.layers.size(); ++i) {
    const LayerBench& b = r.layers[i];
    print_row(o, fmt::format("{}", i), b,
              fmt::format("{} x {} x {}", b.output.w, b.output.h, b.output.c), r.peak_flops);
    sum.forward += b.forward, sum.backward += b.backward;
    sum.forward_flops += b.forward_flops, sum.backward_flops += b.backward_flops;
    sum.baseline_forward += b.baseline_forward, sum.baseline_backward += b.baseline_backward;
  }
  print_row(o, "", sum, "", r.peak_flops);
}

void print_total(const BenchOptions& o, const BenchReport& r) {
  fmt::print("{}: {}, {:.2f} images/s; median of {}\n",
             o.training ? "training step"
             : o.int8   ? "inference in int8"
                        : "inference",
             milliseconds(r.total), static_cast<double>(r.images) / r.total.median, r.iterations);
  if (r.cpu) fmt::print("  processor time of all threads: {:.1f} ms on average\n", 1e3 * *r.cpu);
  if (r.idle) fmt::print("  the device was idle {:.1f} % of the time\n", 100 * *r.idle);
  if (!o.training) return;
  const double step = r.total.median / 100;
  fmt::print("  in detection heads {:.1f} % of a step, in data (waiting and upload) {:.1f} %\n",
             r.heads / step, (r.load + r.phases.upload) / step);
  fmt::print(
      "  waiting for images {:.1f} ms{}, upload {:.1f}, forward {:.1f}, backward {:.1f}, "
      "update {:.1f}\n",
      1e3 * r.load, o.data.empty() ? " (synthetic ones)" : "", 1e3 * r.phases.upload,
      1e3 * r.phases.forward, 1e3 * r.phases.backward, 1e3 * r.phases.update);
}

void print_reference(const BenchOptions& o, const BenchReport& r) {
  const ReferenceBench& b = *r.reference;
  const auto line = [&](const char* what, const Spread& s) {
    fmt::print("{}: {}; {} takes {:.3f} times as long (fastest by fastest {:.3f})\n", what,
               milliseconds(s), o.training ? "a step" : "the network", r.total.median / s.median,
               r.total.min / s.min);
  };
  line("convolutions alone, algorithms as in the network", b.planned);
  line("convolutions alone, direct", b.direct);
  if (b.left_out > 0)
    fmt::print("  {} [connected] layers are not among these {}\n", b.left_out, b.convolutions);
}

void print_memory(const BenchReport& r) {
  fmt::print("memory: the process at most {} MiB of the host's; the network {}\n",
             mebibytes(r.peak_memory), to_string(r.memory));
  if (!r.device_memory.empty()) fmt::print("{}\n", r.device_memory);
}

ordered_json json_of(const Spread& s) {
  return {{"median", s.median}, {"min", s.min}, {"max", s.max}};
}

ordered_json json_of(const LayerBench& b) {
  ordered_json out{{"type", b.type},
                   {"size", b.size},
                   {"output", {b.output.n, b.output.h, b.output.w, b.output.c}},
                   {"forward", b.forward},
                   {"forward_flops", b.forward_flops},
                   {"backward", b.backward},
                   {"backward_flops", b.backward_flops}};
  if (b.baseline_forward > 0) out["baseline_forward"] = b.baseline_forward;
  if (b.baseline_backward > 0) out["baseline_backward"] = b.baseline_backward;
  return out;
}

const char* word_of(ConvDirection d) {
  if (d == ConvDirection::forward) return "forward";
  return d == ConvDirection::backward_data ? "data" : "weights";
}

std::string spec_text(const ConvSpec& s) {
  return fmt::format("{} x {} x {}, {} of {}x{}/{}", s.in.w, s.in.h, s.in.c, s.filters, s.size_x,
                     s.size_y, s.stride_x);
}

}  // namespace

void print_bench(const BenchOptions& o, const BenchReport& r) {
  const Unit unit = unit_of(r.peak_flops);
  fmt::print("{}, {}; {} an iteration, {} at a time, {} x {} x {}\n", printable(o.cfg.string()),
             r.library, plural(r.images, "image"), r.input.n, r.input.w, r.input.h, r.input.c);
  fmt::print("peak: {:.1f} {}, the best of a {} x {} x {} matrix product in {}\n",
             r.peak_flops / unit.flops, unit.name, r.peak_size, r.peak_size, r.peak_size,
             r.peak_arithmetic);
  print_layers(o, r);
  print_total(o, r);
  if (r.reference) print_reference(o, r);
  print_memory(r);
}

std::string bench_json(const BenchOptions& o, const BenchReport& r) {
  ordered_json out{{"cfg", o.cfg.string()},
                   {"library", r.library},
                   {"training", o.training},
                   {"exact", o.exact},
                   {"int8", o.int8},
                   {"deterministic", o.deterministic},
                   {"tuning", o.tuning.string()},
                   {"set", without_flags(o.overrides)},
                   {"images", r.images},
                   {"input", {r.input.n, r.input.h, r.input.w, r.input.c}},
                   {"iterations", r.iterations},
                   {"seconds", json_of(r.total)},
                   {"images_per_second", static_cast<double>(r.images) / r.total.median},
                   {"peak_flops", r.peak_flops},
                   {"peak_arithmetic", r.peak_arithmetic},
                   {"network_bytes", r.memory.total()},
                   {"process_bytes", r.peak_memory}};
  if (o.training)
    out.update({{"load", r.load},
                {"upload", r.phases.upload},
                {"forward", r.phases.forward},
                {"backward", r.phases.backward},
                {"update", r.phases.update},
                {"heads", r.heads}});
  if (r.cpu) out["cpu_seconds"] = *r.cpu;
  if (r.idle) out["idle"] = *r.idle;
  if (r.reference)
    out["reference"] = {{"planned", json_of(r.reference->planned)},
                        {"direct", json_of(r.reference->direct)}};
  out["layers"] = ordered_json::array();
  for (const LayerBench& b : r.layers) out["layers"].push_back(json_of(b));
  return dump_json(out, 2) + "\n";
}

void print_tuning(const TuneReport& r) {
  fmt::print("{:>5} {:<9}{:<32} {:>12}  {:<18} {:>9}  {}\n", "layer", "", "convolution",
             "heuristic ms", "", "chosen ms", "");
  double by_heuristic = 0, tuned = 0;
  std::int64_t others = 0;
  for (const TunedConvolution& t : r.convolutions) {
    const double heuristic = t.seconds_of(t.heuristic), chosen = t.seconds_of(t.chosen);
    fmt::print("{:>5} {:<9}{:<32} {:>12.3f}  {:<18} {:>9.3f}  {}\n", t.layer,
               word_of(t.use.direction), spec_text(t.use.spec), 1e3 * heuristic, t.heuristic,
               1e3 * chosen, t.chosen == t.heuristic ? "" : t.chosen);
    by_heuristic += heuristic, tuned += chosen, others += t.chosen != t.heuristic;
  }
  fmt::print(
      "{} of {} take another algorithm than the heuristic's: {:.3f} ms in all instead of {:.3f}\n",
      others, r.convolutions.size(), 1e3 * tuned, 1e3 * by_heuristic);
}

}  // namespace darknet::cli
