// Widths and heights of many pictures, from their headers where possible.
#pragma once
#include <cstdint>
#include <filesystem>
#include <vector>

#include "dataset/image_paths.h"
#include "image/picture_size.h"

namespace darknet {

// As read_image would return them: turned as the EXIF orientation says. Throws, naming the file,
// where one is missing or no picture.
std::vector<PictureSize> picture_sizes(const ImagePaths&);

}  // namespace darknet
