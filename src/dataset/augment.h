// What is done to the pictures of one training image, drawn at random and written down first (a
// plan is a pure function of its random numbers), then carried out by kernels/warp.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "core/rng.h"
#include "core/tensor.h"
#include "dataset/pictures.h"
#include "detect/box.h"
#include "detect/head.h"
#include "image/picture_size.h"
#include "kernels/warp.h"
#include "nn/net_settings.h"

namespace darknet {

// All keys of augmentation: those of [net], and of the last head as in the Darknets.
struct Augmentation {
  ImageAugmentation image;
  AugmentationKeys head;
  bool letter_box = false;
};
Augmentation augmentation_of(const NetSettings&, const AugmentationKeys&);

// The whole picture into the whole input, stretched or with grey bars (letter_box).
Placement plain_placement(const PictureSize&, std::int64_t height, std::int64_t width,
                          bool with_bars);
Placement plain_placement(const Image&, std::int64_t height, std::int64_t width, bool with_bars);

// A random crop, mirror and colour for the whole input.
Placement random_placement(const Augmentation&, Rng&, const Image&, std::int64_t height,
                           std::int64_t width);

// The four parts of a mosaic around a random point; images[k] lies in part k: upper left, upper
// right, lower left, lower right. Each shows what of its picture lies towards the point.
std::vector<Placement> mosaic_placements(const Augmentation&, Rng&, std::span<const Image* const>,
                                         std::int64_t height, std::int64_t width);

// Writes the part of `out` ({1, h, w, c}, host memory).
void place(const Stream&, const Picture&, const Placement&, View<float> out);
// The same with grey outside the picture.
void place(const Stream&, const Image&, const Placement&, View<float> out);
// The first on the stream's device: `pixels` are the picture's bytes, and lie there like `out`.
void place_on_device(const Stream&, const std::uint8_t* pixels, const Picture&, const Placement&,
                     View<float> out);

// A picture on its way into a part of an input image.
struct PlacedPart {
  BorrowedPicture picture;
  Placement placement;
};

// Appends the truths as they stand in the input: clipped to the part; those of less than a pixel
// are dropped, as in the Darknets.
void place_truths(std::span<const Truth>, const Image&, const Placement&, std::int64_t height,
                  std::int64_t width, std::vector<Truth>& to);

// A box of the picture as it lies in the input, in fractions of each; nothing is clipped.
Box to_input(const Box&, const Placement&, const PictureSize&, std::int64_t height,
             std::int64_t width);

// The inverse for a detected box: from fractions of the input to fractions of the picture.
Box to_picture(const Box&, const Placement&, std::int64_t picture_width,
               std::int64_t picture_height, std::int64_t height, std::int64_t width);

}  // namespace darknet
