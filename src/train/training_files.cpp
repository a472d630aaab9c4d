#include "train/training_files.h"

#include "core/file.h"
#include "dataset/label_files.h"
#include "nn/weights.h"

namespace darknet {
namespace {
namespace fs = std::filesystem;

bool is_own(const fs::path& weights, const Checkpoints& checkpoints) {
  const fs::path beginning = checkpoints.file("_");
  std::error_code unknown;
  const fs::path folder = weights.has_parent_path() ? weights.parent_path() : ".";
  return weights.filename().string().starts_with(beginning.filename().string()) &&
         fs::equivalent(folder, beginning.parent_path(), unknown);
}

}  // namespace

void check_training_files(const TrainerOptions& o, const DataFile& data,
                          const TrainingImages& images, const Checkpoints& checkpoints,
                          ProtectedFiles& inputs) {
  inputs.add("the .data file", o.data);
  inputs.add("the cfg", o.cfg);
  inputs.add("the names file", data.names);
  inputs.add("the list", data.train);
  inputs.add("the list", data.valid);
  inputs.add("the tuning file", o.tuning);
  const fs::path weights = find_weights(o.weights, checkpoints.file("_").parent_path());
  if (!is_own(weights, checkpoints)) inputs.add("the weights file", weights);
  for (const auto& list : {images.training, images.validation})
    add_images(inputs, list, false);  // no label file is called like an output
  for (const char* suffix : {"_last.weights", "_last.state", "_best.weights", "_final.weights",
                             "_log.jsonl", "_chart.svg", "_chart.png"})
    require_writable_file(checkpoints.file(suffix));
}

}  // namespace darknet
