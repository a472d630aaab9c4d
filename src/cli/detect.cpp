// darknet detect cfg weights [images]

#include "cli/command.h"
#include "cli/predict_images.h"

namespace darknet::cli {

void add_detect(Program& program) {
  const Command command =
      program.command("detect", "detect objects in images, without a .data file");
  auto& o = command.options<PredictOptions>();
  o.shipped_names = true;
  add_predict_arguments(command, o, Positionals::cfg_weights);
  command
      .option("-names", o.names,
              "the .names file; by default CFG.names, coco.names or voc.names, in data/ or in the "
              "folder data/ next to that of the cfg")
      .input("the names file");
  command.runs([&o] { return predict_images(o); });
}

}  // namespace darknet::cli
