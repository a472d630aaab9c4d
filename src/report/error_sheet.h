// Contact sheets of what a detector got wrong: the images' parts around its highest-scoring false
// positives and its misses.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "dataset/image_paths.h"
#include "eval/errors.h"
#include "image/image.h"

namespace darknet {

struct ErrorSheets {
  ImagePaths images;               // of the list
  std::vector<std::string> names;  // of the classes
  std::int64_t max = 60;           // false positives, and misses, that are drawn
};

// Throws where write_error_sheets() could not write into the folder: to be asked before long work.
void require_writable_error_sheets(const std::filesystem::path& folder);
// Writes false-positives-1.png ..., misses-1.png ... and errors.csv (all of them) into the folder.
// Returns what was written.
std::vector<std::filesystem::path> write_error_sheets(const std::filesystem::path& folder,
                                                      const DetectionErrors&, const ErrorSheets&);

}  // namespace darknet
