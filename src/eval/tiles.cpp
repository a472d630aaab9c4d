#include "eval/tiles.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "core/error.h"
#include "core/index.h"
#include "detect/box_grid.h"
#include "detect/nms.h"
#include "detect/overlap.h"

namespace darknet {
namespace {

constexpr std::size_t kMaxTiles = 10'000;  // of one image
// A box within this share of the tile's side from a border touches it: about what a network's boxes
// of cut objects are off.
constexpr float kTouch = .01f;
constexpr float kRankOfCut = .5f;  // of its probability

std::vector<std::int64_t> starts(std::int64_t side, std::int64_t tile, float overlap) {
  const std::int64_t step = std::max<std::int64_t>(
      1, std::llround(static_cast<double>(tile) * (1 - static_cast<double>(overlap))));
  std::vector<std::int64_t> all;
  for (std::int64_t at = 0; at + tile < side; at += step) all.push_back(at);
  all.push_back(std::max<std::int64_t>(0, side - tile));
  return all;
}

// The inner borders of the tile that the box touches or crosses, a bit each.
using Cuts = unsigned;
constexpr Cuts kLeft = 1, kTop = 2, kRight = 4, kBottom = 8;

Cuts cuts_of(const Box& box, const Rect& tile, const ImageSize& image) {
  const auto w = static_cast<float>(image.width), h = static_cast<float>(image.height);
  const auto x0 = static_cast<float>(tile.x0), x1 = static_cast<float>(tile.x1);
  const auto y0 = static_cast<float>(tile.y0), y1 = static_cast<float>(tile.y1);
  const float near_x = kTouch * (x1 - x0), near_y = kTouch * (y1 - y0);
  Cuts cuts = 0;
  if (tile.x0 > 0 && box.left() * w <= x0 + near_x) cuts |= kLeft;
  if (tile.y0 > 0 && box.top() * h <= y0 + near_y) cuts |= kTop;
  if (tile.x1 < image.width && box.right() * w >= x1 - near_x) cuts |= kRight;
  if (tile.y1 < image.height && box.bottom() * h >= y1 - near_y) cuts |= kBottom;
  return cuts;
}

// Whether all of the box lies in the tile; beyond the image there is nothing to be seen.
bool holds(const Rect& tile, const Box& box, const ImageSize& image) {
  const auto w = static_cast<float>(image.width), h = static_cast<float>(image.height);
  return std::max(0.f, box.left() * w) >= static_cast<float>(tile.x0) &&
         std::max(0.f, box.top() * h) >= static_cast<float>(tile.y0) &&
         std::min(w, box.right() * w) <= static_cast<float>(tile.x1) &&
         std::min(h, box.bottom() * h) <= static_cast<float>(tile.y1);
}

bool shown_better_elsewhere(const Box& box, Cuts cuts, std::span<const Rect> tiles,
                            const ImageSize& image) {
  return std::any_of(tiles.begin(), tiles.end(), [&](const Rect& other) {
    if (!holds(other, box, image)) return false;
    const Cuts there = cuts_of(box, other, image);
    return there != cuts && (there & ~cuts) == 0;
  });
}

struct RankedBox {
  InputDetection detection;
  bool cut = false;
  float rank() const { return cut ? kRankOfCut * detection.probability : detection.probability; }
};

// Of pairs of which at least one is cut.
float common_share(const RankedBox& a, const RankedBox& b) {
  const Box &x = a.detection.box, &y = b.detection.box;
  const float of = a.cut && b.cut ? std::min(x.area(), y.area()) : (a.cut ? x : y).area();
  return of > 0 ? BoxPair<float>(x, y).intersection / of : 0;
}

// Those of one class that stay. Only pairs with a cut box are compared: the others went through the
// network's suppression.
class KeptBoxes {
 public:
  explicit KeptBoxes(std::size_t boxes) : grid_(boxes), all_(grid_.cells()), cut_(grid_.cells()) {}
  bool hide(const RankedBox& r, float threshold) const {
    const auto& others = r.cut ? all_ : cut_;
    return grid_.any_cell(r.detection.box, [&](std::size_t cell) {
      return std::ranges::any_of(
          others[cell], [&](const RankedBox* k) { return common_share(*k, r) > threshold; });
    });
  }
  void add(const RankedBox& r) {
    grid_.any_cell(r.detection.box, [&](std::size_t cell) {
      all_[cell].push_back(&r);
      if (r.cut) cut_[cell].push_back(&r);
      return false;
    });
  }

