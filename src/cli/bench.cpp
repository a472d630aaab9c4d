// darknet bench cfg; darknet bench data is in cli/bench_data.cpp
#include "train/bench.h"

#include <fmt/core.h>

#include "cli/bad_labels.h"
#include "cli/bench_report.h"
#include "cli/common_flags.h"
#include "core/file.h"
#include "core/input.h"
#include "core/text.h"
#include "train/bench_workload.h"
#include "train/interrupt.h"

namespace darknet::cli {
namespace {

constexpr int kRepeats = 7;  // of -tune

struct BenchArguments : BenchOptions {
  std::filesystem::path tune, json;  // files to write; "": none
};

void require_sense(const BenchArguments& o) {
  if (o.cfg.empty()) throw Error("cfg is required", 2);
  if (!o.data.empty() && !o.training) throw Error("-data: images are for -train", 2);
  if (!o.data.empty() && o.reference)
    throw Error(
        "-data with -reference: the loader would work ahead while the network waits; "
        "measure them apart",
        2);
  if (o.int8 && (o.training || o.reference || !o.tune.empty()))
    throw Error(
        "-precision int8 is for inference alone, and has no other algorithms to compare with: "
        "-train, -reference and -tune are not for it",
        2);
}

int run_tune(const BenchArguments& o) {
  require_writable_file(o.tune, json_format({"library"}));
  if (is_present(o.tune)) read_tunings(o.tune);  // to fail before it is measured
  const auto work = make_workload(o);
  const InterruptGuard interrupt("the measurement");
  const TuneReport r = tune(work->network(), kRepeats, [&] { return interrupt.requested(); });
  print_tuning(r);
  merge_into_file(o.tune, r.tuning);
  fmt::print("{} for {} -> {}\n", plural(r.tuning.size(), "choice"), r.tuning.library(),
             printable(o.tune.string()));
  if (interrupt.requested()) fmt::print("interrupted: other convolutions were not measured\n");
  return interrupt.exit_code();
}

int run_bench(const BenchArguments& o) {
  require_sense(o);
  if (!o.tune.empty()) return run_tune(o);
  if (!o.json.empty()) require_writable_file(o.json, json_format({"cfg"}));
  const InterruptGuard interrupt("the step");
  BenchOptions options = static_cast<const BenchOptions&>(o);
  options.stop = [&] { return interrupt.requested(); };
  const BenchReport r = bench(options);
  const bool written = r.iterations > 0 && !o.json.empty();
  if (written) write_file_atomically(o.json, bench_json(o, r));
  if (r.iterations > 0) print_bench(o, r);
  if (written) fmt::print("-> {}\n", printable(o.json.string()));
  if (r.iterations < o.iterations)
    fmt::print("interrupted after {} of {}\n", plural(r.iterations, "iteration"), o.iterations);
  return interrupt.exit_code();
}

void add_files(const Command& command, BenchArguments& o) {
  command.option("-json", o.json, "also write the figures to this file").value_name("FILE");
  const Option tune =
      command.option("-tune", o.tune,
                     "measure instead what algorithms the convolutions could take, and put the "
                     "quickest into this file, for -tuning");
  tune.value_name("FILE");
  for (const char* other : {"-json", "-reference", "-data", "-tuning"})
    tune.excludes(command.at(other));
}

}  // namespace

void add_bench(Program& program) {
  const Command command = program.command("bench", "how fast a network runs, layer by layer");
  command.footer(
      "Weights are random, images are noise unless -data names some. Times of layers are medians "
      "of iterations of their own and in milliseconds; peak is the share of the fastest matrix "
      "product. GFLOP/s count the multiply-adds of plain convolution, so Winograd's may exceed the "
      "peak. -tune measures the shapes of this cfg, -batch and mode: for a training run and for "
      "its evaluation call it twice with one file, with -train and without.");
  auto& o = command.options<BenchArguments>();
  cfg_argument(command, o.cfg);  // required, but for the commands behind this word
  command.flag("-train", o.training, "training steps instead of inference");
  command
      .option("-batch", o.batch,
              "images per forward pass (1); with -train per step, in the cfg's subdivisions")
      .integer_in(1, 1 << 16)
      .value_name("N");
  command.option("-iterations", o.iterations, "iterations to take the median of")
      .integer_in(1, 1 << 20)
      .value_name("N")
      .show_default();
  command.flag("-reference", o.reference, "interleaved with the convolutions alone, and the ratio");
  command.option("-data", o.data, "with -train: the images of this .data file's train list")
      .input("the .data file")
      .value_name("FILE");
  add_threads(command, o.threads, "with -data: threads that read and augment images");
  add_bad_labels(command, o.bad_labels);
  for (const char* of_data : {"-threads", "-bad_labels"})
    command.at(of_data).needs(command.at("-data"));
  add_overrides(command, o.overrides);
  add_arithmetic(command, o.exact, o.overrides, o.tuning, &o.int8);
  add_device(command, o.device);
  add_deterministic(command, o.deterministic);
  add_files(command, o);
  command.runs([&o] { return run_bench(o); });
}

}  // namespace darknet::cli
