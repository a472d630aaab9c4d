// darknet detector check data [cfg]
#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <set>
#include <system_error>

#include "cfg/data_file.h"
#include "cli/bad_labels.h"
#include "cli/common_flags.h"
#include "cli/list_checks.h"
#include "cli/network_arguments.h"
#include "core/input.h"
#include "core/log.h"
#include "core/text.h"
#include "dataset/check.h"
#include "dataset/image_list.h"
#include "dataset/labels.h"
#include "eval/imbalance.h"
#include "eval/predict.h"
#include "nn/network.h"
#include "report/training_images.h"
#include "train/advice.h"
#include "train/interrupt.h"
#include "train/training_batches.h"

namespace darknet::cli {
namespace {
namespace fs = std::filesystem;

struct DetectorCheckArguments : CfgArguments {
  std::string data, out = "augmented";
  std::int64_t draw = 0;  // augmented images that are written to `out`
  bool all = false;
  BadLabels bad_labels = BadLabels::stop;
};

void print_list(const char* name, const ListCheck& c, const std::vector<std::string>& names) {
  fmt::print("{}: {} ({} without objects, {} listed twice), {}, at most {} in one image\n", name,
             plural(c.images, "image"), c.empty, c.duplicates, plural(c.objects, "object"),
             c.max_objects);
  for (std::size_t i = 0; i < c.objects_of_class.size(); ++i)
    fmt::print("  {:<24} {:>8}\n",
               i < names.size() ? printable(names[i]) : fmt::format("class {}", i),
               c.objects_of_class[i]);
  if (c.objects > 0)
    fmt::print("  box sides from {:.4f} to {:.4f} of the image\n", c.smallest, c.largest);
  fmt::print("  errors: {}, {}, {}{}; {} clipped\n", plural(c.unreadable, "unreadable image"),
             plural(c.missing_labels, "missing label file"), plural(c.bad_lines, "bad label line"),
             c.labels_are_skipped && c.missing_labels + c.bad_lines > 0 ? " (skipped)" : "",
             plural(c.clipped + c.cut, "box"));
}

void print_imbalance(const Network& net, const ImbalanceReport& r) {
  fmt::print("against the network's anchors ({} in {}):\n", plural(r.truths, "object"),
             plural(r.images, "image"));
  for (const HeadImbalance& h : r.heads)
    fmt::print(
        "  {}: {} anchors classified per image, {:.2f} of them positive: {:.0f} negatives to 1\n",
        net.layer(h.layer).title(), h.candidates / r.images,
        static_cast<double>(h.positives) / static_cast<double>(r.images),
        h.negatives_per_positive());
  if (!r.anchors.empty())
    fmt::print(
        "  best anchor's IoU with an object: {:.3f} on average; below .5 for {}, below "
        ".25 for {}\n",
        r.mean_fit, plural(r.fit_poorly, "object"), r.fit_none);
  fmt::print("  without an anchor of their own: {}; below 2 pixels of the input: {}\n",
             plural(r.without_an_anchor, "object"), r.tiny);
  for (const AnchorUse& a : r.anchors)
    fmt::print("  anchor {:4.0f} x {:<4.0f} fits {:5.1f} % of the objects best\n", a.width,
               a.height, 100 * static_cast<double>(a.truths) / static_cast<double>(r.truths));
}

// What concerns the anchors alone; the rest is train/advice.h.
void print_hints(const DetectorCheckArguments& o, const ImbalanceReport& r) {
  const auto share = [&](std::int64_t part) {
    return 100 * static_cast<double>(part) / static_cast<double>(r.truths);
  };
  if (share(r.fit_none) >= 1 || share(r.fit_poorly) >= 20)
    fmt::print(
        "hint: {:.1f} % of the objects fit no anchor by .5: darknet detector calc_anchors {} "
        "-cfg {}\n",
        share(r.fit_poorly), printable(o.data), printable(o.cfg));
  if (share(r.without_an_anchor) >= 5)
    fmt::print(
        "hint: {:.1f} % of the objects have no anchor of their own: a larger input, a finer "
        "head or more anchors give them one\n",
        share(r.without_an_anchor));
}

// The labels of a list without invalid ones, which were reported already.
LabelledImages sound_labels(const std::filesystem::path& list, std::int64_t classes,
                            BadLabels bad) {
  LabelledImages all;
  const ImagePaths images = read_image_list(list);
  for (std::size_t i = 0; i < images.size(); ++i) {
    const LabelFile file = read_label_file(images, i, classes, bad);
    if (!file.readable || (!file.errors.empty() && bad != BadLabels::skip)) continue;
    all.objects += std::ssize(file.labels.truths);
    all.empty += file.labels.truths.empty();
    all.images.push_back(images[i]);
    all.truths.push_back(file.labels.truths);
  }
  return all;
}

void draw_augmented(const DetectorCheckArguments& o, const Network& net,
                    const LabelledImages& train, const std::vector<std::string>& names) {
  if (train.images.empty()) fail_at({o.data, 0}, "-draw: no training image has valid labels");
  for (const auto& sheet :
       write_augmented(o.out, training_batches(net, train, 1), {.names = names, .count = o.draw}))
    fmt::print("-> {}\n", printable(sheet.string()));
}

// How the labels meet the network, and warnings; returns how many.
std::int64_t advise(const DetectorCheckArguments& o, const Network* net, const DataFile& data,
                    const std::vector<std::string>& names) {
  const auto classes = std::ssize(names);
  const LabelledImages train = sound_labels(data.train, classes, o.bad_labels);
  const LabelledImages valid =
      data.valid.empty() ? LabelledImages{} : sound_labels(data.valid, classes, o.bad_labels);
  if (o.draw > 0) draw_augmented(o, *net, train, names);
  std::optional<ImbalanceReport> report;
  if (net && train.objects > 0) report = imbalance(*net, train);
  if (report && report->truths > 0) {  // none where letter_box needs sizes and no image can be read
    print_imbalance(*net, *report);
    print_hints(o, *report);
  }
  const Findings findings = darknet::advise({.net = net,
                                             .names = names,
                                             .train = &train,
                                             .valid = valid.images.empty() ? nullptr : &valid,
                                             .imbalance = report ? &*report : nullptr,
                                             .overlap_seconds = kOverlapSeconds});
  for (const std::string& finding : findings) log::warn(finding);
  return std::ssize(findings);
}

// Whether all of `inner`'s path begins with that of `outer`.
bool lies_in(const fs::path& inner, const fs::path& outer) {
  std::error_code unknown;
  const fs::path a = fs::weakly_canonical(outer, unknown), b = fs::weakly_canonical(inner, unknown);
  return std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first == a.end();
}

// In a folder of the data set, what is drawn would be taken for images of it.
void require_other_folder(const fs::path& out, const DataFile& data) {
  const auto refuse = [&](const fs::path& list) {
    fail(out.string(), ": images of ", list.string(),
         " lie in this folder, and what -draw writes would be among them; name another one");
  };
  const log::WithoutWarnings given_later;
  for (const fs::path& list : {data.train, data.valid, data.difficult, data.tune}) {
    if (list.empty()) continue;
    if (is_folder(list) && lies_in(out, list)) refuse(list);
    std::set<fs::path> folders;
    for (const fs::path& image : read_image_list(list)) folders.insert(image.parent_path());
    std::error_code missing;
    for (const fs::path& folder : folders)
      if (fs::equivalent(folder.empty() ? "." : folder, out, missing)) refuse(list);
  }
}

int run_check(const DetectorCheckArguments& o) {
  const DataFile data = read_data_file(o.data);
  std::int64_t classes = data.classes;
  InputValues values{.channels = 0};
  std::optional<Network> net;
  if (!o.cfg.empty()) {
    net.emplace(sections_of(o), NetworkOptions{.mode = Mode::training, .batch = 1});
    values = input_values(*net);
    classes = classes_of(*net, data);
  }
  const auto names = names_of(data.names, classes);
  if (classes == 0) classes = std::ssize(names);
  if (classes == 0)
    fail_at({o.data, 0}, "nothing says how many classes there are; add names=FILE or classes=N");
  required(data, data.train, "train");
  if (o.draw > 0) {
    require_other_folder(o.out, data);
    require_writable_augmented(o.out, o.draw);
  }
  const ListChecks lists =
      check_lists(data, {.classes = classes, .values = values, .bad_labels = o.bad_labels}, o.all,
                  [&](const char* name, const ListCheck& c) { print_list(name, c, names); });
  if (lists.interrupted != 0) return lists.interrupted;
  const std::int64_t errors = lists.errors();
  std::int64_t warnings = lists.warnings();
  if (const std::string advice = input_max_advice(lists.train); !advice.empty())
    log::warn(advice), ++warnings;
  {
    const InterruptReport interrupt(
        cat("before, ", plural(errors, "error"), " of images and labels came up"),
        "while the whole data set was searched for what would spoil a training");
    warnings += advise(o, net ? &*net : nullptr, data, names);
  }
  fmt::print("{}\n", summary(errors, warnings));
  if (lists.bad_lines() > 0 && o.bad_labels != BadLabels::skip)
    fmt::print(
        "-bad_labels skip leaves invalid lines out of train, map and other commands; clip cuts "
        "boxes that reach out of their image\n");
  return errors == 0 ? 0 : 1;
}

}  // namespace

void add_detector_check(Program& program) {
  const Command command =
      program.command("detector check", "find everything that is wrong with a data set");
  auto& o = command.options<DetectorCheckArguments>();
  data_argument(command, o.data).required();
  const Option cfg =
      command.argument("cfg", o.cfg, "also hold the labels against its heads, anchors and grid");
  const Option out =
      command.argument("out", o.out, "of -draw: the folder of the images").show_default();
  const Option draw =
      command
          .option("-draw", o.draw,
                  "write so many training images as the network sees them, augmented, with their "
                  "boxes, and contact sheets of them")
          .integer_in(1, 10'000)
          .needs(cfg)
          .value_name("N");
  out.needs(draw);
  command.flag("-all", o.all, "show every message");
  add_bad_labels(command, o.bad_labels);
  add_overrides(command, o.overrides);
  command.at("-set").needs(cfg);
  command.runs([&o] { return run_check(o); });
}

}  // namespace darknet::cli
