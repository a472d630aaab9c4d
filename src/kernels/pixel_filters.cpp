#include "kernels/pixel_filters.h"

#include <algorithm>

#include "core/for_each.h"
#include "core/math.h"
#include "core/rng.h"

namespace darknet {
namespace {

// One half of a symmetric kernel, the middle first.
struct BlurKernel {
  std::int32_t radius = 0;
  float weight[kMaxBlur / 2 + 1] = {};
};

BlurKernel blur_kernel(std::int64_t size) {
  BlurKernel kernel{.radius = static_cast<std::int32_t>(size / 2)};
  const float deviation = .3f * (static_cast<float>(kernel.radius) - 1) + .8f;
  float sum = 0;
  for (std::int32_t k = 0; k <= kernel.radius; ++k) {
    const float x = static_cast<float>(k) / deviation;
    kernel.weight[k] = math::exp(-x * x / 2);
    sum += (k == 0 ? 1.f : 2.f) * kernel.weight[k];
  }
  for (float& w : kernel.weight) w /= sum;
  return kernel;
}

// Where a position beyond the ends of [0, n) is mirrored to.
DN_HD std::int32_t reflected(std::int32_t i, std::int32_t n) {
  if (n == 1) return 0;
  const std::int32_t period = 2 * (n - 1);
  i = (i < 0 ? -i : i) % period;
  return i < n ? i : period - i;
}

// The region of an image whose pixels lie one after the other.
struct FilteredRegion {
  View<float> image;
  std::int64_t x0, y0;
  std::int32_t width, height, channels;

  FilteredRegion(View<float> of, const Rect& r)
      : image(of),
        x0(r.x0),
        y0(r.y0),
        width(static_cast<std::int32_t>(std::max<std::int64_t>(0, r.x1 - r.x0))),
        height(static_cast<std::int32_t>(std::max<std::int64_t>(0, r.y1 - r.y0))),
        channels(static_cast<std::int32_t>(of.shape.c)) {
    if (of.pixel_stride != of.shape.c) fail("filters: the pixels of an image lie apart");
  }
  DN_HD float* row(std::int64_t y) const {
    return image.data + ((y0 + y) * image.shape.w + x0) * channels;
  }
  DN_HD std::int32_t row_values() const { return width * channels; }
  std::int64_t values() const { return std::int64_t{row_values()} * height; }
};

// A row of the image, blurred along it, into a row of the scratch memory.
struct BlurAlongRow {
  FilteredRegion region;
  BlurKernel kernel;
  float* scratch;

  // Adds the pixels `k` to the left and to the right of pixel x.
  DN_HD void add(std::int32_t k, std::int32_t x, const float* from, float* to) const {
    const std::int64_t channels = region.channels;
    const float* const left = from + reflected(x - k, region.width) * channels;
    const float* const right = from + reflected(x + k, region.width) * channels;
    for (std::int64_t c = 0; c < channels; ++c)
      to[x * channels + c] += kernel.weight[k] * (left[c] + right[c]);
  }
  DN_HD void operator()(std::int64_t y) const {
    const std::int32_t n = region.row_values(), w = region.width;
    const float* const from = region.row(y);
    float* const to = scratch + y * n;
    for (std::int32_t i = 0; i < n; ++i) to[i] = kernel.weight[0] * from[i];
    for (std::int32_t k = 1; k <= kernel.radius; ++k) {
      const std::int32_t end = math::max(k, w - k);  // [k, end) needs no mirroring
      const std::int32_t step = k * region.channels;
      const float weight = kernel.weight[k];
      for (std::int32_t x = 0; x < math::min(k, w); ++x) add(k, x, from, to);
#pragma omp simd
      for (std::int32_t i = step; i < end * region.channels; ++i)
        to[i] += weight * (from[i - step] + from[i + step]);
      for (std::int32_t x = end; x < w; ++x) add(k, x, from, to);
    }
  }
};

// A row of the image from the rows of the scratch memory above and below.
struct BlurAcrossRows {
  FilteredRegion region;
  BlurKernel kernel;
  const float* scratch;

  DN_HD const float* source(std::int64_t y) const {
    return scratch + std::int64_t{reflected(static_cast<std::int32_t>(y), region.height)} *
                         region.row_values();
  }
  DN_HD void operator()(std::int64_t y) const {
    const std::int32_t n = region.row_values();
    const float* const middle = source(y);
    float* const to = region.row(y);
#pragma omp simd
    for (std::int32_t i = 0; i < n; ++i) to[i] = kernel.weight[0] * middle[i];
    for (std::int32_t k = 1; k <= kernel.radius; ++k) {
      const float *const above = source(y - k), *const below = source(y + k);
      const float weight = kernel.weight[k];
#pragma omp simd
      for (std::int32_t i = 0; i < n; ++i) to[i] += weight * (above[i] + below[i]);
    }
  }
};

struct AddNoise {
  FilteredRegion region;
  float deviation;
  std::uint64_t seed;
  DN_HD void operator()(std::int64_t i) const {
    const std::int32_t n = region.row_values();
    float& value = region.row(i / n)[i % n];
    // Box and Muller, 1958; the first number is above 0.
    const auto index = static_cast<std::uint64_t>(i);
    const float u = random_uniform(seed, 0, index) + 0x1p-25f, v = random_uniform(seed, 1, index);
    const float normal = math::sqrt(-2 * math::log(u)) * cosf(6.2831853f * v);
    value = math::clamp(value + deviation * normal, 0.f, 1.f);
  }
};

struct AverageWith {
  View<float> image;
  View<const float> other;
  DN_HD void operator()(std::int64_t pixel, std::int64_t channel) const {
    float& value = image.at(pixel, channel);
    value = .5f * (value + other.at(pixel, channel));
  }
};

}  // namespace

void gaussian_blur(const Stream& s, View<float> image, const Rect& region, std::int64_t size,
                   float* scratch) {
  if (size < 1 || size > kMaxBlur || size % 2 == 0)
    fail("blur: a kernel has an odd side from 1 to ", kMaxBlur, ", not ", size);
  const FilteredRegion part(image, region);
  if (part.values() == 0) return;
  const BlurKernel kernel = blur_kernel(size);
  for_each(s, part.height, BlurAlongRow{part, kernel, scratch});
  for_each(s, part.height, BlurAcrossRows{part, kernel, scratch});
}

void add_noise(const Stream& s, View<float> image, const Rect& region, float deviation,
               std::uint64_t seed) {
  const FilteredRegion part(image, region);
  for_each(s, part.values(), AddNoise{part, deviation, seed});
}

void average_with(const Stream& s, View<float> image, View<const float> other) {
  for_each_pixel(s, image.shape, AverageWith{image, other});
}

}  // namespace darknet
