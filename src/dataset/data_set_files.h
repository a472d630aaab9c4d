// Writes the files that make images and labels a data set: lists of images and .data files.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "cfg/data_file.h"

namespace darknet {

// From the root of the file system: relative paths in a list or .data file hold from the working
// directory first (Darknet), where another file of that name may lie. A URL is one as it is.
std::filesystem::path whole_path(const std::filesystem::path&);

// One whole path a line.
void write_image_list(const std::filesystem::path& file,
                      const std::vector<std::filesystem::path>& images);

// The text of a .data file with what `data` gives of classes, lists, names and backup.
std::string data_text(const DataFile& data);

}  // namespace darknet
