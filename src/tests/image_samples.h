// Images and image files made by hand, independent of the library that decodes them.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "image/image.h"

namespace darknet::testing_images {

Image noise(std::int64_t w, std::int64_t h, std::int64_t channels);
Image ramp(std::int64_t w, std::int64_t h);  // smooth, different at every place
int largest_difference(const Image&, const Image&);
std::string from_hex(const std::string&);

constexpr int kPngRgb = 2, kPngGreyAlpha = 4, kPngRgba = 6;
// `rows`: h rows of samples, 16-bit ones with the high byte first.
std::string png(std::uint32_t w, std::uint32_t h, int bits, int colour_type,
                const std::string& rows);

// 8 x 8 grey pixels, all different, in the seven passes of Adam7.
std::string interlaced_png();

// With one more chunk after its header, or at its end (before IEND).
std::string png_with_chunk(const std::string& png, const std::string& type, const std::string& data,
                           bool at_the_end = false);
// GIF: frames of palette indices (0 to 127, row by row; grey levels of twice the index), each of
// the canvas's size.
std::string gif(std::uint32_t w, std::uint32_t h, const std::vector<std::string>& frames);
// A WebP file of one more chunk: `webp` as OpenCV writes it, w x h.
std::string webp_with_exif(const std::string& webp, std::uint32_t w, std::uint32_t h,
                           const std::string& exif);
// A TIFF of 8-bit RGB, in one strip; `rows` may be fewer than it says.
std::string tiff(std::uint32_t w, std::uint32_t h, const std::string& rows, bool little_endian);
// An uncompressed TIFF, low bytes first, of grey samples of `bits` bits, `samples` to a pixel;
// `pages`: the rows of each page.
std::string tiff_of_samples(std::uint32_t w, std::uint32_t h, int samples, int bits,
                            const std::vector<std::string>& pages);
// A .npy file of version 1.0; `type` as "<u2", `shape` as "(2, 3, 5)".
std::string npy(const std::string& type, const std::string& shape, const std::string& values);
// As files have them, low bytes first.
std::string bytes_of_values(const std::vector<std::uint16_t>& values);
// `bytes` of a number, low or high one first.
std::string number(std::uint32_t v, int bytes, bool little_endian);

// The contents of an APP1 segment whose first directory has an orientation only.
std::string exif(int orientation, bool little_endian);
// A JPEG with one more segment after its start marker.
std::string with_segment(const std::string& jpeg, int marker, const std::string& contents);
std::string with_exif(const std::string& jpeg, int orientation, bool little_endian);

}  // namespace darknet::testing_images
