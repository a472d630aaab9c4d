// darknet detect cfg weights [images]
#include <memory>

#include "cli/predict_images.h"
#include "cli/run_inputs.h"

namespace darknet::cli {

void add_detect(CLI::App& program, Run& run) {
  CLI::App& app =
      subcommand(program, {"detect"}, "detect objects in pictures, without a .data file");
  const auto o = std::make_shared<PredictOptions>();  // outlives this call, in CLI11's callbacks
  o->shipped_names = true;
  cfg_argument(app, o->cfg)->required();
  weights_argument(app, o->weights)->required();
  app.add_option(
      "images", o->images,
      "pictures, folders, patterns, .txt lists of pictures; none: paths from standard input");
  as_input(app.add_option("--names", o->names, "the .names file (data/coco.names, data/voc.names)"),
           "the names file");
  add_predict_flags(app, *o);
  app.final_callback([o, &run] { run = [o] { return predict_images(*o); }; });
}

}  // namespace darknet::cli
