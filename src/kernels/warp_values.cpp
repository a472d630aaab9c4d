#include "core/array_table.h"
#include "core/hd.h"
#include "kernels/warp.h"
#include "kernels/warp_sampling.h"

namespace darknet {
namespace {

DN_HD float value_at(const std::uint8_t* bytes, std::int32_t depth) {
  if (depth == 1) return *bytes;
  if (depth == 2) return *reinterpret_cast<const std::uint16_t*>(bytes);
  return *reinterpret_cast<const float*>(bytes);
}

struct WarpedValues {
  WarpArguments a;

  // Pixel `i` of the region, all channels.
  DN_HD void operator()(std::int64_t i) const {
    const Placement& to = a.placement;
    const std::int64_t width = to.region.x1 - to.region.x0, channels = a.out.shape.c;
    const std::int64_t row = to.region.y0 + i / width, column = to.region.x0 + i % width;
    const auto px = static_cast<std::int32_t>(column), py = static_cast<std::int32_t>(row);
    const Tap x = tap_of(columns_of(a, py), px), y = tap_of(rows_of(a, px), py);
    const std::int64_t pixel = channels * a.depth;                   // bytes
    const std::int64_t bytes = (a.stored.x1 - a.stored.x0) * pixel;  // of a row
    const std::uint8_t* const top = a.pixels + y.first * bytes;
    const std::uint8_t* const bottom = a.pixels + y.second * bytes;
    const std::int64_t left = x.first * pixel, right = x.second * pixel;
    const bool outside = x.outside != 0 || y.outside != 0;
    const float scale = 1 / a.value_of_one;
    const std::int64_t place = row * a.out.shape.w + column;
    for (std::int64_t c = 0; c < channels; ++c) {
      const std::int64_t at = c * a.depth;
      const float corner[4] = {
          value_at(top + left + at, a.depth), value_at(top + right + at, a.depth),
          value_at(bottom + left + at, a.depth), value_at(bottom + right + at, a.depth)};
      const float fill = a.fill[channels == 3 ? c : 0];
      a.out.at(place, c) = outside ? fill : interpolated(corner, x.weight, y.weight) * scale;
    }
    change_colour(place);
  }

  DN_HD void change_colour(std::int64_t place) const {
    const Placement& to = a.placement;
    if (a.out.shape.c == 1 && to.exposure != 1)
      a.out.at(place, 0) = clamp01(a.out.at(place, 0) * to.exposure);
    if (a.out.shape.c != 3 || (to.hue == 0 && to.saturation == 1 && to.exposure == 1)) return;
    const Rgb colour = recolour(a.out.at(place, 0), a.out.at(place, 1), a.out.at(place, 2), to.hue,
                                to.saturation, to.exposure);
    for (std::int64_t c = 0; c < 3; ++c) a.out.at(place, c) = colour.v[c];
  }
};

struct WarpValues {
  DN_HD WarpedValues prepare(const WarpArguments& a, std::int64_t) const { return {a}; }
  DN_HD void operator()(const WarpedValues& values, std::int64_t i) const { values(i); }
  void range(const WarpedValues& values, std::int64_t begin, std::int64_t end) const {
    for (std::int64_t i = begin; i < end; ++i) values(i);
  }
};

}  // namespace

void warp_values(const Stream& s, const ArrayList<WarpArguments>& list) {
  for_each_array(s, list, WarpValues{});
}

}  // namespace darknet
