// darknet detector map data cfg weights
#include <fmt/core.h>

#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>

#include "cfg/data_file.h"
#include "cli/command.h"
#include "cli/open_network.h"
#include "core/file.h"
#include "dataset/image_list.h"
#include "dataset/labels.h"
#include "eval/predict.h"
#include "nn/weights.h"

namespace darknet::cli {
namespace {

constexpr std::int64_t kBatch = 4;

struct Options {
  std::string data, cfg, weights, out;
  std::vector<std::string> overrides;
  float iou = .5f, threshold = .25f;
  int points = 0, threads = 0;
  bool exact = false;
};

// `difficult` lists the same images; their labels lie in a folder of their own beside it.
std::vector<std::vector<Truth>> difficult_truths(const DataFile& data,
                                                 const std::vector<std::filesystem::path>& images,
                                                 std::int64_t classes) {
  if (data.difficult.empty()) return {};
  LabelledImages difficult = read_all_labels(read_image_list(data.difficult), classes);
  if (difficult.images.size() != images.size())
    fail_at({data.difficult.string(), 0}, "lists ", difficult.images.size(),
            " images, valid lists ", images.size());
  for (std::size_t i = 0; i < images.size(); ++i)
    if (difficult.images[i].filename() != images[i].filename())
      fail_at({data.difficult.string(), 0}, "image ", i + 1, " is ", difficult.images[i].string(),
              ", in valid it is ", images[i].string());
  return std::move(difficult.truths);
}

void print(const Evaluation& e, const std::vector<std::string>& names, const Options& o) {
  fmt::print("{:>4} {:<20} {:>8} {:>7} {:>7} {:>7} {:>7}\n", "id", "name", "AP", "TP", "FP", "FN",
             "truths");
  for (std::size_t i = 0; i < e.classes.size(); ++i) {
    const ClassEvaluation& c = e.classes[i];
    fmt::print("{:>4} {:<20} {:>8} {:>7} {:>7} {:>7} {:>7}\n", i, names[i],
               c.truths ? fmt::format("{:.2f} %", 100 * c.average_precision) : "-",
               c.true_positives, c.false_positives, c.false_negatives(), c.truths);
  }
  const std::string how =
      o.points == 0 ? "area under the curve" : fmt::format("{} points", o.points);
  fmt::print(
      "at threshold {:.2f}: precision {:.3f}, recall {:.3f}, F1 {:.3f}, TP {}, FP {}, FN {}, "
      "average IoU {:.3f}\n",
      o.threshold, e.precision(), e.recall(), e.f1(), e.total.true_positives,
      e.total.false_positives, e.total.false_negatives(), e.average_iou());
  fmt::print(
      "mean average precision (mAP@{:.2f}) = {:.6f}, or {:.2f} % ({}; {} of {} classes have "
      "truths)\n",
      o.iou, e.mean_average_precision, 100 * e.mean_average_precision, how, e.classes_with_truths,
      e.classes.size());
}

void write_json(const Evaluation& e, const std::vector<std::string>& names, const Options& o) {
  nlohmann::json out{{"map", e.mean_average_precision},
                     {"iou_thresh", o.iou},
                     {"points", o.points},
                     {"thresh", o.threshold},
                     {"precision", e.precision()},
                     {"recall", e.recall()},
                     {"f1", e.f1()},
                     {"average_iou", e.average_iou()},
                     {"classes", nlohmann::json::array()}};
  for (std::size_t i = 0; i < e.classes.size(); ++i)
    out["classes"].push_back({{"name", names[i]},
                              {"average_precision", e.classes[i].average_precision},
                              {"true_positives", e.classes[i].true_positives},
                              {"false_positives", e.classes[i].false_positives},
                              {"truths", e.classes[i].truths}});
  write_file_atomically(o.out,
                        out.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

int map(const Options& o) {
  const DataFile data = read_data_file(o.data);
  Network net = open_network({.cfg = o.cfg,
                              .weights = find_weights(o.weights, data.backup),
                              .overrides = o.overrides,
                              .exact = o.exact,
                              .batch = kBatch});
  const std::int64_t classes = classes_of(net);
  const auto names = class_names(net, data.names);
  LabelledImages labelled =
      read_all_labels(read_image_list(required(data, data.valid, "valid")), classes);
  EvaluationSet set{std::move(labelled.images), std::move(labelled.truths), {}};
  set.difficult = difficult_truths(data, set.images, classes);
  const auto before = std::chrono::steady_clock::now();
  const auto images = run_evaluation(net, set, o.threads);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - before;
  const ApPoints points = o.points == 0    ? ApPoints::area
                          : o.points == 11 ? ApPoints::eleven
                                           : ApPoints::hundred_one;
  const Evaluation e = evaluate(
      images, {.classes = classes, .iou = o.iou, .threshold = o.threshold, .points = points});
  print(e, names, o);
  fmt::print("{} images in {:.1f} s\n", images.size(), seconds.count());
  if (!o.out.empty()) write_json(e, names, o);
  return 0;
}

}  // namespace

void add_detector_map(CLI::App& program, Run& run) {
  CLI::App& app = subcommand(program, {"detector", "map"}, "mean average precision on valid=");
  const auto o = std::make_shared<Options>();  // outlives this call, in CLI11's callbacks
  app.add_option("data", o->data, "the .data file")->required();
  app.add_option("cfg", o->cfg, "the network's .cfg")->required();
  app.add_option("weights", o->weights, "its .weights")->required();
  app.add_option("--iou_thresh", o->iou, "least overlap of a hit")
      ->check(between(0, 1))
      ->capture_default_str();
  app.add_option("--thresh", o->threshold, "of the counts TP, FP, FN")
      ->check(between(0, 1))
      ->capture_default_str();
  app.add_option("--points", o->points, "0: area under the curve; 11 (VOC 2007); 101 (COCO)")
      ->check(CLI::IsMember({0, 11, 101}))
      ->capture_default_str();
  app.add_option("--out", o->out, "also write the figures to this JSON file");
  add_overrides(app, o->overrides);
  add_threads(app, o->threads, "threads that read pictures");
  add_exact(app, o->exact);
  add_darknet_habits(app);
  app.final_callback([o, &run] { run = [o] { return map(*o); }; });
}

}  // namespace darknet::cli
