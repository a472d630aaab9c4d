#include "kernels/warp.h"

#include <algorithm>

#include "core/array_table.h"
#include "core/math.h"
#include "kernels/warp_sampling.h"

namespace darknet {
namespace {

constexpr float kOfByte = 1.f / 255;  // 0..1

// The host's pixels are computed in blocks, step by step, so that the compiler makes vectors of all
// steps but some of the reading.
constexpr std::int32_t kBlockPixels = 64;
// Of an upright image two rows are blended first, in one go, and their columns then: of those that
// a block spans. Where it spans more, that would be more work than to read each pixel's four
// corners.
constexpr float kMaxBlendedScale = 16;
constexpr std::int64_t kMaxBlendedWidth = 1 << 20;  // floats tell parts of its columns apart
constexpr std::int32_t kSpan = kBlockPixels * static_cast<std::int32_t>(kMaxBlendedScale) + 2;

template <int channels>
struct Block {
  std::int32_t first[kBlockPixels], second[kBlockPixels], outside[kBlockPixels];
  float weight[kBlockPixels], weight_y[kBlockPixels];  // the second: of a turned image
  std::uint32_t corner[4][kBlockPixels];  // a pixel's channels, the first in the low byte
  float blended[kSpan * channels + 1];    // columns between two rows of the image
  float value[kBlockPixels * channels + 1];
};

// A row of the image.
template <int channels>
struct SourceRow {
  const std::uint8_t* bytes;
  std::int64_t readable;  // bytes from there to the end of what is stored

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
  DN_HD std::int64_t stored_width() const { return a.stored.x1 - a.stored.x0; }
  DN_HD Axis columns_of(std::int32_t y) const { return darknet::columns_of(a, y); }
  DN_HD Axis rows_of(std::int32_t x) const { return darknet::rows_of(a, x); }
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
    const Tap x = tap_of(columns_of(to_y), to_x), y = tap_of(rows_of(to_x), to_y);
    const std::int64_t bytes = stored_width() * channels;  // of a row
    const std::uint8_t* const top = a.pixels + y.first * bytes;
    const std::uint8_t* const bottom = a.pixels + y.second * bytes;
    const std::int64_t left = std::int64_t{x.first} * channels,
                       right = std::int64_t{x.second} * channels;
    Rgb value;
    for (int c = 0; c < channels; ++c) {
      const float corner[4] = {
          static_cast<float>(top[left + c]), static_cast<float>(top[right + c]),
          static_cast<float>(bottom[left + c]), static_cast<float>(bottom[right + c])};
      value.v[c] =
          x.outside || y.outside ? a.fill[c] : interpolated(corner, x.weight, y.weight) * kOfByte;
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
    const bool blends_rows = a.placement.shear_y == 0 && a.width <= kMaxBlendedWidth &&
                             math::abs(a.placement.scale_x) <= kMaxBlendedScale;
    while (begin < end) {
      const std::int64_t in_row = begin % w;
      const auto n = static_cast<std::int32_t>(
          std::min({end - begin, w - in_row, std::int64_t{kBlockPixels}}));
      const auto y = static_cast<std::int32_t>(a.placement.region.y0 + begin / w);
      const auto x = static_cast<std::int32_t>(a.placement.region.x0 + in_row);
      if (blends_rows)  // a row of the image for all of them
        show_rows(block, {x, y}, tap_of(rows_of(x), y), n);
      else
        show_corners(block, {x, y}, n);
      if (channels == 1 || colour) change_colour(block, n);
      store(block, y * a.out.shape.w + x, n);
      begin += n;
    }
  }

  // `y`: of the stored rows.
  SourceRow<channels> source_row(std::int32_t y) const {
    const std::int64_t bytes = stored_width() * channels;
    return {a.pixels + y * bytes, (a.stored.y1 - a.stored.y0 - y) * bytes};
  }

  struct At {
    std::int32_t x, y;  // of the input
  };
  void show_rows(Block<channels>& b, const At& at, const Tap& row, std::int32_t n) const {
    const Axis columns = columns_of(at.y);
    const std::int32_t x = at.x, outside = row.outside;
#pragma omp simd
    for (std::int32_t i = 0; i < n; ++i) {
      const Tap tap = tap_of(columns, x + i);
      b.first[i] = tap.first, b.second[i] = tap.second;
      b.weight[i] = tap.weight, b.outside[i] = tap.outside | outside;
    }
    if (outside == 0) {
      blend_rows(b, row, n);
      blend_columns(b, n);
    }
    fill_outside(b, n);
  }

