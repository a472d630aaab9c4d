// What every warp of images computes for a pixel: where it is read, bilinear sampling and colours.
#pragma once
#include <cstdint>

#include "core/hd.h"
#include "core/math.h"
#include "kernels/warp.h"

namespace darknet {
inline namespace DN_TU {

struct Tap {                   // two neighbours on one axis and the weight of the second
  std::int32_t first, second;  // of the stored rows or columns
  float weight;
  std::int32_t outside;  // 0 or 1: as wide as the others, for vectors
};

// Below 2^31 in magnitude; in instructions that every processor has for vectors.
DN_HD inline float floor_of(float v) {
  const auto towards_zero = static_cast<float>(static_cast<std::int32_t>(v));
  return towards_zero - (towards_zero > v ? 1.f : 0.f);
}

// Which pixels of the image a row (or column) of the input shows.
struct Axis {
  float scale, shift;
  std::int32_t size;         // of the image
  std::int32_t begin, last;  // stored; what lies beyond is not read, whatever the position
};

DN_HD inline Tap tap_at(float position, const Axis& axis) {
  // Not the constant 0, of which GCC 12 makes branches that keep a loop from becoming vectors.
  const float end = static_cast<float>(axis.size), begin = end - end;
  const float inside = math::min(math::max(begin, position), end);  // `begin` of what is no number
  const float p = inside - .5f;                                     // in units of pixel centres
  const float floor = floor_of(p);
  const auto i = static_cast<std::int32_t>(floor);
  return {.first = math::clamp(i, axis.begin, axis.last) - axis.begin,
          .second = math::clamp(i + 1, axis.begin, axis.last) - axis.begin,
          .weight = p - floor,
          .outside = inside == position ? 0 : 1};
}
// The middle of a pixel, in pixels.
DN_HD inline float centre_of(std::int32_t pixel) { return static_cast<float>(pixel) + .5f; }

DN_HD inline Tap tap_of(const Axis& axis, std::int32_t pixel) {
  return tap_at(axis.scale * centre_of(pixel) + axis.shift, axis);
}
// Of row y of the input and of its column x. Without shears the product is 0 and changes nothing.
DN_HD inline Axis columns_of(const WarpArguments& a, std::int32_t y) {
  const Placement& p = a.placement;
  return {p.scale_x, p.shift_x + p.shear_x * centre_of(y), static_cast<std::int32_t>(a.width),
          static_cast<std::int32_t>(a.stored.x0), static_cast<std::int32_t>(a.stored.x1 - 1)};
}
DN_HD inline Axis rows_of(const WarpArguments& a, std::int32_t x) {
  const Placement& p = a.placement;
  return {p.scale_y, p.shift_y + p.shear_y * centre_of(x), static_cast<std::int32_t>(a.height),
          static_cast<std::int32_t>(a.stored.y0), static_cast<std::int32_t>(a.stored.y1 - 1)};
}

// `weight`: of the second.
DN_HD inline float between(float first, float second, float weight) {
  return first * (1 - weight) + second * weight;
}
// Between the values at the upper left, upper right, lower left and lower right: first the rows, of
// which the host blends many columns at once.
DN_HD inline float interpolated(const float (&corner)[4], float x, float y) {
  return between(between(corner[0], corner[2], y), between(corner[1], corner[3], y), x);
}

struct Rgb {
  float v[3];
};

DN_HD inline float clamp01(float v) { return v < 0 ? 0 : v > 1 ? 1 : v; }

// One channel of HSV as RGB; `k`: hue in sectors from where the channel is 0, below 12.
DN_HD inline float channel_of(float k, float s, float v) {
  const float turned = k < 6 ? k : k - 6;
  return v - v * s * clamp01(math::min(turned, 4 - turned));
}

// HSV (Smith, SIGGRAPH 1978) and back, without branches: hue in revolutions.
DN_HD inline Rgb recolour(float r, float g, float b, float hue, float saturation, float exposure) {
  const float max = math::max(r, math::max(g, b)), range = max - math::min(r, math::min(g, b));
  const float of_blue = max == g ? b - r : r - g, of_green = max == g ? 2.f : 4.f;
  const float difference = max == r ? g - b : of_blue, sector = max == r ? 0.f : of_green;
  const float sectors = sector + difference / range;
  float h = (range > 0 ? sectors : 0.f) + 6 * hue;
  h -= 6 * floor_of(h * (1 / 6.f));
  const float scaled = clamp01(saturation * range / max);
  const float s = max > 0 ? scaled : 0.f;
  const float v = clamp01(exposure * max);
  return {{channel_of(5 + h, s, v), channel_of(3 + h, s, v), channel_of(1 + h, s, v)}};
}

}  // namespace DN_TU
}  // namespace darknet
