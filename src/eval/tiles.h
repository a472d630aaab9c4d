// Sliced inference (SAHI: Akyon et al., ICIP 2022): an image is cut into overlapping tiles, each is
// detected at the size of the network's input, and what they find is merged. Knows boxes only; the
// passes through a network are in eval/predict.h.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "detect/box.h"
#include "detect/head.h"
#include "image/image.h"
#include "image/image_size.h"
#include "kernels/warp.h"

namespace darknet {

struct Tiling {
  std::int64_t width = 0, height = 0;  // of a tile, pixels of the image; 0: no tiles
  float overlap = .2f;                 // share of a tile that the next one shows too
  bool whole = true;                   // the whole image is detected as well
  bool on() const { return width > 0; }
};

inline constexpr std::int64_t kMinTile = 16, kMaxTile = 1 << 16;  // pixels
inline constexpr float kMaxTileOverlap = .9f;
// Throws, with the reason, where a tiling that is on cannot be carried out.
void check(const Tiling&);

// The tiles of an image, row by row; the last of a row and of a column are moved back to the edge.
// None where the tiling is off or the image no larger than one tile. Throws where there are more
// than 10000.
std::vector<Rect> tiles_of(const Tiling&, const ImageSize&);

Image cut_out(const Image&, const Rect&);

// A detection of one tile, or of the whole image where `tile` is the number of tiles. Its box is in
// fractions of the image.
struct TileDetection {
  InputDetection detection;
  std::size_t tile = 0;
};
// From fractions of a tile to fractions of the image.
Box from_tile(const Box&, const Rect& tile, const ImageSize&);

// The detections of an image from those of its tiles, by falling probability.
//   1. A box that touches an inner border of its tile shows a part of an object. It goes where
//      another tile holds all of it and cuts it on fewer sides: that tile shows more of the object.
//   2. The others that are cut by no border go through the network's suppression, with distances
//      in pixels.
//   3. A cut box ranks with half its probability, and overlaps another one by the share of its own
//      area that both have in common (of two cut boxes, that of the smaller): a whole box of half
//      its probability hides it.
// `threshold` 0: only the first step.
std::vector<InputDetection> merge_tiles(const std::vector<TileDetection>&,
                                        std::span<const Rect> tiles, const ImageSize&,
                                        const NmsKeys&, float threshold);

}  // namespace darknet
