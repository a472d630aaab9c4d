// darknet detect cfg weights [images]
#include <memory>

#include "cli/predict_images.h"
#include "cli/run_inputs.h"

namespace darknet::cli {

void add_detect(CLI::App& program, Run& run) {
  CLI::App& app = subcommand(program, {"detect"}, "detect objects in images, without a .data file");
  const auto o = std::make_shared<PredictOptions>();  // outlives this call, in CLI11's callbacks
  o->shipped_names = true;
  add_predict_arguments(app, *o, Positionals::cfg_weights);
  as_input(app.add_option("--names", o->names, "the .names file (data/coco.names, data/voc.names)"),
           "the names file");
  app.final_callback([o, &run] { run = [o] { return predict_images(*o); }; });
}

}  // namespace darknet::cli
