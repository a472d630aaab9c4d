// Images that a program already has in memory. C++17.
#pragma once
#include <cstdint>

namespace darknet {

// The order of the bytes of a pixel, 8 bits a channel. Alpha is ignored.
enum class PixelFormat : std::uint8_t { grey, rgb, bgr, rgba, bgra };

// An image that belongs to somebody else: rows from top to bottom, pixels from left to right,
// channels interleaved. Nothing is copied when one is made; the pixels are read during the call
// that it is given to, and not kept.
struct ImageView {
  const std::uint8_t* pixels = nullptr;  // of the first row
  std::int64_t width = 0, height = 0;    // pixels, at least 1
  PixelFormat format = PixelFormat::rgb;
  // Bytes from a row to the next one; 0: rows without a gap. Negative where the next row lies
  // before this one (`pixels` is still the top row).
  std::int64_t stride = 0;
};

}  // namespace darknet
