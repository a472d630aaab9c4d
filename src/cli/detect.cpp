// darknet detect cfg weights [images]
#include <memory>

#include "cli/predict_images.h"

namespace darknet::cli {

void add_detect(CLI::App& program, Run& run) {
  CLI::App& app =
      subcommand(program, {"detect"}, "detect objects in pictures, without a .data file");
  const auto o = std::make_shared<PredictOptions>();  // outlives this call, in CLI11's callbacks
  o->shipped_names = true;
  app.add_option("cfg", o->cfg, "the network's .cfg")->required();
  app.add_option("weights", o->weights, "its .weights")->required();
  app.add_option(
      "images", o->images,
      "pictures, folders, patterns, .txt lists of pictures; none: paths from standard input");
  app.add_option("--names", o->names, "the .names file (data/coco.names, data/voc.names)");
  add_predict_flags(app, *o);
  app.final_callback([o, &run] { run = [o] { return predict_images(*o); }; });
}

}  // namespace darknet::cli
