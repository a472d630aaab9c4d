// From an image's values to a part of a network's input in one pass: crop, scale, mirror by
// bilinear sampling, then hue, saturation and exposure, then 0..1 floats.
#pragma once
#include <cstdint>

#include "core/array_table.h"
#include "core/device.h"
#include "core/rect.h"
#include "core/tensor.h"

namespace darknet {

// Which pixels of an image a part of the network's input shows, and in which colours.
struct Placement {
  Rect region;  // pixels of the input
  // The point (x, y) of the input, (.5, .5) the centre of its first pixel, shows what lies
  // scale_x * x + shear_x * y + shift_x source pixels from the image's left side and
  // scale_y * y + shear_y * x + shift_y from its top. A negative scale mirrors; shears turn.
  float scale_x = 1, shift_x = 0, scale_y = 1, shift_y = 0;
  float shear_x = 0, shear_y = 0;
  // Colour, as in Darknet: hue turns, saturation and value scale (HSV).
  float hue = 0, saturation = 1, exposure = 1;
};

// An entry of a list of arrays: `n` pixels of the input.
struct WarpArguments {
  // Source, interleaved values in the memory of the stream's device; channels as in `out`.
  const std::uint8_t* pixels = nullptr;
  std::int64_t width = 0, height = 0;  // of the whole image
  // Which of its pixels `pixels` has: at least all that the region shows, with their neighbours.
  // Empty: all.
  Rect stored;
  View<float> out;  // one image; colours change only with 1 (exposure) or 3 channels
  Placement placement;
  float fill[3] = {.5f, .5f, .5f};  // outside the image; the first for all but 3 channels
  std::int64_t n = 0;               // pixels of the region
  // Of a value of `pixels`: bytes (1 and 2: unsigned, 4: float), and which one becomes 1.
  std::int32_t depth = 1;
  float value_of_one = 255;

  void set_count();  // n, and `stored` where it is empty
};

// The regions of the list do not overlap; all images have equally many channels.
void warp(const Stream&, const ArrayList<WarpArguments>&);
// The same, of any depth and number of channels: what warp() takes for all but bytes of 1 or 3
// channels, for which it is faster.
void warp_values(const Stream&, const ArrayList<WarpArguments>&);
// A single one, on the CPU.
void warp(const Stream&, WarpArguments);

}  // namespace darknet
