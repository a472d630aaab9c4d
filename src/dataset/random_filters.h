// Blur and noise of a training image, drawn at random: what [net] blur= and gaussian_noise= ask
// for.
#pragma once
#include <cstdint>
#include <span>

#include "core/rng.h"
#include "detect/box.h"
#include "kernels/pixel_filters.h"
#include "nn/net_settings.h"

namespace darknet {

struct Filters {
  std::int64_t blur = 0;       // side of the kernel in pixels; below 2: none
  bool sharp_objects = false;  // the blur leaves out what lies in a truth's box
  float noise = 0;             // standard deviation, of values from 0 to 1
  std::uint64_t noise_seed = 0;
  bool any() const { return blur > 1 || noise > 0; }
};

// As in Darknet: a third of the images stays as it is, a third is blurred but for its objects, of
// the last third all is blurred (by a kernel of `blur` pixels); half of the images get noise.
Filters random_filters(const ImageAugmentation&, Rng&);

// Changes the region of `image` ({1, h, w, c}, host memory). `shown`: the truths in the region, in
// fractions of the input. A kernel of `blur` pixels is at most an eighth of the shortest side of an
// object (Darknet).
void apply(const Stream&, const Filters&, std::span<const Truth> shown, const Rect& region,
           View<float> image);

}  // namespace darknet
