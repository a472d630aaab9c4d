// darknet detector check data [cfg]
#include <fmt/core.h>

#include <memory>

#include "cfg/data_file.h"
#include "cfg/parse.h"
#include "cli/command.h"
#include "core/log.h"
#include "dataset/check.h"
#include "eval/predict.h"
#include "nn/network.h"

namespace darknet::cli {
namespace {

constexpr std::int64_t kMostMessages = 50;  // of one list; the rest is counted

struct Options {
  std::string data, cfg;
  std::vector<std::string> overrides;
  bool all = false;
};

void print(const char* name, const ListCheck& c, const std::vector<std::string>& names) {
  fmt::print(
      "{}: {} images ({} without objects, {} listed twice), {} objects, at most {} in one "
      "image\n",
      name, c.images, c.empty, c.duplicates, c.objects, c.most_objects);
  for (std::size_t i = 0; i < c.objects_of_class.size(); ++i)
    fmt::print("  {:<24} {:>8}\n", i < names.size() ? names[i] : fmt::format("class {}", i),
               c.objects_of_class[i]);
  if (c.objects > 0)
    fmt::print("  box sides from {:.4f} to {:.4f} of the picture\n", c.smallest, c.largest);
  fmt::print(
      "  faults: {} unreadable pictures, {} missing label files, {} bad label lines; {} "
      "boxes clipped\n",
      c.unreadable, c.missing_labels, c.bad_lines, c.clipped);
}

std::int64_t check(const char* name, const std::filesystem::path& list,
                   const std::vector<std::string>& names, std::int64_t classes,
                   std::int64_t channels, bool all) {
  if (list.empty()) return 0;
  std::int64_t told = 0;
  const auto tell = [&](const std::string& message) {
    if (all || told++ < kMostMessages) log::error(message);
  };
  const ListCheck result = check_list(list, classes, channels, tell);
  if (told > kMostMessages)
    log::error(cat(told - kMostMessages, " more messages; -all shows them"));
  print(name, result, names);
  return result.faults();
}

int run_check(const Options& o) {
  const DataFile data = read_data_file(o.data);
  std::int64_t classes = data.classes, channels = 3;
  if (!o.cfg.empty()) {
    std::vector<Section> cfg = read_cfg(o.cfg);
    apply_overrides(cfg, o.overrides);
    const Network net(std::move(cfg), {});
    channels = net.settings().channels;
    if (classes > 0 && classes != classes_of(net))
      fail_at({o.data, 0}, "classes=", classes, ", but the heads of ", o.cfg, " have ",
              classes_of(net));
    classes = classes_of(net);
  }
  const auto names =
      data.names.empty() ? std::vector<std::string>{} : read_names(data.names, classes);
  if (classes == 0) classes = static_cast<std::int64_t>(names.size());
  if (classes == 0)
    fail_at({o.data, 0}, "neither classes = nor names = says how many classes there are");
  required(data, data.train, "train");
  const std::int64_t faults = check("train", data.train, names, classes, channels, o.all) +
                              check("valid", data.valid, names, classes, channels, o.all);
  fmt::print("{}\n", faults == 0 ? "nothing is wrong" : fmt::format("{} faults", faults));
  return faults == 0 ? 0 : 1;
}

}  // namespace

void add_detector_check(CLI::App& program, Run& run) {
  CLI::App& app =
      subcommand(program, {"detector", "check"}, "find everything that is wrong with a data set");
  const auto o = std::make_shared<Options>();  // outlives this call, in CLI11's callbacks
  app.add_option("data", o->data, "the .data file")->required();
  app.add_option("cfg", o->cfg, "also check that its heads fit the data");
  app.add_flag("--all", o->all, "show every message");
  add_overrides(app, o->overrides);
  app.final_callback([o, &run] { run = [o] { return run_check(*o); }; });
}

}  // namespace darknet::cli