 private:
  using Cells = std::vector<std::vector<const RankedBox*>>;
  BoxGrid grid_;
  Cells all_, cut_;
};

std::vector<InputDetection> without_parts(std::vector<RankedBox> all, float threshold) {
  std::stable_sort(all.begin(), all.end(),
                   [](const RankedBox& a, const RankedBox& b) { return a.rank() > b.rank(); });
  std::map<std::int32_t, std::size_t> count;  // by class
  for (const RankedBox& r : all) ++count[r.detection.class_id];
  std::map<std::int32_t, KeptBoxes> kept;
  for (const auto& [class_id, boxes] : count) kept.emplace(class_id, boxes);
  std::vector<InputDetection> found;
  for (const RankedBox& r : all) {
    KeptBoxes& same = kept.at(r.detection.class_id);
    if (same.hide(r, threshold)) continue;
    same.add(r);
    found.push_back(r.detection);
  }
  return found;
}

// nms() measures distances too, for which both axes need one unit: the longer side.
void suppress_overlapping(std::vector<InputDetection>& found, const ImageSize& image,
                          const NmsKeys& keys, float threshold) {
  const auto longer = static_cast<float>(std::max(image.width, image.height));
  const float x = static_cast<float>(image.width) / longer,
              y = static_cast<float>(image.height) / longer;
  for (InputDetection& d : found) d.box = {d.box.x * x, d.box.y * y, d.box.w * x, d.box.h * y};
  nms(found, keys.nms_kind, threshold, keys.beta_nms);
  for (InputDetection& d : found) d.box = {d.box.x / x, d.box.y / y, d.box.w / x, d.box.h / y};
}

// Tiles, found again by where they lie.
class TileGrid {
 public:
  TileGrid(std::span<const Rect> tiles, const ImageSize& image)
      : tiles_(tiles), image_(image), grid_(tiles.size()), cells_(grid_.cells()) {
    for (std::size_t i = 0; i < tiles.size(); ++i)
      grid_.any_cell(box_of(tiles[i]), [&](std::size_t cell) {
        cells_[cell].push_back(i);
        return false;
      });
  }
  // Those that share pixels with this one or touch it, and so all that can hold one of its boxes.
  std::vector<Rect> neighbours(const Rect& of) const {
    std::vector<std::size_t> near;
    grid_.any_cell(box_of(of), [&](std::size_t cell) {
      near.insert(near.end(), cells_[cell].begin(), cells_[cell].end());
      return false;
    });
    std::ranges::sort(near);
    near.erase(std::unique(near.begin(), near.end()), near.end());
    std::vector<Rect> all;
    for (const std::size_t i : near)
      if (const Rect& t = tiles_[i];
          t.x0 <= of.x1 && of.x0 <= t.x1 && t.y0 <= of.y1 && of.y0 <= t.y1)
        all.push_back(t);
    return all;
  }

 private:
  // A pixel larger on each side, so that tiles that touch have a cell in common.
  Box box_of(const Rect& r) const {
    return from_tile({.5f, .5f, 1, 1}, {r.x0 - 1, r.y0 - 1, r.x1 + 1, r.y1 + 1}, image_);
  }

