// darknet detector valid data cfg weights

#include "cfg/data_file.h"
#include "cli/common_flags.h"
#include "cli/image_errors.h"
#include "cli/network_arguments.h"
#include "cli/open_network.h"
#include "cli/results.h"
#include "core/file.h"
#include "core/log.h"
#include "core/ranks.h"
#include "core/text.h"
#include "dataset/image_list.h"
#include "dataset/result_writer.h"
#include "eval/predict.h"
#include "train/interrupt.h"

namespace darknet::cli {
namespace {

struct ValidArguments : NetworkArguments, ThresholdArguments {
  ValidArguments()
      : ThresholdArguments{.thresh = .001f, .nms = .6f} {}  // AlexeyAB's, of every format
  std::string format, out;  // format "": as eval= of the .data file has it; out "": as the format
  int threads = 0;
  Tiling tiling;
};

// As the .data file's eval= says, where no -format does.
std::string format_of(const ValidArguments& o, const DataFile& data) {
  if (!o.format.empty()) return o.format;
  return data.eval == "coco" ? "coco" : "voc";
}

struct Detected {
  std::size_t images = 0;  // that the results are of
  bool all = false;
};

// `results`: in rank 0, else null.
Detected detect_all(Network& net, const ImagePaths& images, const DetectionRun& run,
                    ResultWriter* results) {
  Detected done;
  done.all = detect_images(net, images, run, [&](const DetectedImage& image) {
    const std::filesystem::path path = images[image.place];
    results->add({path, path.stem().string(), image.place}, image.size, image.detections);
    ++done.images;
  });
  if (results) results->finish();
  return done;
}

int valid(const ValidArguments& o) {
  NetworkArguments network = static_cast<const NetworkArguments&>(o);
  // No label files: it reads none, and format yolo guards them.
  const DataFile data = open_data(network, ListedFiles::images);
  const std::string format = format_of(o, data);
  if (!o.out.empty() && format != "voc")  // which continues the name with that of each class
    require_file_prefix(o.out);
  const ImagePaths images = read_image_list(required(data, data.valid, "valid"));
  Ranks& ranks = launched_ranks();
  std::unique_ptr<ResultWriter> results;  // in rank 0
  if (ranks.is_first()) {
    require_writable_folder(data.results);
    results = make_result_writer(format, {data.results, true, o.out});
    results->check_images({images});
  }
  std::uint64_t checksum = 0;
  Network net = open_network(network, batch_for(o.tiling, o.device, kEvaluationBatch), &checksum);
  if (results) results->set_classes(class_names(net, data));
  const InterruptGuard interrupt("the images");  // from here on: what was found so far is written
  DetectionRun run{.threads = o.threads,
                   .stop = [&] { return interrupt.requested(); },
                   .options = detection_options(o),
                   .ranks = &ranks};
  run.options.tiling = o.tiling;
  if (o.calibrate) run.options.calibration = stored_calibration(network, net, checksum);
  const Detected detected = detect_all(net, images, run, results.get());
  const int exit_code = exit_code_of(ranks, interrupt, detected.all);
  if (!results) return exit_code;
  for (const auto& path : results->outputs())  // also where the terminal was closed meanwhile
    log::info("-> " + printable(path.string()));
  if (!detected.all) report_interrupted(detected.images, images.size(), data.results.string());
  return exit_code;
}

}  // namespace

void add_detector_valid(Program& program) {
  const Command command = program.command(
      "detector valid", "write the detections on valid= for other programs to score");
  command.footer(
      cat("The files go to the folder that the .data file's results= names (results). Boxes are "
          "clipped to the image. `detector map` uses -thresh .005 -nms .45 instead. Ctrl-C ends "
          "it with whole files of the images so far. ",
          kImageIds));
  auto& o = command.options<ValidArguments>();
  add_positionals(command, o, Positionals::data_cfg_weights);
  add_format(command, o.format, " (coco where the .data file has eval=coco, else voc)");
  command.option("-out", o.out,
                 "name of the file without .json (coco_results, darknet_results); prefix of the "
                 "comp4 files (comp4_det_test_)");
  add_threshold_flags(command, o);
  add_tile_flags(command, o.tiling);
  add_threads(command, o.threads, kReadingThreads);
  add_network_flags(command, o);
  add_compatibility_flags(command);
  command.runs_in_ranks([&o] { return naming_image_check([&] { return valid(o); }); });
}

}  // namespace darknet::cli
