// darknet detector test data cfg weights [images]

#include "cli/command.h"
#include "cli/predict_images.h"

namespace darknet::cli {

void add_detector_test(Program& program) {
  const Command command = program.command("detector test", "detect objects in images");
  auto& o = command.options<PredictOptions>();
  add_predict_arguments(command, o, Positionals::data_cfg_weights);
  command.runs([&o] {
    o.data_file = open_data(o, ListedFiles::none);
    return predict_images(o);
  });
}

}  // namespace darknet::cli