  std::span<const Rect> tiles_;
  ImageSize image_;
  BoxGrid grid_;
  std::vector<std::vector<std::size_t>> cells_;
};

}  // namespace

void check(const Tiling& t) {
  if (!t.on()) return;
  const auto in_range = [](std::int64_t side) { return side >= kMinTile && side <= kMaxTile; };
  if (!in_range(t.width) || !in_range(t.height))
    fail("tiles of ", t.width, " x ", t.height, ": their sides are ", kMinTile, " to ", kMaxTile,
         " pixels; that of the training images keeps the size of objects");
  if (!(t.overlap >= 0 && t.overlap <= kMaxTileOverlap))
    fail("tiles that overlap by ", t.overlap, ": it is the share of a tile that the next one ",
         "shows too, 0 to ", kMaxTileOverlap, "; with 1 they would all lie in one place");
}

std::vector<Rect> tiles_of(const Tiling& t, const ImageSize& image) {
  if (!t.on() || (image.width <= t.width && image.height <= t.height)) return {};
  const auto left = starts(image.width, t.width, t.overlap);
  const auto top = starts(image.height, t.height, t.overlap);
  if (left.size() * top.size() > kMaxTiles)
    fail(left.size() * top.size(), " tiles of ", t.width, " x ", t.height, " for an image of ",
         image.width, " x ", image.height, " are more than ", kMaxTiles,
         "; larger ones or less overlap");
  std::vector<Rect> tiles;
  for (const std::int64_t y : top)
    for (const std::int64_t x : left)
      tiles.push_back(
          {x, y, std::min(x + t.width, image.width), std::min(y + t.height, image.height)});
  return tiles;
}

Image cut_out(const Image& image, const Rect& r) {
  Image part(r.x1 - r.x0, r.y1 - r.y0, image.channels, image.depth);
  part.value_of_one = image.value_of_one;
  for (std::int64_t y = 0; y < part.height; ++y)
    std::copy_n(image.at(r.x0, r.y0 + y), part.width * part.channels * part.depth, part.at(0, y));
  return part;
}

Box from_tile(const Box& b, const Rect& t, const ImageSize& image) {
  const auto w = static_cast<float>(t.x1 - t.x0), h = static_cast<float>(t.y1 - t.y0);
  const auto all_w = static_cast<float>(image.width), all_h = static_cast<float>(image.height);
  return {(b.x * w + static_cast<float>(t.x0)) / all_w,
          (b.y * h + static_cast<float>(t.y0)) / all_h, b.w * w / all_w, b.h * h / all_h};
}

std::vector<InputDetection> merge_tiles(const std::vector<TileDetection>& found,
                                        std::span<const Rect> tiles, const ImageSize& image,
                                        const NmsKeys& keys, float threshold) {
  std::vector<InputDetection> whole;
  std::vector<RankedBox> all;
  const TileGrid grid(tiles, image);
  std::size_t near_tile = tiles.size();  // whose neighbours these are: a tile's boxes come together
  std::vector<Rect> near;
  for (const TileDetection& d : found) {
    const Cuts cuts =
        d.tile < tiles.size() ? cuts_of(d.detection.box, tiles[d.tile], image) : Cuts{0};
    if (cuts == 0) {
      whole.push_back(d.detection);
      continue;
    }
    if (d.tile != near_tile) near = grid.neighbours(tiles[near_tile = d.tile]);
    if (!shown_better_elsewhere(d.detection.box, cuts, near, image))
      all.push_back({d.detection, true});
  }
  if (threshold > 0) suppress_overlapping(whole, image, keys, threshold);
  for (const InputDetection& d : whole) all.push_back({d});
  std::vector<InputDetection> merged;
  if (threshold > 0) {
    merged = without_parts(std::move(all), threshold);
  } else {
    for (const RankedBox& r : all) merged.push_back(r.detection);
  }
  std::stable_sort(merged.begin(), merged.end(),
                   [](const auto& a, const auto& b) { return a.probability > b.probability; });
  return merged;
}

}  // namespace darknet
