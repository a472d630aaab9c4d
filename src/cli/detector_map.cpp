// darknet detector map data cfg weights
#include <fmt/core.h>

#include <algorithm>
#include <chrono>

#include "cfg/data_file.h"
#include "cli/common_flags.h"
#include "cli/image_errors.h"
#include "cli/map_report.h"
#include "cli/network_arguments.h"
#include "cli/open_network.h"
#include "cli/results.h"
#include "cli/run_inputs.h"
#include "core/file.h"
#include "core/input.h"
#include "core/log.h"
#include "core/ranks.h"
#include "core/text.h"
#include "dataset/detection_files.h"
#include "dataset/image_sizes.h"
#include "eval/evaluation_set.h"
#include "eval/predict.h"
#include "report/error_sheet.h"

namespace darknet::cli {
namespace {

struct MapArguments : NetworkArguments, ReadingArguments {
  std::string out, detections, curves, errors;
  float iou_thresh = .5f, thresh = .25f;
  bool calibrate = false;
  int points = 0;
  Tiling tiling;
};

// What is to be scored: images with their ground truths, and later detections.
struct Labelled {
  DataFile data;
  EvaluationSet set;
  std::vector<std::string> names;
};

Labelled read_labelled(const DataFile& data, std::vector<std::string> names, BadLabels bad) {
  EvaluationSet set = read_validation_set(data, std::ssize(names), bad);
  return {data, std::move(set), std::move(names)};
}

WholeEvaluation detect_all(const MapArguments& o, const NetworkArguments& network,
                           const DataFile& data, Labelled& to) {
  std::uint64_t checksum = 0;
  Network net = open_network(network, batch_for(o.tiling, o.device, kEvaluationBatch), &checksum);
  classes_of(net);
  to = read_labelled(data, class_names(net, data), o.bad_labels);
  DetectionOptions options{
      .threshold = kEvaluationThreshold, .nms = kDefaultNms, .tiling = o.tiling};
  if (o.calibrate) options.calibration = stored_calibration(network, net, checksum);
  return evaluate_all(net, to.set, o.threads, options);
}

// Of another program.
std::vector<EvaluatedImage> read_all(const MapArguments& o, const DataFile& data, Labelled& to) {
  if (data.classes == 0 && data.names.empty())
    fail_at({data.path.string(), 0},
            "nothing says how many classes there are; add names=FILE or classes=N");
  to = read_labelled(data, names_of(data.names, data.classes), o.bad_labels);
  const auto sizes = image_sizes(to.set.images);
  FiledDetections filed = read_detections(o.detections, {to.set.images, sizes, to.names});
  log::info(cat(o.detections, ": ", plural(filed.detections, "detection")));
  std::vector<EvaluatedImage> images(sizes.size());
  for (std::size_t i = 0; i < images.size(); ++i) {
    images[i].detections = std::move(filed.images[i]);
    set_ground_truths(images[i], to.set, i);
    images[i].width = sizes[i].width, images[i].height = sizes[i].height;
  }
  return images;
}

// Before the work.
void check_outputs(const MapArguments& o) {
  if (is_folder(o.detections))
    for (const auto& file : entries_of(o.detections))
      if (file.extension() == ".txt") run_inputs().add("the detections", file);
  if (!o.out.empty()) require_writable_file(o.out, map_json_format());
  if (!o.curves.empty()) require_writable_curves(o.curves);
  if (!o.errors.empty()) require_writable_error_sheets(o.errors);
}

// The threshold that this network is best used with.
void print_advice(const MapArguments& o, const BestF1& best) {
  if (best.f1 <= 0) {
    fmt::print("no detection finds an object by IoU {:.2f}: the network is not trained yet\n",
               o.iou_thresh);
    return;
  }
  fmt::print(
      "F1 is best at threshold {0}: darknet detector test {1} {2} {3} IMAGE -thresh {0}{4}{5}{6}\n",
      printed_threshold(best), printable(o.data), printable(o.cfg), printable(o.weights),
      o.letter_box ? " -letter_box" : "", o.calibrate ? " -calibrate" : "",
      tile_flags_of(o.tiling));
}

int map(const MapArguments& o) {
  if (o.detections.empty() && o.weights.empty())
    throw Error("expected a cfg and weights, or -detections", 2);
  if (!o.detections.empty() && !o.cfg.empty())
    throw Error("-detections: no cfg and no weights are used then", 2);
  if (!o.detections.empty() && !launched_ranks().is_first()) return 0;
  // Once: it may be a pipe.
  NetworkArguments network = static_cast<const NetworkArguments&>(o);
  const DataFile data = open_data(network, ListedFiles::images_and_labels);
  if (launched_ranks().is_first()) check_outputs(o);
  const auto before = std::chrono::steady_clock::now();
  Labelled labelled;
  const auto [images, ended] = o.detections.empty() ? detect_all(o, network, data, labelled)
                                                    : WholeEvaluation{read_all(o, data, labelled)};
  if (ended) return *ended;
  const MapResult result =
      score(images, labelled.names,
            {.iou = o.iou_thresh, .threshold = o.thresh, .points = ap_points_of(o.points)},
            o.detections.empty() ? OutsideImage::clip : OutsideImage::keep);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - before;
  print(result);
  if (o.detections.empty()) print_advice(o, result.best);
  fmt::print("{} in {:.1f} s\n", plural(std::ssize(images), "image"), seconds.count());
  if (!o.out.empty()) {
    write_file_atomically(o.out, to_json(result));
    fmt::print("-> {}\n", printable(o.out));
  }
  if (!o.curves.empty()) {
    write_curves(o.curves, result);
    fmt::print("-> {}\n", printable(o.curves));
  }
  if (!o.errors.empty())
    for (const auto& sheet :
         write_error_sheets(o.errors, result.errors, {labelled.set.images, result.names}))
      fmt::print("-> {}\n", printable(sheet.string()));
  return 0;
}

}  // namespace

void add_detector_map(Program& program) {
  const Command command = program.command(
      "detector map", "average precision on valid=, of a network or of other programs' detections");
  command.footer(
      "The first table and mAP@IoU are VOC's: a detection belongs to the ground truth of its class "
      "that it overlaps most, a second one of the same object is false, one of a difficult object "
      "counts neither way. COCO's figures are pycocotools': free ground truths first, 100 "
      "detections of a class in an image, difficult objects as crowd-like ones that count neither "
      "way. docs/evaluation.md says where the two differ.");
  auto& o = command.options<MapArguments>();
  add_positionals(command, o, Positionals::data);
  command
      .option("-detections", o.detections,
              "score these instead: COCO results (.json), or a folder of VOC comp4 files")
      .input("the detections");
  command.option("-iou_thresh", o.iou_thresh, "least IoU of a true positive")
      .number_in(0, 1)
      .show_default();
  command.option("-thresh", o.thresh, "of the counts TP, FP, FN").number_in(0, 1).show_default();
  command.option("-points", o.points, "0: area under the curve; 11 (VOC 2007); 101 (COCO)")
      .one_of({"0", "11", "101"})
      .show_default();
  command.option("-out", o.out, "also write the figures to this JSON file");
  command.option(
      "-curves", o.curves,
      "folder for precision-recall curves (CSV, SVG, PNG) and the confusion matrix (PNG)");
  command.option("-errors", o.errors,
                 "folder for contact sheets of the worst errors, and errors.csv");
  add_calibrate(command, o.calibrate);
  add_reading_flags(command, o);
  std::vector<Option> of_the_network = add_network_flags(command, o);
  add_tile_flags(command, o.tiling, &of_the_network);
  of_the_network.insert(of_the_network.end(), {command.at("-calibrate"), command.at("-threads")});
  for (const Option& option : of_the_network) option.excludes(command.at("-detections"));
  add_compatibility_flags(command);
  command.runs_in_ranks([&o] { return naming_image_check([&] { return map(o); }); });
}

}  // namespace darknet::cli
