// darknet detector test data cfg weights [images]
#include <memory>

#include "cfg/data_file.h"
#include "cli/predict_images.h"
#include "nn/weights.h"

namespace darknet::cli {

void add_detector_test(CLI::App& program, Run& run) {
  CLI::App& app = subcommand(program, {"detector", "test"}, "detect objects in pictures");
  const auto o = std::make_shared<PredictOptions>();  // outlives this call, in CLI11's callbacks
  app.add_option("data", o->data, "the .data file")->required();
  app.add_option("cfg", o->cfg, "the network's .cfg")->required();
  app.add_option("weights", o->weights, "its .weights")->required();
  app.add_option(
      "images", o->images,
      "pictures, folders, patterns, .txt lists of pictures; none: paths from standard input");
  add_predict_flags(app, *o);
  app.final_callback([o, &run] {
    run = [o] {
      const DataFile data = read_data_file(o->data);
      o->weights = find_weights(o->weights, data.backup).string();
      o->names = data.names.string();
      o->lists = {data.train, data.valid, data.difficult};
      return predict_images(*o);
    };
  });
}

}  // namespace darknet::cli
