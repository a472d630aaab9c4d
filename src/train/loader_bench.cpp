#include "train/loader_bench.h"

#include <chrono>

#include "cfg/data_file.h"
#include "cfg/override.h"
#include "cfg/parse.h"
#include "core/threads.h"
#include "dataset/image_list.h"
#include "dataset/loader.h"
#include "eval/predict.h"
#include "nn/network.h"
#include "train/training_batches.h"

namespace darknet {
namespace {

using Clock = std::chrono::steady_clock;

// What the settings of the batches need of a network, and no more.
BatchSettings settings_of(const LoaderBenchOptions& o) {
  std::vector<Section> cfg = read_cfg(o.cfg);
  apply_overrides(cfg, o.overrides);
  const Network net(std::move(cfg), {.mode = Mode::training, .batch = 1});
  if (net.heads().empty())
    fail_at({o.cfg.string(), 0}, "no detection head: its keys say how images are augmented");
  const DataFile data = read_data_file(o.data);
  const LabelledImages labelled = read_all_labels(
      read_image_list(required(data, data.train, "train")), classes_of(net, data), o.bad_labels);
  BatchSettings settings = training_batches(net, labelled, 1);
  const InputSize size{net.settings().height, net.settings().width};
  settings.size = [size](std::int64_t) { return size; };
  return settings;
}

// Sums of times at one moment.
struct Moment {
  Moment(const LoadTimes& t, Clock::time_point now)
      : read(t.read),
        decode(t.decode),
        warp(t.warp),
        labels(t.labels),
        images(t.images),
        processor(process_cpu_seconds()),
        time(now) {}
  std::int64_t read, decode, warp, labels, images;
  double processor;
  Clock::time_point time;
};

LoaderTimes per_image(const Moment& from, const Moment& to) {
  const auto images = static_cast<double>(std::max<std::int64_t>(1, to.images - from.images));
  const auto seconds = [images](std::int64_t a, std::int64_t b) {
    return 1e-9 * static_cast<double>(b - a) / images;
  };
  LoaderTimes t{.read = seconds(from.read, to.read),
                .decode = seconds(from.decode, to.decode),
                .warp = seconds(from.warp, to.warp),
                .labels = seconds(from.labels, to.labels)};
  t.other = std::max(0., (to.processor - from.processor) / images - t.total());
  return t;
}

}  // namespace

LoaderBenchReport bench_loader(const LoaderBenchOptions& o) {
  LoadTimes times;
  BatchSettings settings = settings_of(o);
  settings.times = &times;
  settings.tiles = false;
  LoaderBenchReport report{.size = settings.size(0),
                           .threads = o.threads > 0 ? o.threads : core_count()};
  const Batches batches(std::move(settings));
  Loader loader(batches, {.threads = report.threads, .max_bad = o.max_bad});
  loader.next();
  const Moment begin(times, Clock::now());
  while (report.images < o.images && !(o.stop && o.stop()))
    report.images += std::ssize(loader.next().images);
  const Moment end(times, Clock::now());
  report.seconds = std::chrono::duration<double>(end.time - begin.time).count();
  report.times = per_image(begin, end);
  return report;
}

}  // namespace darknet
