#include "dataset/random_filters.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/index.h"

namespace darknet {
namespace {

constexpr std::int64_t kBackgroundBlur = 17;  // Darknet: whatever `blur` is

// The pixels that a truth covers.
Rect covered_by(const Box& b, const Shape& input, const Rect& region) {
  const auto w = static_cast<float>(input.w), h = static_cast<float>(input.h);
  const auto at = [](float v, std::int64_t low, std::int64_t high) {
    return std::clamp<std::int64_t>(std::llround(v), low, high);
  };
  return {at(b.left() * w, region.x0, region.x1), at(b.top() * h, region.y0, region.y1),
          at(b.right() * w, region.x0, region.x1), at(b.bottom() * h, region.y0, region.y1)};
}

// The rows of the region, in their places; what else `to` holds has no meaning.
void keep_rows(const View<float>& image, const Rect& region, std::vector<float>& to) {
  const std::int64_t row = image.shape.w * image.pixel_stride;
  if (std::ssize(to) < region.y1 * row) to.resize(to_size(region.y1 * row));
  std::copy(image.data + region.y0 * row, image.data + region.y1 * row,
            to.begin() + region.y0 * row);
}

void copy_rect(const std::vector<float>& from, const Rect& part, View<float> to) {
  for (std::int64_t y = part.y0; y < part.y1; ++y) {
    const auto begin = to.pixel(0, y, part.x0) * to.pixel_stride;
    const auto count = (part.x1 - part.x0) * to.pixel_stride;
    std::copy_n(from.data() + begin, std::max<std::int64_t>(0, count), to.data + begin);
  }
}

// The side of the kernel that blurs everything.
std::int64_t whole_blur(std::int64_t blur, std::span<const Truth> shown, const Shape& input) {
  for (const Truth& t : shown) {
    const float side =
        std::min(t.box.w * static_cast<float>(input.w), t.box.h * static_cast<float>(input.h));
    blur = std::min(blur, static_cast<std::int64_t>(side) / 8);
  }
  return blur;
}

}  // namespace

Filters random_filters(const ImageAugmentation& a, Rng& rng) {
  Filters f;
  if (a.blur > 0) {
    const std::int64_t kind = rng.below(3);
    f.sharp_objects = kind == 1 || (kind == 2 && a.blur == 1);
    f.blur = kind == 0 ? 0 : f.sharp_objects ? kBackgroundBlur : a.blur;
  }
  if (a.gaussian_noise > 0 && rng.flip())
    f.noise = a.gaussian_noise / 255, f.noise_seed = rng.bits();
  return f;
}

void apply(const Stream& stream, const Filters& f, std::span<const Truth> shown, const Rect& region,
           View<float> image) {
  const std::int64_t blur = f.sharp_objects ? f.blur : whole_blur(f.blur, shown, image.shape);
  if (blur > 1) {
    // Kept: there is one for each part of each image.
    thread_local std::vector<float> scratch, sharp;
    const auto values = (region.y1 - region.y0) * (region.x1 - region.x0) * image.pixel_stride;
    if (std::ssize(scratch) < values) scratch.resize(to_size(values));
    if (f.sharp_objects) keep_rows(image, region, sharp);
    gaussian_blur(stream, image, region, blur / 2 * 2 + 1, scratch.data());
    for (const Truth& t : shown)
      if (f.sharp_objects) copy_rect(sharp, covered_by(t.box, image.shape, region), image);
  }
  if (f.noise > 0) add_noise(stream, image, region, f.noise, f.noise_seed);
}

}  // namespace darknet
