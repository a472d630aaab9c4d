// darknet detector test data cfg weights [images]
#include <memory>

#include "cli/predict_images.h"

namespace darknet::cli {

void add_detector_test(CLI::App& program, Run& run) {
  CLI::App& app = subcommand(program, {"detector", "test"}, "detect objects in images");
  const auto o = std::make_shared<PredictOptions>();  // outlives this call, in CLI11's callbacks
  add_predict_arguments(app, *o, Positionals::data_cfg_weights);
  app.final_callback([o, &run] {
    run = [o] {
      o->data_file = open_data(*o, ListedFiles::none);
      return predict_images(*o);
    };
  });
}

}  // namespace darknet::cli
