// darknet detector check data [cfg]
#include <fmt/core.h>

#include <memory>
#include <optional>

#include "cfg/data_file.h"
#include "cfg/parse.h"
#include "cli/command.h"
#include "core/log.h"
#include "dataset/check.h"
#include "dataset/image_list.h"
#include "dataset/labels.h"
#include "eval/imbalance.h"
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

void print_imbalance(const Network& net, const ImbalanceReport& r) {
  fmt::print("against the network's anchors ({} objects in {} pictures):\n", r.truths, r.images);
  for (const HeadImbalance& h : r.heads)
    fmt::print(
        "  {}: {} anchors judged a picture, {:.2f} of them positive: {:.0f} negatives to 1\n",
        net.layer(h.layer).title(), h.candidates / r.images,
        static_cast<double>(h.positives) / static_cast<double>(r.images),
        h.negatives_per_positive());
  fmt::print(
      "  best anchor's IoU with an object: {:.3f} on average; below .5 for {} objects, below "
      ".25 for {}\n",
      r.mean_fit, r.fit_poorly, r.fit_none);
  fmt::print(
      "  {} objects share all their anchors with others; {} are below 2 pixels of the input\n",
      r.without_an_anchor, r.tiny);
  for (const AnchorUse& a : r.anchors)
    fmt::print("  anchor {:4.0f} x {:<4.0f} fits {:5.1f} % of the objects best\n", a.width,
               a.height, 100 * static_cast<double>(a.truths) / static_cast<double>(r.truths));
}

// What a user may want to change, in words.
void print_hints(const Options& o, const ImbalanceReport& r) {
  const auto share = [&](std::int64_t part) {
    return 100 * static_cast<double>(part) / static_cast<double>(r.truths);
  };
  if (share(r.fit_none) >= 1 || share(r.fit_poorly) >= 20)
    fmt::print(
        "hint: {:.1f} % of the objects fit no anchor by .5: darknet detector calc_anchors {} "
        "-cfg {}\n",
        share(r.fit_poorly), o.data, o.cfg);
  if (share(r.without_an_anchor) >= 5)
    fmt::print(
        "hint: {:.1f} % of the objects have no anchor of their own: a larger input, a finer "
        "head or more anchors give them one\n",
        share(r.without_an_anchor));
  if (share(r.tiny) >= 1)
    fmt::print(
        "hint: {:.1f} % of the objects are below 2 pixels of the input; a larger width and "
        "height show them\n",
        share(r.tiny));
}

// Labels that are at fault were told of already.
void judge_anchors(const Options& o, const Network& net, const std::filesystem::path& list) {
  GroundTruths truths;
  for (const auto& image : read_image_list(list)) try {
      truths.push_back(read_labels(image, classes_of(net)).truths);
    } catch (const Error&) {
      continue;
    }
  const ImbalanceReport report = imbalance(net, truths);
  if (report.truths == 0) return;
  print_imbalance(net, report);
  print_hints(o, report);
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
  std::optional<Network> net;
  if (!o.cfg.empty()) {
    std::vector<Section> cfg = read_cfg(o.cfg);
    apply_overrides(cfg, o.overrides);
    net.emplace(std::move(cfg), NetworkOptions{});
    channels = net->settings().channels;
    if (classes > 0 && classes != classes_of(*net))
      fail_at({o.data, 0}, "classes=", classes, ", but the heads of ", o.cfg, " have ",
              classes_of(*net));
    classes = classes_of(*net);
  }
  const auto names =
      data.names.empty() ? std::vector<std::string>{} : read_names(data.names, classes);
  if (classes == 0) classes = static_cast<std::int64_t>(names.size());
  if (classes == 0)
    fail_at({o.data, 0}, "neither classes = nor names = says how many classes there are");
  required(data, data.train, "train");
  const std::int64_t faults = check("train", data.train, names, classes, channels, o.all) +
                              check("valid", data.valid, names, classes, channels, o.all);
  if (net) judge_anchors(o, *net, data.train);
  fmt::print("{}\n", faults == 0 ? "nothing is wrong" : fmt::format("{} faults", faults));
  return faults == 0 ? 0 : 1;
}

}  // namespace

void add_detector_check(CLI::App& program, Run& run) {
  CLI::App& app =
      subcommand(program, {"detector", "check"}, "find everything that is wrong with a data set");
  const auto o = std::make_shared<Options>();  // outlives this call, in CLI11's callbacks
  app.add_option("data", o->data, "the .data file")->required();
  app.add_option("cfg", o->cfg, "also hold the labels against its heads, anchors and grid");
  app.add_flag("--all", o->all, "show every message");
  add_overrides(app, o->overrides);
  app.final_callback([o, &run] { run = [o] { return run_check(*o); }; });
}

}  // namespace darknet::cli
