#include "kernels/warp.h"

#include <algorithm>

#include "core/array_table.h"
#include "core/math.h"

namespace darknet {
namespace {

struct Tap {  // two neighbours on one axis and the weight of the second
  std::int64_t first, second;
  float weight;
  bool outside;
};

DN_HD Tap tap_at(float position, std::int64_t size) {
  const float p = position - .5f;  // in units of pixel centres
  const float floor = floorf(p);
  const bool outside = !(position >= 0 && position <= static_cast<float>(size));
  const auto i = outside ? 0 : static_cast<std::int64_t>(floor);
  const std::int64_t last = size - 1;
  return {i < 0 ? 0 : i > last ? last : i, i + 1 > last ? last : i + 1, p - floor, outside};
}

struct Rgb {
  float v[3];
};

DN_HD float clamp01(float v) { return v < 0 ? 0 : v > 1 ? 1 : v; }

// HSV (Smith, SIGGRAPH 1978) and back: hue in revolutions.
DN_HD Rgb recolour(const Rgb& c, float hue, float saturation, float exposure) {
  const float max = fmaxf(c.v[0], fmaxf(c.v[1], c.v[2]));
  const float min = fminf(c.v[0], fminf(c.v[1], c.v[2]));
  const float range = max - min;
  float h = 0;
  if (range > 0) {
    if (max == c.v[0])
      h = (c.v[1] - c.v[2]) / range;
    else if (max == c.v[1])
      h = 2 + (c.v[2] - c.v[0]) / range;
    else
      h = 4 + (c.v[0] - c.v[1]) / range;
  }
  h += 6 * hue;
  h -= 6 * floorf(h / 6);
  const float s = max > 0 ? clamp01(saturation * range / max) : 0;
  const float v = clamp01(exposure * max);
  Rgb out;
  for (int i = 0; i < 3; ++i) {
    const float offset = i == 0 ? 5.f : i == 1 ? 3.f : 1.f;
    float k = offset + h;
    k -= 6 * floorf(k / 6);
    out.v[i] = v - v * s * clamp01(fminf(k, 4 - k));
  }
  return out;
}

template <int channels>
struct WarpPixel {
  WarpArguments a;
  bool colour;

  DN_HD float sample(const Tap& x, const Tap& y, int c) const {
    const std::uint8_t* const top = a.pixels + y.first * a.width * channels + c;
    const std::uint8_t* const bottom = a.pixels + y.second * a.width * channels + c;
    const float u = static_cast<float>(top[x.first * channels]) * (1 - x.weight) +
                    static_cast<float>(top[x.second * channels]) * x.weight;
    const float v = static_cast<float>(bottom[x.first * channels]) * (1 - x.weight) +
                    static_cast<float>(bottom[x.second * channels]) * x.weight;
    return (u * (1 - y.weight) + v * y.weight) * (1.f / 255);
  }

  DN_HD void operator()(std::int64_t i) const {
    const Placement& to = a.placement;
    const std::int64_t w = to.region.x1 - to.region.x0;
    const std::int64_t row = to.region.y0 + i / w, column = to.region.x0 + i % w;
    const Tap x = tap_at(to.scale_x * (static_cast<float>(column) + .5f) + to.shift_x, a.width);
    const Tap y = tap_at(to.scale_y * (static_cast<float>(row) + .5f) + to.shift_y, a.height);
    Rgb value;
    for (int c = 0; c < channels; ++c)
      value.v[c] = x.outside || y.outside ? a.fill[c] : sample(x, y, c);
    if (channels == 3 && colour) value = recolour(value, to.hue, to.saturation, to.exposure);
    if (channels == 1) value.v[0] = clamp01(value.v[0] * to.exposure);
    const std::int64_t pixel = row * a.out.shape.w + column;
    for (int c = 0; c < channels; ++c) a.out.at(pixel, c) = value.v[c];
  }
};

template <int channels>
struct WarpPixels {
  DN_HD WarpPixel<channels> prepare(const WarpArguments& a, std::int64_t) const {
    const Placement& p = a.placement;
    return {a, p.hue != 0 || p.saturation != 1 || p.exposure != 1};
  }
  DN_HD void operator()(const WarpPixel<channels>& pixels, std::int64_t i) const { pixels(i); }
};

}  // namespace

void WarpArguments::set_count() {
  if (out.shape.c != 1 && out.shape.c != 3)
    fail("warp: images have 1 or 3 channels, not ", out.shape.c);
  const Rect& r = placement.region;
  n = std::max<std::int64_t>(0, r.x1 - r.x0) * std::max<std::int64_t>(0, r.y1 - r.y0);
}

void warp(const Stream& s, const ArrayList<WarpArguments>& list) {
  if (list.entries.empty()) return;
  if (list.entries.front().out.shape.c == 3)
    for_each_array(s, list, WarpPixels<3>{});
  else
    for_each_array(s, list, WarpPixels<1>{});
}

void warp(const Stream& s, WarpArguments a) {
  if (s.device.type != DeviceType::cpu) fail("warp: a list of its own is for the CPU alone");
  a.set_count();
  warp(s, ArrayList<WarpArguments>{.entries = {&a, 1}});
}

}  // namespace darknet
