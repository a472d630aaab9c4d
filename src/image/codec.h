// The library behind read_image and write_image: one of opencv.cpp and stb.cpp is compiled in.
#pragma once
#include <string>

#include "image/image.h"

namespace darknet {

// RGB as stored (orientation not applied); width 0 where it cannot be decoded.
Image decode_rgb(const std::string& bytes);
// `ending`: ".jpg", ".png", ".bmp"; "" where it cannot be encoded.
std::string encode(const Image&, const std::string& ending);

}  // namespace darknet
