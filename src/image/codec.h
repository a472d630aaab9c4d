// The library behind read_image and write_image: one of opencv.cpp and stb.cpp is compiled in.
#pragma once
#include <string>

#include "image/image.h"

namespace darknet {

// RGB as stored (orientation not applied); width 0 where it cannot be decoded. Of bytes that
// decode_image() has checked; the second is for GIF, whose first frame it gives.
Image decode_rgb(const std::string& bytes);
Image decode_by_stb(const std::string& bytes);
// `extension`: ".jpg", ".png", ".bmp"; "" where it cannot be encoded.
std::string encode(const Image&, const std::string& extension);

}  // namespace darknet
