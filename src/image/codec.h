// The libraries behind read_image and write_image: libjpeg (jpeg.cpp) and libpng (png.cpp) where
// the build has them; for all other images one of OpenCV (opencv.cpp) and stb (stb.cpp).
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "image/image.h"

namespace darknet {

inline constexpr std::int64_t kMaxPixels = std::int64_t{1} << 28;  // of an image

bool is_too_large(std::int64_t width, std::int64_t height);
std::string too_large(std::int64_t width, std::int64_t height);  // the sentence about it

inline constexpr int kJpegQuality = 95;

// RGB as stored (orientation not applied); width 0 where it cannot be decoded. Of bytes that
// decode_image() has checked; the second is for GIF, whose first frame it gives.
Image decode_rgb(const std::string& bytes);
Image decode_by_stb(const std::string& bytes);
// The same of a JPEG, with sides divided by `reduction` (1, 2, 4 or 8) and rounded up. None where
// another decoder has to take it: colours that are not grey, YCbCr or RGB, a build without libjpeg.
std::optional<Image> decode_jpeg(const std::string& bytes, int reduction);
bool reduces_jpeg();                                        // whether this build has libjpeg
std::optional<Image> decode_png(const std::string& bytes);  // none: a build without libpng
// Pixels that nobody needs any more, for the next image that the thread decodes: the system gives
// new memory page by page, which takes a fifth as long as decoding.
void recycle(std::vector<std::uint8_t> pixels) noexcept;
std::vector<std::uint8_t> recycled_pixels(std::size_t bytes);  // with any values
// `extension`: ".jpg", ".png", ".bmp"; "" where it cannot be encoded. Images of 1 or 3 channels.
std::string encode(const Image&, const std::string& extension);
// The same by one library. None in a build without it.
std::optional<std::string> encode_jpeg(const Image&);
std::optional<std::string> encode_png(const Image&);
std::string encode_by_opencv_or_stb(const Image&, const std::string& extension);

}  // namespace darknet
