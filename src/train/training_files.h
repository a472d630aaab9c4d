// Checks the files that a training run reads and writes before it begins.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "cfg/data_file.h"
#include "core/protected_files.h"
#include "dataset/batches.h"
#include "train/checkpoints.h"
#include "train/trainer.h"

namespace darknet {

// Adds the files that are read to `inputs`, and throws where one that is to be written is among
// them or cannot be written. Weights of this very run (backup/NAME_*.weights) are not added:
// Checkpoints::keep_start() handles them.
void check_training_files(const TrainingSettings&, const std::vector<Section>& cfg, const DataFile&,
                          const Checkpoints&, ProtectedFiles& inputs);

// Throws where more than the share `max_bad` of the images are seen to have another number of
// channels than the network takes (dataset/image_channels.h), and warns of less. `list`: "train".
void require_channels(const ImagePaths&, const NetSettings&, double max_bad, const char* list);

// -show_imgs: the first images of the iterations that follow `iteration`, as files and contact
// sheets. `folder`: where they go.
void show_augmented(const TrainingSettings&, const std::filesystem::path& folder,
                    std::int64_t iteration, const BatchSettings&,
                    std::vector<std::string> names_of_classes);

}  // namespace darknet
