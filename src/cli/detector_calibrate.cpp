// darknet detector calibrate data cfg weights
#include <fmt/core.h>

#include "cfg/data_file.h"
#include "cli/common_flags.h"
#include "cli/network_arguments.h"
#include "cli/open_network.h"
#include "cli/results.h"
#include "cli/run_inputs.h"
#include "core/file.h"
#include "core/input.h"
#include "core/ranks.h"
#include "core/text.h"
#include "dataset/run_inputs.h"
#include "eval/calibration_file.h"
#include "eval/evaluation_set.h"
#include "eval/matching.h"
#include "eval/recalibration.h"

namespace darknet::cli {
namespace {
namespace fs = std::filesystem;

struct CalibrateArguments : NetworkArguments, ReadingArguments {
  std::string images, method = std::string(name_of(CalibrationMethod::temperature));
  float thresh = static_cast<float>(CalibrationOptions{}.threshold), iou_thresh = .5f;
  Tiling tiling;
};

void print_fit(const Recalibration& r) {
  fmt::print("{:>12} {:>10} {:>10} {:>10}\n", "confidence", "detections", "mean", "precision");
  for (const ReliabilityBin& bin : r.before.bins)
    if (bin.detections > 0)
      fmt::print("{:>5.1f} to {:>3.1f} {:>10} {:>10.3f} {:>10.3f}\n", bin.low, bin.high,
                 bin.detections, bin.mean_confidence, bin.precision());
  if (r.map.knots().empty())
    fmt::print("{}: confidences {}\n", text_of(r.map),
               r.map.temperature() > 1 ? "were too far from .5" : "were too near .5");
  else
    fmt::print("{}\n", text_of(r.map));
  fmt::print(
      "D-ECE {:.4f} before, {:.4f} after (each half of the images by the fit to the other); {} "
      "true positives among {} of {}\n",
      r.before.error, r.after.error, r.hits, plural(r.detections, "detection"),
      plural(r.images, "image"));
}

int calibrate(const CalibrateArguments& o) {
  NetworkArguments network = static_cast<const NetworkArguments&>(o);
  const DataFile data = open_data(network, ListedFiles::images_and_labels);
  const fs::path file = calibration_path(network.weights);
  if (launched_ranks().is_first()) require_writable_file(file, calibration_format());
  std::uint64_t checksum = 0;
  Network net = open_network(network, batch_for(o.tiling, o.device, kEvaluationBatch), &checksum);
  const std::int64_t classes = std::ssize(class_names(net, data));
  const EvaluationSet set = o.images.empty() ? read_validation_set(data, classes, o.bad_labels)
                                             : read_labelled_set(o.images, classes, o.bad_labels);
  const auto [images, ended] =
      evaluate_all(net, set, o.threads,
                   {.threshold = kEvaluationThreshold, .nms = kDefaultNms, .tiling = o.tiling});
  if (ended) return *ended;
  const Recalibration r =
      recalibrate(match(images, classes, o.iou_thresh),
                  value_of<CalibrationMethod>(o.method).value(), static_cast<double>(o.thresh));
  print_fit(r);
  if (r.after.error >= r.before.error) {
    fmt::print("calibration does not help here: nothing is written{}\n",
               is_present(file) ? cat(", ", printable(file.string()), " stays as it is") : "");
    return 0;
  }
  const CalibratedNetwork calibrated = calibrated_network(net, checksum);
  const std::string earlier = calibration_text(file, calibrated);
  write_calibration(file, calibrated, r);
  if (!earlier.empty()) fmt::print("this replaces the earlier calibration: {}\n", earlier);
  fmt::print("-> {}; -calibrate of test, demo, detect, map and valid takes it{}\n",
             printable(file.string()),
             o.tiling.on() ? cat(", for use with", tile_flags_of(o.tiling)) : "");
  return 0;
}

}  // namespace

void add_detector_calibrate(Program& program) {
  const Command command = program.command(
      "detector calibrate", "fit confidences to the precision that they stand for, for -calibrate");
  command.footer(
      "Writes NAME.calibration.json next to NAME.weights. Use images that the network was not "
      "trained on. D-ECE is the mean distance of confidence and precision over ten bins; that "
      "after "
      "the fit is of images that the fit did not see. docs/evaluation.md says more.");
  auto& o = command.options<CalibrateArguments>();
  add_positionals(command, o, Positionals::data_cfg_weights);
  command.option("-images", o.images, "a list of images with labels, in place of valid=")
      .input("the list of images")
      .value_name("FILE");
  command
      .text_option(
          "-method", o.method,
          "temperature: one number, keeps all order; isotonic: a rising curve, needs thousands "
          "of detections")
      .one_of(names_of<CalibrationMethod>())
      .show_default();
  command.option("-thresh", o.thresh, "detections below it take no part")
      .number_in(0, 1)
      .show_default();
  command.option("-iou_thresh", o.iou_thresh, "least IoU of a true positive")
      .number_in(0, 1)
      .show_default();
  add_reading_flags(command, o);
  add_network_flags(command, o);
  add_tile_flags(command, o.tiling);
  add_compatibility_flags(command);
  command.runs_in_ranks([&o] { return calibrate(o); });
}

}  // namespace darknet::cli
