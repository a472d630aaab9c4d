#include "kernels/warp.h"

#include <algorithm>

#include "core/array_table.h"
#include "core/math.h"
#include "kernels/warp_sampling.h"

namespace darknet {
namespace {

// Bytes at the upper left, upper right, lower left and lower right to 0..1.
DN_HD float blended(const float (&corner)[4], float x, float y) {
  return interpolated(corner, x, y) * (1.f / 255);
}

// The host's pixels are computed in blocks, step by step, so that the compiler makes vectors of all
// steps but the reading.
constexpr std::int32_t kBlockPixels = 64;

template <int channels>
struct Block {
  std::int32_t first[kBlockPixels], second[kBlockPixels], outside[kBlockPixels];
  float weight[kBlockPixels], weight_y[kBlockPixels];  // the second: of a turned image
  std::uint32_t corner[4][kBlockPixels];  // a pixel's channels, the first in the low byte
  float value[channels][kBlockPixels];
};

// A row of the image.
template <int channels>
struct SourceRow {
  const std::uint8_t* bytes;
  std::int64_t readable;  // bytes from there to the image's end

  std::uint32_t at(std::int32_t column) const {
    const std::int64_t begin = std::int64_t{column} * channels;
    const std::uint8_t* const p = bytes + begin;
    if (channels == 1) return p[0];
    const auto byte = [p](int k) { return std::uint32_t{p[k]} << 8 * k; };
    // With a byte of the next pixel it is one read of four bytes.
    if (begin + 4 <= readable) return byte(0) | byte(1) | byte(2) | byte(3);
    return byte(0) | byte(1) | byte(2);
  }
};

template <int channels>
struct WarpPixel {
  WarpArguments a;
  bool colour;

  DN_HD std::int32_t region_width() const {
    return static_cast<std::int32_t>(a.placement.region.x1 - a.placement.region.x0);
  }
  DN_HD Axis columns_of(std::int32_t y) const {
    return darknet::columns_of(a.placement, y, a.width);
  }
  DN_HD Axis rows_of(std::int32_t x) const { return darknet::rows_of(a.placement, x, a.height); }
  DN_HD Rgb coloured(float r, float g, float b) const {
    return recolour(r, g, b, a.placement.hue, a.placement.saturation, a.placement.exposure);
  }
  DN_HD float coloured(float grey) const { return clamp01(grey * a.placement.exposure); }

  // A single pixel.
  DN_HD void operator()(std::int64_t i) const {
    const Placement& to = a.placement;
    const std::int64_t row = to.region.y0 + i / region_width();
    const std::int64_t column = to.region.x0 + i % region_width();
    const auto to_x = static_cast<std::int32_t>(column), to_y = static_cast<std::int32_t>(row);
    const Tap x = columns_of(to_y).at(to_x), y = rows_of(to_x).at(to_y);
    const std::uint8_t* const top = a.pixels + y.first * a.width * channels;
    const std::uint8_t* const bottom = a.pixels + y.second * a.width * channels;
    const std::int64_t left = std::int64_t{x.first} * channels,
                       right = std::int64_t{x.second} * channels;
    Rgb value;
    for (int c = 0; c < channels; ++c) {
      const float corner[4] = {
          static_cast<float>(top[left + c]), static_cast<float>(top[right + c]),
          static_cast<float>(bottom[left + c]), static_cast<float>(bottom[right + c])};
      value.v[c] = x.outside || y.outside ? a.fill[c] : blended(corner, x.weight, y.weight);
    }
    if (channels == 3 && colour) value = coloured(value.v[0], value.v[1], value.v[2]);
    if (channels == 1) value.v[0] = coloured(value.v[0]);
    const std::int64_t pixel = row * a.out.shape.w + column;
    for (int c = 0; c < channels; ++c) a.out.at(pixel, c) = value.v[c];
  }

  // The same for [begin, end), on the host.
  void range(std::int64_t begin, std::int64_t end) const {
    Block<channels> block;
    const std::int64_t w = region_width();
    while (begin < end) {
      const std::int64_t in_row = begin % w;
      const auto n = static_cast<std::int32_t>(
          std::min({end - begin, w - in_row, std::int64_t{kBlockPixels}}));
      const auto y = static_cast<std::int32_t>(a.placement.region.y0 + begin / w);
      const auto x = static_cast<std::int32_t>(a.placement.region.x0 + in_row);
      if (a.placement.shear_y == 0) {  // a row of the image for all of them
        const Tap row = rows_of(x).at(y);
        read(block, {x, y}, row, n);
        blend(block, RowWeight{row.weight}, n);
      } else {
        show_turned(block, {x, y}, n);
      }
      if (channels == 1 || colour) change_colour(block, n);
      store(block, y * a.out.shape.w + x, n);
      begin += n;
    }
  }

  SourceRow<channels> source_row(std::int32_t y) const {
    const std::int64_t bytes = a.width * channels;
    return {a.pixels + y * bytes, (a.height - y) * bytes};
  }

