// Widths and heights of many images, from their headers where possible.
#pragma once
#include <cstdint>
#include <filesystem>
#include <vector>

#include "dataset/image_paths.h"
#include "image/image_size.h"

namespace darknet {

// As read_image would return it: turned as the EXIF orientation says. Throws, naming the file,
// where it is missing or no image.
ImageSize image_size_of(const std::filesystem::path&);
std::vector<ImageSize> image_sizes(const ImagePaths&);

}  // namespace darknet
