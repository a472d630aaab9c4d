#include "train/training_files.h"

#include "core/file.h"
#include "dataset/run_inputs.h"
#include "nn/weights.h"
#include "train/progress.h"

namespace darknet {
namespace fs = std::filesystem;

void check_training_files(const TrainingSettings& o, const DataFile& data,
                          const Checkpoints& checkpoints, ProtectedFiles& inputs) {
  add_data(inputs, data, ListedFiles::images_and_labels);
  inputs.add("the cfg", o.cfg);
  inputs.add("the tuning file", o.tuning);
  const fs::path weights = find_weights(o.weights, checkpoints.file("_").parent_path());
  if (!checkpoints.is_own(weights)) inputs.add("the weights file", weights);
  const std::pair<const char*, FileFormat> files[] = {{"_last.weights", kWeightsFormat},
                                                      {"_last.state", kStateFormat},
                                                      {"_best.weights", kWeightsFormat},
                                                      {"_final.weights", kWeightsFormat},
                                                      {"_log.jsonl", training_log_format()},
                                                      {"_results.csv", kCsvFormat},
                                                      {"_chart.svg", kSvgFormat},
                                                      {"_chart.png", kImageFormat}};
  if (!o.tensorboard.empty()) require_writable_folder(o.tensorboard);
  // Own weights are read, and their state with them: what is wrong with those is said then.
  const bool resumes = checkpoints.is_own(weights);
  for (const auto& [suffix, format] : files)
    if (const fs::path file = checkpoints.file(suffix);
        !resumes || format.kind != kStateFormat.kind)
      require_writable_file(file, format);
}

}  // namespace darknet