  struct At {
    std::int32_t x, y;  // of the input
  };
  void read(Block<channels>& b, const At& at, const Tap& row, std::int32_t n) const {
    const Axis columns = columns_of(at.y);
    const std::int32_t x = at.x, outside = row.outside;
#pragma omp simd
    for (std::int32_t i = 0; i < n; ++i) {
      const Tap tap = columns.at(x + i);
      b.first[i] = tap.first, b.second[i] = tap.second;
      b.weight[i] = tap.weight, b.outside[i] = tap.outside | outside;
    }
    const SourceRow<channels> top = source_row(row.first), bottom = source_row(row.second);
    for (std::int32_t i = 0; i < n; ++i) {
      b.corner[0][i] = top.at(b.first[i]), b.corner[1][i] = top.at(b.second[i]);
      b.corner[2][i] = bottom.at(b.first[i]), b.corner[3][i] = bottom.at(b.second[i]);
    }
  }

  void read_turned(Block<channels>& b, const At& at, std::int32_t n) const {
    const Axis columns = columns_of(at.y);
    for (std::int32_t i = 0; i < n; ++i) {
      const Tap column = columns.at(at.x + i), row = rows_of(at.x + i).at(at.y);
      b.weight[i] = column.weight, b.weight_y[i] = row.weight;
      b.outside[i] = column.outside | row.outside;
      const SourceRow<channels> top = source_row(row.first), bottom = source_row(row.second);
      b.corner[0][i] = top.at(column.first), b.corner[1][i] = top.at(column.second);
      b.corner[2][i] = bottom.at(column.first), b.corner[3][i] = bottom.at(column.second);
    }
  }

  // Apart, so that what is not turned costs what it did.
  [[gnu::noinline]] void show_turned(Block<channels>& b, const At& at, std::int32_t n) const {
    read_turned(b, at, n);
    blend(
        b, [&b](std::int32_t i) { return b.weight_y[i]; }, n);
  }

  struct RowWeight {
    float weight;
    float operator()(std::int32_t) const { return weight; }
  };
  // weight_y(i): of the lower neighbours.
  template <class WeightY>
  void blend(Block<channels>& b, const WeightY& weight_y, std::int32_t n) const {
    for (int c = 0; c < channels; ++c) {
      const float fill = a.fill[c];
      const auto byte = [&](int k, std::int32_t i) {
        return static_cast<float>(static_cast<std::int32_t>(b.corner[k][i] >> 8 * c & 0xFF));
      };
#pragma omp simd
      for (std::int32_t i = 0; i < n; ++i) {
        const float corner[4] = {byte(0, i), byte(1, i), byte(2, i), byte(3, i)};
        const float inside = blended(corner, b.weight[i], weight_y(i));
        b.value[c][i] = b.outside[i] != 0 ? fill : inside;
      }
    }
  }

  void change_colour(Block<channels>& b, std::int32_t n) const {
#pragma omp simd
    for (std::int32_t i = 0; i < n; ++i) {
      if constexpr (channels == 1) {
        b.value[0][i] = coloured(b.value[0][i]);
      } else {
        const Rgb out = coloured(b.value[0][i], b.value[1][i], b.value[2][i]);
        b.value[0][i] = out.v[0], b.value[1][i] = out.v[1], b.value[2][i] = out.v[2];
      }
    }
  }

  void store(const Block<channels>& b, std::int64_t pixel, std::int32_t n) const {
    for (std::int32_t i = 0; i < n; ++i)
      for (int c = 0; c < channels; ++c) a.out.at(pixel + i, c) = b.value[c][i];
  }
};

template <int channels>
struct WarpPixels {
  DN_HD WarpPixel<channels> prepare(const WarpArguments& a, std::int64_t) const {
    const Placement& p = a.placement;
    return {a, p.hue != 0 || p.saturation != 1 || p.exposure != 1};
  }
  DN_HD void operator()(const WarpPixel<channels>& pixels, std::int64_t i) const { pixels(i); }
  void range(const WarpPixel<channels>& pixels, std::int64_t begin, std::int64_t end) const {
    pixels.range(begin, end);
  }
};

// What the functors above take.
bool bytes_alone(const ArrayList<WarpArguments>& list) {
  return std::all_of(list.entries.begin(), list.entries.end(), [](const WarpArguments& a) {
    return a.depth == 1 && a.white == 255 && (a.out.shape.c == 1 || a.out.shape.c == 3);
  });
}

}  // namespace

void WarpArguments::set_count() {
  const Rect& r = placement.region;
  n = std::max<std::int64_t>(0, r.x1 - r.x0) * std::max<std::int64_t>(0, r.y1 - r.y0);
}

void warp(const Stream& s, const ArrayList<WarpArguments>& list) {
  if (list.entries.empty()) return;
  if (!bytes_alone(list))
    warp_values(s, list);
  else if (list.entries.front().out.shape.c == 3)
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
