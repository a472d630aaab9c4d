// What is done to an input image after warp: Gaussian blur, noise, and the mean of two images. Of
// pixels alone: what is drawn at random is in dataset/random_filters.h.
// The pixels of an image lie one after the other; else these throw Error.
#pragma once
#include <cstdint>

#include "core/device.h"
#include "core/tensor.h"
#include "kernels/warp.h"

namespace darknet {

inline constexpr std::int64_t kMaxBlur = 127;  // pixels of a kernel's side

// Blurs the region of an image {1, h, w, c} in place with a Gaussian kernel of `size` x `size`
// pixels. Standard deviation and edges are those of OpenCV's GaussianBlur with sigma 0 and
// BORDER_REFLECT_101, the region's edges those of an image. `scratch`: as many floats as the region
// has values, in the memory of `image`. Throws Error where size is even or not in [1, kMaxBlur].
void gaussian_blur(const Stream&, View<float> image, const Rect& region, std::int64_t size,
                   float* scratch);

// Adds normally distributed noise to every value of the region; the sum stays in [0, 1].
void add_noise(const Stream&, View<float> image, const Rect& region, float deviation,
               std::uint64_t seed);

// image = (image + other) / 2; both have the same shape.
void average_with(const Stream&, View<float> image, View<const float> other);

}  // namespace darknet
