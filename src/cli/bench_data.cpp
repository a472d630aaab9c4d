// darknet bench data data cfg
#include <fmt/core.h>

#include <array>
#include <utility>

#include "cli/bad_labels.h"
#include "cli/common_flags.h"
#include "core/file.h"
#include "core/json.h"
#include "core/text.h"
#include "image/image.h"
#include "train/interrupt.h"
#include "train/loader_bench.h"

namespace darknet::cli {
namespace {

struct BenchDataArguments : LoaderBenchOptions {
  std::filesystem::path json;  // to write; "": none
};

using Parts = std::array<std::pair<const char*, double>, 5>;
Parts parts_of(const LoaderTimes& t) {
  return {{{"read", t.read},
           {"decode", t.decode},
           {"warp", t.warp},
           {"labels", t.labels},
           {"other", t.other}}};
}

double rate(const LoaderBenchReport& r) { return static_cast<double>(r.images) / r.seconds; }

void print(const BenchDataArguments& o, const LoaderBenchReport& r) {
  fmt::print("{}, {}: {} to {} x {}, {}, {}\n", printable(o.data.string()),
             printable(o.cfg.string()), plural(r.images, "image"), r.size.width, r.size.height,
             plural(r.threads, "thread"), image_library());
  fmt::print("{:.1f} images/s; {:.1f} images/s per core: {:.3f} ms of processor time an image\n",
             rate(r), 1 / r.times.total(), 1e3 * r.times.total());
  for (const auto& [name, seconds] : parts_of(r.times))
    fmt::print("  {:<7}{:>9.3f} ms{:>7.1f} %\n", name, 1e3 * seconds,
               100 * seconds / r.times.total());
}

std::string json_of(const BenchDataArguments& o, const LoaderBenchReport& r) {
  nlohmann::ordered_json out{
      {"data", o.data.string()},      {"cfg", o.cfg.string()},
      {"set", o.overrides},           {"library", image_library()},
      {"height", r.size.height},      {"width", r.size.width},
      {"images", r.images},           {"interrupted", r.images < o.images},
      {"threads", r.threads},         {"seconds", r.seconds},
      {"images_per_second", rate(r)}, {"images_per_second_and_core", 1 / r.times.total()}};
  for (const auto& [name, seconds] : parts_of(r.times)) out["seconds_per_image"][name] = seconds;
  return dump_json(out, 2) + "\n";
}

int run(const BenchDataArguments& o) {
  if (!o.json.empty()) require_writable_file(o.json, json_format({"data"}));
  const InterruptGuard interrupt("the batches");
  LoaderBenchOptions options = static_cast<const LoaderBenchOptions&>(o);
  options.stop = [&] { return interrupt.requested(); };
  const LoaderBenchReport r = bench_loader(options);
  if (r.images > 0) print(o, r);
  if (interrupt.requested())
    fmt::print("interrupted after {} of {}\n", plural(r.images, "image"), o.images);
  if (r.images > 0 && !o.json.empty()) {
    write_file_atomically(o.json, json_of(o, r));
    fmt::print("-> {}\n", printable(o.json.string()));
  }
  return interrupt.exit_code();
}

}  // namespace

void add_bench_data(Program& program) {
  const Command command = program.command("bench data", "how fast training images are loaded");
  command.footer(
      "No network runs. Images are read from the train list, decoded and augmented as in "
      "training on a CPU, and none is kept decoded. Times are of processors, per image and summed "
      "over threads; labels are read before.");
  auto& o = command.options<BenchDataArguments>();
  data_argument(command, o.data).required();
  cfg_argument(command, o.cfg).required();
  command.option("-images", o.images, "images to load, rounded up to whole batches")
      .integer_in(1, 1 << 30)
      .value_name("N")
      .show_default();
  add_threads(command, o.threads, "threads that read and augment images");
  add_max_bad(command, o.max_bad);
  add_bad_labels(command, o.bad_labels);
  add_overrides(command, o.overrides);
  command.option("-json", o.json, "also write the figures to this file").value_name("FILE");
  command.runs([&o] { return run(o); });
}

}  // namespace darknet::cli
