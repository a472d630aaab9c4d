// darknet detector imbalance data cfg weights
#include <fmt/core.h>

#include <algorithm>
#include <optional>

#include "cfg/data_file.h"
#include "cli/common_flags.h"
#include "cli/imbalance_report.h"
#include "cli/network_arguments.h"
#include "cli/open_network.h"
#include "cli/results.h"
#include "core/file.h"
#include "core/input.h"
#include "core/log.h"
#include "core/text.h"
#include "dataset/image_list.h"
#include "dataset/labels.h"
#include "eval/objectness_statistics.h"
#include "report/imbalance_chart.h"
#include "train/interrupt.h"
#include "train/objectness_start.h"

namespace darknet::cli {
namespace {
namespace fs = std::filesystem;

struct ImbalanceArguments : NetworkArguments, ReadingArguments {
  std::string out, json, log;
  bool dark = false;
};

// NAME_log.jsonl next to NAME.weights, or to NAME_last.weights, NAME_1000.weights, ...; "": none.
fs::path log_next_to(const fs::path& weights) {
  const std::string name = weights.stem().string();
  for (const std::string& run : {name, name.substr(0, name.rfind('_'))})
    if (fs::path log = weights.parent_path() / (run + "_log.jsonl"); is_present(log)) return log;
  return {};
}

void check_outputs(const ImbalanceArguments& o) {
  if (!o.json.empty()) require_writable_file(o.json, imbalance_json_format());
  if (o.out.empty()) return;
  require_writable_chart(o.out);
  require_writable_file(o.out + ".csv", format_of(kImbalanceCsvHeader));
}

// For the chart, before long work; none where there is no log.
std::optional<TrainingHistory> history_for(const ImbalanceArguments& o, const fs::path& weights) {
  if (o.out.empty()) return std::nullopt;
  const fs::path log = o.log.empty() ? log_next_to(weights) : fs::path(o.log);
  if (log.empty()) return std::nullopt;
  TrainingHistory history = read_history(log);
  log::info(cat("shares over training from ", printable(log.string())));
  return history;
}

void write_charts(const ImbalanceArguments& o, const ObjectnessStatistics& s,
                  const std::optional<TrainingHistory>& history) {
  write_chart(o.out, imbalance_chart(s, history ? &*history : nullptr),
              o.dark ? Theme::dark : Theme::light);
  write_file_atomically(o.out + ".csv", imbalance_csv(s));
  fmt::print("-> {}, {}.csv\n", printable(written_charts(o.out)), printable(o.out));
}

// The weight of the loss is decided by the training images, whatever valid= holds.
void weigh_as_in_training(Network& net, const DataFile& data, BadLabels bad) {
  const std::vector<HeadAt> heads = net.heads();
  if (std::ranges::none_of(
          heads, [](const HeadAt& at) { return at.head->settings().obj_normalizer.automatic; }))
    return;
  const LabelledImages train =
      read_all_labels(read_image_list(required(data, data.train, "train")), classes_of(net), bad);
  log_reports(weigh_objectness(net, train));
}

// It scales each batch's loss by its boxes', which are not compared here.
void say_what_is_ignored(const CfgArguments& cfg) {
  for (Section& section : sections_of(cfg))
    if (section.has("obj_guided") && section.flag("obj_guided", false))
      log::info(cat(section.where().file, ":", section.where().line, ": [", section.type(),
                    "] obj_guided=1 is ignored: the objectness loss counts as it is before it is "
                    "scaled to the box loss"));
}

int imbalance(const ImbalanceArguments& o) {
  NetworkArguments network = static_cast<const NetworkArguments&>(o);
  const DataFile data = open_data(network, ListedFiles::images_and_labels);
  const ImagePaths listed = read_image_list(required(data, data.valid, "valid"));
  check_outputs(o);
  const std::optional<TrainingHistory> history = history_for(o, network.weights);
  Network net = open_network(network, kEvaluationBatch);
  LabelledImages labelled = read_all_labels(listed, classes_of(net, data), o.bad_labels);
  weigh_as_in_training(net, data, o.bad_labels);
  say_what_is_ignored(network);
  const EvaluationSet set{std::move(labelled.images), std::move(labelled.truths), {}};
  const InterruptGuard interrupt("the images");
  const ObjectnessStatistics s =
      objectness_statistics(net, set, o.threads, [&] { return interrupt.requested(); });
  if (interrupt.requested() && s.images < std::ssize(set.truths)) {
    log::info(cat("interrupted after ", plural(s.images, "image"), " of ", set.truths.size(),
                  "; no figures are given, they need all of them"));
    return interrupt.exit_code();
  }
  print(s);
  fmt::print("{}\n", plural(s.images, "image"));
  if (!o.json.empty()) {
    write_file_atomically(o.json, to_json(s));
    fmt::print("-> {}\n", printable(o.json));
  }
  if (!o.out.empty()) write_charts(o, s, history);
  return 0;
}

}  // namespace

void add_detector_imbalance(Program& program) {
  const Command command = program.command(
      "detector imbalance", "where the objectness loss of a network comes from, over valid=");
  command.footer(
      "The network runs over the images as for detection, and its heads assign the ground truths "
      "as "
      "in training. Figures: the cumulative loss of objects and of background, sorted by loss "
      "(figure 4 of \"Focal Loss for Dense Object Detection\"), for the cfg's loss and for focal "
      "loss with gamma 0, .5, 1, 2 on the same logits; histograms of p_t and of the gradient; and, "
      "where a training log lies next to the weights, the shares of the gradient over training. "
      "Another loss: -set 'yolo.*.obj_loss=ce'. docs/focal.md says how to read it.");
  auto& o = command.options<ImbalanceArguments>();
  add_positionals(command, o, Positionals::data_cfg_weights);
  const Option out =
      command.option("-out", o.out, "also draw OUT.svg and OUT.png, and write OUT.csv");
  command.option("-json", o.json, "also write the figures to this file").value_name("FILE");
  command.option("-log", o.log, "the training log (NAME_log.jsonl next to the weights)")
      .input("the log")
      .needs(out)
      .value_name("FILE");
  command.flag("-dark", o.dark, "a dark .png (the .svg is as its page is)").needs(out);
  add_reading_flags(command, o);
  add_network_flags(command, o);
  add_compatibility_flags(command);
  command.runs([&o] { return imbalance(o); });
}

}  // namespace darknet::cli
