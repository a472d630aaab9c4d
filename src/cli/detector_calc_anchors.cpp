// darknet detector calc_anchors data
#include <fmt/core.h>

#include <cmath>
#include <optional>

#include "cfg/data_file.h"
#include "cli/bad_labels.h"
#include "cli/common_flags.h"
#include "cli/network_arguments.h"
#include "cli/run_inputs.h"
#include "core/file.h"
#include "core/index.h"
#include "core/text.h"
#include "dataset/image_list.h"
#include "dataset/input_truths.h"
#include "dataset/labels.h"
#include "eval/imbalance.h"
#include "nn/head_types.h"
#include "nn/network.h"
#include "report/chart.h"
#include "train/anchors.h"
#include "train/interrupt.h"

namespace darknet::cli {
namespace {

struct CalcAnchorsArguments : CfgArguments {
  std::string data, out = "anchors";
  AnchorSettings settings;
  std::optional<std::int64_t> clusters;  // none: the cfg's number of anchors, or the usual one
  std::int64_t width = 0, height = 0;
  BadLabels bad_labels = BadLabels::stop;
};

// The network's input, and its present anchors where a cfg is given.
struct Target {
  std::int64_t width = 416, height = 416, classes = 0;
  bool letter_box = false;
  std::vector<AnchorShape> anchors;
  AnchorShape unit{1, 1};  // of the key anchors=, in pixels
};

Target target_of(const CalcAnchorsArguments& o) {
  Target t;
  if (!o.cfg.empty()) {
    const Network net(sections_of(o), {});
    const Shape input = net.input_shape();
    t.width = input.w, t.height = input.h, t.letter_box = net.settings().letter_box;
    if (net.heads().empty())
      fail_at({o.cfg, 0}, "no anchors: there is no detection head (", head_names("or"), ")");
    for (const HeadAt& at : net.heads()) {
      const std::vector<AnchorShape> anchors = at.head->anchor_shapes(input);
      if (anchors.empty())
        fail(net.layer(at.layer).title(),
             ": has no anchors, it predicts boxes of any shape; leave out -cfg, and give the size "
             "of the input with -width and -height");
      t.anchors.insert(t.anchors.end(), anchors.begin(), anchors.end());
      t.classes = at.head->settings().classes;
      t.unit = at.head->anchor_unit(input);
    }
  }
  if (o.width > 0) t.width = o.width;
  if (o.height > 0) t.height = o.height;
  return t;
}

std::int64_t classes_of(const Target& t, const DataFile& data) {
  if (t.classes > 0) return t.classes;
  if (data.classes > 0) return data.classes;
  if (!data.names.empty()) return static_cast<std::int64_t>(read_names(data.names, 0).size());
  fail_at({data.path.string(), 0}, "classes= or names= is required");
}

// Widths and heights as the network sees them.
std::vector<AnchorShape> objects_of(const LabelledImages& labelled, const Target& t) {
  const auto w = static_cast<float>(t.width), h = static_cast<float>(t.height);
  std::vector<AnchorShape> objects;
  for (const auto& truths : truths_at_input(labelled, {t.width, t.height, t.letter_box}))
    for (const Truth& truth : truths) objects.push_back({truth.box.w * w, truth.box.h * h});
  return objects;
}

// What a cfg has behind anchors=.
std::string anchors_value(const AnchorResult& r, const Target& t) {
  const bool in_pixels = t.unit.width == 1 && t.unit.height == 1;
  std::string line;
  for (std::size_t k = 0; k < r.anchors.size(); ++k) {
    const AnchorShape& a = r.anchors[k];
    line += k == 0 ? "" : ", ";
    // Whole pixels would cost small anchors more overlap than a restart gains.
    line += in_pixels
                ? fmt::format("{:.4g},{:.4g}", a.width, a.height)
                : fmt::format("{:.3f},{:.3f}", a.width / t.unit.width, a.height / t.unit.height);
  }
  return line;
}

void write_charts(const CalcAnchorsArguments& o, const std::vector<AnchorShape>& objects,
                  const AnchorResult& r) {
  Panel panel{.title = fmt::format("{}, {}, mean IoU {:.3f}", plural(std::ssize(objects), "object"),
                                   plural(std::ssize(r.anchors), "anchor"), r.mean_iou),
              .x_label = "width, pixels of the input",
              .y_label = "height, pixels of the input"};
  panel.y_low = 0;
  for (std::size_t k = 0; k < r.anchors.size(); ++k) {
    Series cluster{.mark = Series::Mark::points, .style = static_cast<int>(k % 4)};
    for (std::size_t i = 0; i < objects.size(); ++i)
      if (r.assigned[i] == static_cast<std::int64_t>(k)) {
        cluster.x.push_back(static_cast<double>(objects[i].width));
        cluster.y.push_back(static_cast<double>(objects[i].height));
      }
    panel.series.push_back(std::move(cluster));
  }
  for (const AnchorShape& a : r.anchors) {
    const auto w = static_cast<double>(a.width), h = static_cast<double>(a.height);
    panel.series.push_back({.x = {0, w, w}, .y = {h, h, 0}, .style = 4});
  }
  write_chart(o.out, {"", {std::move(panel)}});
}

// Where Darknet's scripts look for them.
struct TextFiles {
  std::filesystem::path anchors, counters;
};

TextFiles text_files(const CalcAnchorsArguments& o) {
  return {o.out + ".txt", std::filesystem::path(o.out).parent_path() / "counters_per_class.txt"};
}

// How many objects each class has, as counters_per_class= of a head wants it.
std::string counters_line(const LabelledImages& labelled, std::int64_t classes) {
  std::vector<std::int64_t> counters(to_size(classes));
  for (const auto& truths : labelled.truths)
    for (const Truth& truth : truths) ++counters[to_size(std::int64_t{truth.class_id})];
  std::string line = "counters_per_class = ";
  for (std::size_t c = 0; c < counters.size(); ++c) line += cat(c == 0 ? "" : ", ", counters[c]);
  return line;
}

// What takes long: everything before the first line is printed.
struct Clustered {
  std::int64_t images = 0;
  std::vector<AnchorShape> objects;
  AnchorResult result;
  std::string counters;
};

Clustered cluster(const CalcAnchorsArguments& o, const Target& t, const DataFile& data,
                  const ImagePaths& images) {
  InterruptReport interrupt("no anchors are given, and nothing was written",
                            "while labels and sizes of the images were read");
  const LabelledImages labelled = read_all_labels(images, classes_of(t, data), o.bad_labels);
  Clustered c{.images = std::ssize(labelled.images),
              .objects = objects_of(labelled, t),
              .counters = counters_line(labelled, classes_of(t, data))};
  if (c.objects.empty()) fail_at({data.train.string(), 0}, "no objects in the labels of this list");
  interrupt.at(cat("while anchors for ", plural(std::ssize(c.objects), "object"), " in ",
                   plural(c.images, "image"), " were clustered"));
  c.result = calc_anchors(c.objects, o.settings);
  return c;
}

int run_calc_anchors(CalcAnchorsArguments o) {
  const DataFile data = open_data(o.data, ListedFiles::images_and_labels);
  const ImagePaths images = read_image_list(required(data, data.train, "train"));
  require_writable_chart(o.out);
  const TextFiles texts = text_files(o);
  require_writable_file(texts.anchors, kTextFormat);
  require_writable_file(texts.counters, kDataFormat);
  const Target t = target_of(o);
  if (!t.anchors.empty()) o.settings.anchors = std::ssize(t.anchors);
  if (o.clusters) o.settings.anchors = *o.clusters;
  const auto [count, objects, r, counters] = cluster(o, t, data, images);
  fmt::print("{} in {}, input {} x {}{}\n", plural(std::ssize(objects), "object"),
             plural(count, "image"), t.width, t.height,
             t.letter_box ? " with bars (letter_box)" : "");
  for (std::size_t k = 0; k < r.anchors.size(); ++k)
    fmt::print("  {:7.1f} x {:<7.1f} {:>8}\n", r.anchors[k].width, r.anchors[k].height,
               plural(r.objects[k], "object"));
  fmt::print("mean IoU with the best anchor: {:.4f}\n", r.mean_iou);
  if (!t.anchors.empty())
    fmt::print("with the {} of {}: {:.4f}\n", plural(std::ssize(t.anchors), "anchor"),
               printable(o.cfg), assign_anchors(objects, t.anchors).mean_iou);
  const std::string anchors = anchors_value(r, t);
  fmt::print("{}\nanchors= {}\n", counters, anchors);
  write_charts(o, objects, r);
  write_file_atomically(texts.anchors, anchors + "\n");
  write_file_atomically(texts.counters, counters + "\n");
  fmt::print("-> {}, {}, {}\n", printable(written_charts(o.out)), printable(texts.anchors.string()),
             printable(texts.counters.string()));
  return 0;
}

}  // namespace

void add_detector_calc_anchors(Program& program) {
  const Command command =
      program.command("detector calc_anchors", "anchors that fit the objects of train=");
  command.footer(
      "k-means++ on the objects' widths and heights with 1 - IoU as the distance; the best of "
      "several starts, moved to where the mean IoU is largest. The line can be pasted into the "
      "cfg: into every detection head (whose mask=, if it has one, says which are its own), with "
      "num= as many.");
  auto& o = command.options<CalcAnchorsArguments>();
  data_argument(command, o.data).required();
  command.option("-cfg", o.cfg, "take size, number and kind of anchors from this network")
      .input("the cfg")
      .value_name("CFG");
  command.option("-num_of_clusters", o.clusters, "how many anchors (9, or the cfg's)")
      .integer_in(1, 1000);
  command.option("-width", o.width, "of the network's input, pixels (416, or the cfg's)")
      .integer_in(1, 1 << 16);
  command.option("-height", o.height, "of the network's input, pixels (416, or the cfg's)")
      .integer_in(1, 1 << 16);
  command.option("-restarts", o.settings.restarts, "starts, of which the best counts")
      .integer_in(1, 10000)
      .show_default();
  add_seed(command, "of the starts (1)", [&o](std::uint64_t seed) { o.settings.seed = seed; });
  command
      .option("-out", o.out,
              "name of the chart without .svg and .png, and of the anchors without .txt; next to "
              "it lies "
              "counters_per_class.txt")
      .show_default();
  add_bad_labels(command, o.bad_labels);
  add_overrides(command, o.overrides);
  add_compatibility_flags(command);
  add_ignored(command, {"-show", false, "no window is opened; the chart is always written"});
  command.runs([&o] { return run_calc_anchors(o); });
}

}  // namespace darknet::cli