  // From the first of the columns to the last, and what lies behind it, which is not used.
  void blend_rows(Block<channels>& b, const Tap& row, std::int32_t n) const {
    const std::int32_t begin = std::min(b.first[0], b.first[n - 1]);
    const std::int32_t end = std::max(b.second[0], b.second[n - 1]) + 1;
    const std::uint8_t* const top = source_row(row.first).bytes + std::int64_t{begin} * channels;
    const std::uint8_t* const bottom =
        source_row(row.second).bytes + std::int64_t{begin} * channels;
    const std::int32_t values = (end - begin) * channels;
#pragma omp simd
    for (std::int32_t k = 0; k < values; ++k) b.blended[k] = between(top[k], bottom[k], row.weight);
    b.blended[values] = 0;
#pragma omp simd
    for (std::int32_t i = 0; i < n; ++i)
      b.first[i] = (b.first[i] - begin) * channels, b.second[i] = (b.second[i] - begin) * channels;
  }

  void blend_columns(Block<channels>& b, std::int32_t n) const {
    if constexpr (channels == 1) {
#pragma omp simd
      for (std::int32_t i = 0; i < n; ++i)
        b.value[i] = between(b.blended[b.first[i]], b.blended[b.second[i]], b.weight[i]) * kOfByte;
    } else {
      // With a value of the next pixel they are one vector, as what is written.
      for (std::int32_t i = 0; i < n; ++i) {
        const float* const left = b.blended + b.first[i];
        const float* const right = b.blended + b.second[i];
        const float weight = b.weight[i];
        float value[4];
#pragma omp simd
        for (int c = 0; c < 4; ++c) value[c] = between(left[c], right[c], weight) * kOfByte;
        std::copy_n(value, 4, b.value + channels * i);
      }
    }
  }

  void fill_outside(Block<channels>& b, std::int32_t n) const {
    std::int32_t any = 0;
    for (std::int32_t i = 0; i < n; ++i) any |= b.outside[i];
    for (std::int32_t i = 0; any != 0 && i < n; ++i)
      if (b.outside[i] != 0) std::copy_n(a.fill, channels, b.value + channels * i);
  }

  // Apart, so that other images cost what they did.
  [[gnu::noinline]] void show_corners(Block<channels>& b, const At& at, std::int32_t n) const {
    const Axis columns = columns_of(at.y);
    for (std::int32_t i = 0; i < n; ++i) {
      const Tap column = tap_of(columns, at.x + i), row = tap_of(rows_of(at.x + i), at.y);
      b.weight[i] = column.weight, b.weight_y[i] = row.weight;
      b.outside[i] = column.outside | row.outside;
      const SourceRow<channels> top = source_row(row.first), bottom = source_row(row.second);
      b.corner[0][i] = top.at(column.first), b.corner[1][i] = top.at(column.second);
      b.corner[2][i] = bottom.at(column.first), b.corner[3][i] = bottom.at(column.second);
    }
    for (int c = 0; c < channels; ++c) {
      const auto byte = [&](int k, std::int32_t i) {
        return static_cast<float>(static_cast<std::int32_t>(b.corner[k][i] >> 8 * c & 0xFF));
      };
#pragma omp simd
      for (std::int32_t i = 0; i < n; ++i) {
        const float corner[4] = {byte(0, i), byte(1, i), byte(2, i), byte(3, i)};
        b.value[channels * i + c] = interpolated(corner, b.weight[i], b.weight_y[i]) * kOfByte;
      }
    }
    fill_outside(b, n);
  }

  void change_colour(Block<channels>& b, std::int32_t n) const {
#pragma omp simd
    for (std::int32_t i = 0; i < n; ++i) {
      float* const v = b.value + channels * i;
      if constexpr (channels == 1) {
        v[0] = coloured(v[0]);
      } else {
        const Rgb out = coloured(v[0], v[1], v[2]);
        v[0] = out.v[0], v[1] = out.v[1], v[2] = out.v[2];
      }
    }
  }

  void store(const Block<channels>& b, std::int64_t pixel, std::int32_t n) const {
    if (a.out.pixel_stride == channels) {
      std::copy_n(b.value, n * channels, &a.out.at(pixel, 0));
      return;
    }
    for (std::int32_t i = 0; i < n; ++i)
      std::copy_n(b.value + channels * i, channels, &a.out.at(pixel + i, 0));
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
    return a.depth == 1 && a.value_of_one == 255 && (a.out.shape.c == 1 || a.out.shape.c == 3);
  });
}

}  // namespace

void WarpArguments::set_count() {
  const Rect& r = placement.region;
  n = std::max<std::int64_t>(0, r.x1 - r.x0) * std::max<std::int64_t>(0, r.y1 - r.y0);
  if (is_empty(stored)) stored = {0, 0, width, height};
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
