#include "train/training_files.h"

#include <utility>

#include "core/error.h"
#include "core/file.h"
#include "core/log.h"
#include "core/text.h"
#include "dataset/image_channels.h"
#include "dataset/run_inputs.h"
#include "nn/weights.h"
#include "report/training_images.h"
#include "train/progress.h"

namespace darknet {
namespace fs = std::filesystem;

void check_training_files(const TrainingSettings& o, const std::vector<Section>& cfg,
                          const DataFile& data, const Checkpoints& checkpoints,
                          ProtectedFiles& inputs) {
  add_data(inputs, data, ListedFiles::images_and_labels);
  inputs.add("the cfg", o.cfg);
  add_files_of_keys(inputs, cfg);
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
  if (o.show_images > 0) require_writable_augmented(checkpoints.file("_augmented"), o.show_images);
  if (!o.tensorboard.empty()) require_writable_folder(o.tensorboard);
  // Own weights are read later, and their state with them: errors in those are reported then.
  const bool resumes = checkpoints.is_own(weights);
  for (const auto& [suffix, format] : files)
    if (const fs::path file = checkpoints.file(suffix);
        !resumes || format.kind != kStateFormat.kind)
      require_writable_file(file, format);
}

void require_channels(const ImagePaths& images, const NetSettings& net, double max_bad,
                      const char* list) {
  constexpr double kSeconds = 5;
  const UnfitImages unfit =
      images_of_other_channels(images, {.channels = net.channels, .max = net.input_max}, kSeconds);
  if (unfit.count == 0) return;
  const std::string text = cat(list, "=: ", plural(unfit.count, "image"), " of ", images.size(),
                               " with another number of channels; first: ", unfit.first);
  if (static_cast<double>(unfit.count) > max_bad * static_cast<double>(images.size())) fail(text);
  log::warn(cat(text, "; they are left out (-max_bad)"));
}

void show_augmented(const TrainingSettings& o, const fs::path& folder, std::int64_t iteration,
                    const BatchSettings& batches, std::vector<std::string> names_of_classes) {
  for (const fs::path& sheet : write_augmented(folder, batches,
                                               {.names = std::move(names_of_classes),
                                               .first = iteration * batches.batch,
                                               .count = o.show_images}))
    log::info(cat("augmented images with their boxes: ", printable(sheet.string())));
}

}  // namespace darknet
