// darknet detector test data cfg weights [images]
#include <memory>

#include "cfg/data_file.h"
#include "cli/predict_images.h"
#include "cli/run_inputs.h"

namespace darknet::cli {

void add_detector_test(CLI::App& program, Run& run) {
  CLI::App& app = subcommand(program, {"detector", "test"}, "detect objects in pictures");
  const auto o = std::make_shared<PredictOptions>();  // outlives this call, in CLI11's callbacks
  data_argument(app, o->data)->required();
  cfg_argument(app, o->cfg)->required();
  weights_argument(app, o->weights)->required();
  app.add_option(
      "images", o->images,
      "pictures, folders, patterns, .txt lists of pictures; none: paths from standard input");
  add_predict_flags(app, *o);
  app.final_callback([o, &run] {
    run = [o] {
      const DataFile data = open_data(o->data, ListedFiles::none);
      o->weights = open_weights(o->weights, data).string();
      o->names = data.names.string();
      return predict_images(*o);
    };
  });
}

}  // namespace darknet::cli
