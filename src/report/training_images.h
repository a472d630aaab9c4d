// The images of a training as the network gets them, augmented, with their boxes and class names:
// one file each, and contact sheets.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "dataset/batches.h"

namespace darknet {

struct AugmentedImages {
  std::vector<std::string> names;  // of the classes
  std::int64_t first = 0;          // the image of the training, from 0
  std::int64_t count = 16;
};

// The names of the files that an augmented image shows: "a.png", "a.png and b.png" (mixup=1),
// "a.png and others" (a mosaic). `shown`: places in the list.
std::string caption_of(const std::vector<std::int64_t>& shown, const ImagePaths&);

// Throws where write_augmented() could not write into the folder.
void require_writable_augmented(const std::filesystem::path& folder, std::int64_t count);
// Writes augmented-0001.png and so on, of the network's input size, and augmented-sheet-1.png and
// so on with 20 images each; those of an earlier run that had more are removed. The batches are
// those of a training (train/training_batches.h). Returns the sheets.
std::vector<std::filesystem::path> write_augmented(const std::filesystem::path& folder,
                                                   BatchSettings, const AugmentedImages&);

}  // namespace darknet
