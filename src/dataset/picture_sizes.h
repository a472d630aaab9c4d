// Widths and heights of many pictures, from their headers where possible.
#pragma once
#include <cstdint>
#include <filesystem>
#include <vector>

#include "dataset/image_paths.h"
#include "image/picture_size.h"

namespace darknet {

// As read_image would return it: turned as the EXIF orientation says. Throws, naming the file,
// where it is missing or no picture.
PictureSize picture_size_of(const std::filesystem::path&);
std::vector<PictureSize> picture_sizes(const ImagePaths&);

}  // namespace darknet
