// Augmentation of the source images of one input image: a plan, which is a pure function of its
// random numbers, and which kernels/warp carries out.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "core/rng.h"
#include "core/tensor.h"
#include "dataset/image_cache.h"
#include "detect/box.h"
#include "detect/head.h"
#include "image/image_size.h"
#include "kernels/warp.h"
#include "nn/net_settings.h"

namespace darknet {

// All keys of augmentation: those of [net], and of the last head as in Darknet.
struct Augmentation {
  ImageAugmentation image;
  AugmentationKeys head;
  bool letter_box = false;
};
Augmentation augmentation_of(const NetSettings&, const AugmentationKeys&);

// What a training image is made of: one image, four side by side, the mean of two, or one with a
// part of another.
enum class Mixing : std::uint8_t { none, mosaic, mixup, cutmix };
std::size_t images_of(Mixing);
Mixing draw_mixing(const ImageAugmentation&, Rng&);  // of a detector

// The whole image into the whole input, stretched or with grey bars (letter_box).
Placement plain_placement(const ImageSize&, std::int64_t height, std::int64_t width,
                          bool with_bars);
Placement plain_placement(const Image&, std::int64_t height, std::int64_t width, bool with_bars);

// Turns what the region shows about the region's middle, in the image's own proportions.
void turn(Placement&, float radians);
void turn_at_random(Placement&, const ImageAugmentation&, Rng&);  // by [net] angle

// A random crop, mirror, turn and colour for the whole input.
Placement random_placement(const Augmentation&, Rng&, const Image&, std::int64_t height,
                           std::int64_t width);

// Darknet: 1/s to s, either side equally often; s and 1/s mean the same.
float random_scale(Rng&, float s);
// Random hue, saturation and exposure.
void set_colour(Placement&, const ImageAugmentation&, Rng&);

// The four tiles of a mosaic around a random point; images[k] lies in tile k: upper left, upper
// right, lower left, lower right. Each shows what of its image lies towards the point.
std::vector<Placement> mosaic_placements(const Augmentation&, Rng&, std::span<const Image* const>,
                                         std::int64_t height, std::int64_t width);

// By how much the image may be reduced (decode_image() in image/image.h): as far as the input still
// shows each pixel of the reduced image at most once on either axis.
int reduction_for(const Placement&);
// Whether a pixel of the region shows what lies beyond the image's edges, or nearly so.
bool shows_outside(const Placement&, const Image&);
// The part of the image that has all pixels which the region shows, also of the image reduced so;
// empty: all of it, or nearly.
Rect shown_part(const Placement&, const Image&, int reduction);

// Writes the region of `out` ({1, h, w, c}, host memory).
void place(const Stream&, const DecodedImage&, const Placement&, View<float> out);
// The same with grey outside the image. `value_of_one`: the value that becomes 1; 0:
// Image::value_of_one.
void place(const Stream&, const Image&, const Placement&, View<float> out, float value_of_one = 0);
// The arguments of the first for `pixels`, the image's bytes in the memory in which `out` lies.
WarpArguments warp_of(const std::uint8_t* pixels, const DecodedImage&, const Placement&,
                      View<float> out);

// An image on its way into a part of an input image.
struct PlacedTile {
  CachedImage image;
  Placement placement;
};

// Appends the truths as they stand in the input: clipped to the part, of turned boxes the bounds of
// what the part shows of them; those of less than a pixel are dropped, as in Darknet.
void place_truths(std::span<const Truth>, const Image&, const Placement&, std::int64_t height,
                  std::int64_t width, std::vector<Truth>& to);

// A box of an image that is not turned as it lies in the input, in fractions of each; nothing is
// clipped.
Box to_input(const Box&, const Placement&, const ImageSize&, std::int64_t height,
             std::int64_t width);

// The inverse for a detected box: from fractions of the input to fractions of the image.
Box to_image(const Box&, const Placement&, std::int64_t image_width, std::int64_t image_height,
             std::int64_t height, std::int64_t width);

}  // namespace darknet
