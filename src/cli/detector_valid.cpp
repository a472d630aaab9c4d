// darknet detector valid data cfg weights
#include <fmt/core.h>

#include <memory>
#include <optional>

#include "cfg/data_file.h"
#include "cli/command.h"
#include "cli/open_network.h"
#include "cli/run_inputs.h"
#include "core/file.h"
#include "core/log.h"
#include "core/text.h"
#include "dataset/detection_files.h"
#include "dataset/image_list.h"
#include "dataset/label_files.h"
#include "eval/predict.h"

namespace darknet::cli {
namespace {
namespace fs = std::filesystem;

struct Options {
  std::string data, cfg, weights, prefix, format;  // prefix "": as the format has it
  std::vector<std::string> overrides;
  std::filesystem::path tuning;
  float threshold = .001f, nms = .6f;  // AlexeyAB's, of every format
  int threads = 0;
  bool exact = false, letter_box = false;
  Device device;
};

struct Detected {
  ImageSet set;
  std::vector<std::vector<Detection>> detections;
};

// As the .data file's eval= says, where no -format does.
std::string format_of(const Options& o, const DataFile& data) {
  if (!o.format.empty()) return o.format;
  return data.eval == "coco" ? "coco" : "voc";
}

// The files to write, checked before the network runs: nothing of this run's inputs and no ground
// truth is replaced, and no file twice.
struct Targets {
  std::vector<fs::path> files;
  std::optional<LabelWriter> labels;  // of format yolo
};

Targets targets_of(const Options& o, const std::string& format, const fs::path& folder,
                   const ImageSet& set) {
  Targets targets;
  require_writable_folder(folder);
  if (format == "yolo") {
    if (!o.prefix.empty())
      log::warn("-out has no effect with -format yolo: label files are named after their images");
    require_distinct_label_names(set.images);
    targets.labels.emplace(folder);
    for (const fs::path& image : set.images) targets.labels->require_free(label_name(image));
  } else if (format == "voc") {
    require_voc_names(set);
    const std::string prefix = o.prefix.empty() ? "comp4_det_test_" : o.prefix;
    for (const std::string& name : set.names)
      targets.files.push_back(folder / voc_file_name(prefix, name));
  } else {
    targets.files.push_back(folder / ((o.prefix.empty() ? "coco_results" : o.prefix) + ".json"));
  }
  const FileFormat written = format == "voc" ? kVocFormat : detections_json_format();
  for (const fs::path& file : targets.files) require_writable_file(file, written);
  return targets;
}

void detect_all(Network& net, const Options& o, Detected& all) {
  const EvaluationSet set{
      all.set.images, std::vector<std::vector<Truth>>(all.set.images.size()), {}};
  for (EvaluatedImage& image : run_evaluation(net, set, o.threads, nullptr, {o.threshold, o.nms})) {
    all.set.sizes.push_back({image.width, image.height});
    all.detections.push_back(std::move(image.detections));
  }
}

void write(Targets& targets, const std::string& format, const Detected& all) {
  if (format == "voc")
    for (std::size_t k = 0; k < targets.files.size(); ++k)
      write_file_atomically(targets.files[k],
                            voc_results(all.set, all.detections, static_cast<std::int64_t>(k)));
  else if (format == "coco")
    write_file_atomically(targets.files.front(), coco_results(all.set, all.detections));
  else
    for (std::size_t i = 0; i < all.set.images.size(); ++i)
      targets.labels->write(label_name(all.set.images[i]), label_lines(all.detections[i], true));
}

int valid(const Options& o) {
  // No label files: it reads none, and LabelWriter guards them.
  const DataFile data = open_data(o.data, ListedFiles::images);
  const fs::path weights = open_weights(o.weights, data);
  const std::string format = format_of(o, data);
  require_writable_folder(data.results);
  Network net = open_network(evaluation_options(o, weights));
  Detected all{{.names = class_names(net, data.names)}, {}};
  all.set.images = read_image_list(required(data, data.valid, "valid"));
  Targets targets = targets_of(o, format, data.results, all.set);
  detect_all(net, o, all);
  write(targets, format, all);
  if (targets.labels) targets.files = {data.results};
  for (const fs::path& path : targets.files) fmt::print("-> {}\n", printable(path.string()));
  return 0;
}

}  // namespace

void add_detector_valid(CLI::App& program, Run& run) {
  CLI::App& app = subcommand(program, {"detector", "valid"},
                             "write the detections on valid= for other programs to score");
  app.footer(
      "The files go to the folder that the .data file's results= names (results). Boxes are "
      "clipped "
      "to the image.\n`detector map` uses -thresh .005 -nms .45 instead. Image ids in COCO's file "
      "are the digits at the\nend of the images' names where those are distinct, else their place "
      "in the list.");
  const auto o = std::make_shared<Options>();  // outlives this call, in CLI11's callbacks
  data_argument(app, o->data)->required();
  cfg_argument(app, o->cfg)->required();
  weights_argument(app, o->weights)->required();
  app.add_option("--format", o->format,
                 "voc: one comp4 file per class; coco: one JSON file; yolo: one label file per "
                 "picture, with probabilities (coco where the .data file has eval=coco, else voc)")
      ->check(CLI::IsMember({"voc", "coco", "yolo"}));
  app.add_option(
      "--out", o->prefix,
      "name of the files: what comp4 files begin with (comp4_det_test_), or the COCO file "
      "without .json (coco_results)");
  add_thresholds(app, o->threshold, o->nms);
  app.add_flag("--letter_box", o->letter_box, "keep the aspect ratio, grey bars around");
  add_overrides(app, o->overrides);
  add_threads(app, o->threads, "threads that read pictures");
  add_arithmetic(app, o->exact, o->overrides, o->tuning);
  add_device(app, o->device);
  add_darknet_habits(app);
  app.final_callback([o, &run] { run = [o] { return valid(*o); }; });
}

}  // namespace darknet::cli
