// Ultralytics' description of a data set, data.yaml:
//   path: ../sets/pets       # before the other paths; all hold from this file's folder, or else
//                            # from the working directory
//   train: images/train      # a folder, a list of images or a pattern
//   val: images/val
//   names: [cat, dog]        # or 0: cat, 1: dog
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "cfg/data_file.h"

namespace darknet {

bool is_yaml(const std::filesystem::path&);  // by its name

// `names` of the result is the file itself. Throws with file and line.
DataFile read_data_yaml(const std::filesystem::path&);
std::vector<std::string> read_names_of_yaml(const std::filesystem::path&);

}  // namespace darknet
