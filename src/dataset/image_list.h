// Lists of images: text files with one path a line.
#pragma once
#include <filesystem>

#include "dataset/image_paths.h"

namespace darknet {

// Blank lines and Windows line ends are fine; an empty list is an error. Relative paths hold from
// the working directory or else from the list's folder. Whether the images exist is not looked at.
ImagePaths read_image_list(const std::filesystem::path&);

// Where the labels of an image lie: images/ or JPEGImages/ replaced by labels/ (the last such
// folder of the path) if that file exists, else next to the image with the extension .txt.
std::filesystem::path label_path(const std::filesystem::path& image);

}  // namespace darknet
