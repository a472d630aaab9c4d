#include "dataset/augment.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

namespace darknet {
namespace {

constexpr float kMosaicMargin = .2f;  // Darknet: the point lies in the middle 60 %

// A part of the image, in its pixels, that fills the whole input; may reach beyond the image.
struct Crop {
  float left = 0, top = 0, right = 0, bottom = 0;
  bool mirrored = false;
};

// How far a side moves inwards (negative: outwards), as a share of the image: the jitter, and
// from resize a zoom between `resize` out and `resize` in (below 1: out only).
float random_side(const AugmentationKeys& a, Rng& rng) {
  const float down = a.resize > 1 ? 1 / a.resize : a.resize;
  const float up = a.resize < 1 ? 1 / a.resize : a.resize;
  const float min = (1 - 1 / down) / 2, max = (1 - 1 / up) / 2;
  const float move = rng.uniform(-a.jitter, a.jitter);
  return move + rng.uniform(min, a.resize < 1 ? 0 : max);
}

// Widens the crop to the input's aspect ratio.
void letter_box(Crop& c, float aspect) {
  const float w = c.right - c.left, h = c.bottom - c.top;
  const float extra_h = std::max(0.f, w / aspect - h) / 2,
              extra_w = std::max(0.f, h * aspect - w) / 2;
  c.top -= extra_h, c.bottom += extra_h;
  c.left -= extra_w, c.right += extra_w;
}

Crop random_crop(const Augmentation& a, Rng& rng, const Image& image, float aspect) {
  const auto w = static_cast<float>(image.width), h = static_cast<float>(image.height);
  Crop c{.left = w * random_side(a.head, rng), .top = h * random_side(a.head, rng)};
  c.right = w * (1 - random_side(a.head, rng)), c.bottom = h * (1 - random_side(a.head, rng));
  const auto keep_open = [](float& low, float& high) {  // jitter near 1 may turn the sides around
    if (high - low < 1) low = (low + high) / 2 - .5f, high = low + 1;
  };
  keep_open(c.left, c.right), keep_open(c.top, c.bottom);
  if (a.letter_box) letter_box(c, aspect);
  c.mirrored = rng.flip() && a.image.flip;
  return c;
}

void set_geometry(Placement& p, const Crop& c, float height, float width) {
  p.scale_x = (c.right - c.left) / width, p.shift_x = c.left;
  p.scale_y = (c.bottom - c.top) / height, p.shift_y = c.top;
  if (c.mirrored) p.scale_x = -p.scale_x, p.shift_x = c.right;
}

// Shifts what is shown by whole pixels of the input.
void shift(Placement& p, float dx, float dy) {
  p.shift_x += p.scale_x * dx, p.shift_y += p.scale_y * dy;
}

// Where the image's left and right (or upper and lower) ends come to lie, in input pixels.
std::array<float, 2> ends(float scale, float shift, float size) {
  const float a = -shift / scale, b = (size - shift) / scale;
  return {std::min(a, b), std::max(a, b)};
}

// On one axis: how far to shift the view so that the part [begin, end) shows the side of the
// image that lies at the mosaic's point, without the empty margin beyond the image (Darknet).
float mosaic_shift(std::array<float, 2> image, float begin, float end, float size, bool before) {
  const float length = end - begin;
  const float margin_low = std::clamp(image[0], 0.f, length);
  const float margin_high = std::clamp(size - image[1], 0.f, length);
  const float first = before ? size - length - margin_high : margin_low;  // shown at `begin`
  return first - begin;
}

Placement upright_placement(const Augmentation& a, Rng& rng, const Image& image,
                            std::int64_t height, std::int64_t width) {
  const auto w = static_cast<float>(width), h = static_cast<float>(height);
  Placement p{.region = {0, 0, width, height}};
  set_geometry(p, random_crop(a, rng, image, w / h), h, w);
  set_colour(p, a.image, rng);
  return p;
}

Rect mosaic_tile(int k, std::int64_t cut_x, std::int64_t cut_y, std::int64_t height,
                 std::int64_t width) {
  return {k % 2 ? cut_x : 0, k / 2 ? cut_y : 0, k % 2 ? width : cut_x, k / 2 ? height : cut_y};
}

}  // namespace

float random_scale(Rng& rng, float s) {
  const float scale = rng.uniform(1, s <= 0 ? 1 : std::max(s, 1 / s));
  return rng.flip() ? scale : 1 / scale;
}

void set_colour(Placement& p, const ImageAugmentation& a, Rng& rng) {
  p.hue = rng.uniform(-a.hue, a.hue);
  p.saturation = random_scale(rng, a.saturation);
  p.exposure = random_scale(rng, a.exposure);
}

Augmentation augmentation_of(const NetSettings& net, const AugmentationKeys& head) {
  return {net.augmentation, head, net.letter_box};
}

std::size_t images_of(Mixing m) {
  switch (m) {
    case Mixing::none:
      return 1;
    case Mixing::mosaic:
      return 4;
    case Mixing::mixup:
    case Mixing::cutmix:
      return 2;
  }
  return 1;
}

Mixing draw_mixing(const ImageAugmentation& a, Rng& rng) {
  if (!(a.mosaics() || a.mixes()) || !rng.flip()) return Mixing::none;
  return a.mosaics() ? Mixing::mosaic : Mixing::mixup;
}

Placement plain_placement(const Image& image, std::int64_t height, std::int64_t width,
                          bool with_bars) {
  return plain_placement(ImageSize{image.width, image.height}, height, width, with_bars);
}

Placement plain_placement(const ImageSize& image, std::int64_t height, std::int64_t width,
                          bool with_bars) {
  const auto w = static_cast<float>(width), h = static_cast<float>(height);
  Crop c{0, 0, static_cast<float>(image.width), static_cast<float>(image.height)};
  if (with_bars) letter_box(c, w / h);
  Placement p{.region = {0, 0, width, height}};
  set_geometry(p, c, h, w);
  return p;
}

void turn(Placement& p, float radians) {
  const float x = static_cast<float>(p.region.x0 + p.region.x1) / 2;
  const float y = static_cast<float>(p.region.y0 + p.region.y1) / 2;
  const float cosine = std::cos(radians), sine = std::sin(radians);
  const Placement from = p;
  p.scale_x = cosine * from.scale_x - sine * from.shear_y;
  p.shear_x = cosine * from.shear_x - sine * from.scale_y;
  p.scale_y = cosine * from.scale_y + sine * from.shear_x;
  p.shear_y = cosine * from.shear_y + sine * from.scale_x;
  p.shift_x += (from.scale_x - p.scale_x) * x + (from.shear_x - p.shear_x) * y;
  p.shift_y += (from.scale_y - p.scale_y) * y + (from.shear_y - p.shear_y) * x;
}

void turn_at_random(Placement& p, const ImageAugmentation& a, Rng& rng) {
  if (a.angle > 0) turn(p, rng.uniform(-a.angle, a.angle) * std::numbers::pi_v<float> / 180);
}

Placement random_placement(const Augmentation& a, Rng& rng, const Image& image, std::int64_t height,
                           std::int64_t width) {
  Placement p = upright_placement(a, rng, image, height, width);
  turn_at_random(p, a.image, rng);
  return p;
}

std::vector<Placement> mosaic_placements(const Augmentation& a, Rng& rng,
                                         std::span<const Image* const> images, std::int64_t height,
                                         std::int64_t width) {
  const auto w = static_cast<float>(width), h = static_cast<float>(height);
  const auto cut = [&](float size) {
    return static_cast<std::int64_t>(size * rng.uniform(kMosaicMargin, 1 - kMosaicMargin));
  };
  const std::int64_t cut_x = cut(w), cut_y = cut(h);
  std::vector<Placement> tiles;
  for (int k = 0; k < 4; ++k) {
    const Image& image = *images[to_size(k)];
    Placement p = upright_placement(a, rng, image, height, width);
    p.region = mosaic_tile(k, cut_x, cut_y, height, width);
    const auto x = ends(p.scale_x, p.shift_x, static_cast<float>(image.width));
    const auto y = ends(p.scale_y, p.shift_y, static_cast<float>(image.height));
    shift(p,
          mosaic_shift(x, static_cast<float>(p.region.x0), static_cast<float>(p.region.x1), w,
                       k % 2 == 0),
          mosaic_shift(y, static_cast<float>(p.region.y0), static_cast<float>(p.region.y1), h,
                       k / 2 == 0));
    turn_at_random(p, a.image, rng);
    tiles.push_back(p);
  }
  return tiles;
}

int reduction_for(const Placement& p) {
  const float scale = std::min(std::hypot(p.scale_x, p.shear_y), std::hypot(p.scale_y, p.shear_x));
  return scale >= 8 ? 8 : scale >= 4 ? 4 : scale >= 2 ? 2 : 1;
}

namespace {

// Of the places, on one axis of the image, that the centres of the region's pixels show.
struct ShownRange {
  double low, high;
  double terms;  // the sum of the absolute terms, which bounds the rounding error of warp()
};

struct PixelRange {  // [begin, end)
  std::int64_t begin, end;
};

ShownRange shown_range(float scale, float shift, float shear, const PixelRange& along,
                       const PixelRange& across) {
  const auto ends_of = [](float factor, const PixelRange& r) {
    const double a = double{factor} * (static_cast<double>(r.begin) + .5);
    const double b = double{factor} * (static_cast<double>(r.end) - .5);
    return std::array{std::min(a, b), std::max(a, b)};
  };
  const auto x = ends_of(scale, along), y = ends_of(shear, across);
  const auto most = [](const std::array<double, 2>& e) {
    return std::max(std::abs(e[0]), std::abs(e[1]));
  };
  return {shift + x[0] + y[0], shift + x[1] + y[1], std::abs(double{shift}) + most(x) + most(y)};
}

struct ShownRanges {
  ShownRange x, y;
};

ShownRanges shown_ranges(const Placement& p) {
  const PixelRange columns{p.region.x0, p.region.x1}, rows{p.region.y0, p.region.y1};
  return {shown_range(p.scale_x, p.shift_x, p.shear_x, columns, rows),
          shown_range(p.scale_y, p.shift_y, p.shear_y, rows, columns)};
}

}  // namespace

bool shows_outside(const Placement& p, const Image& image) {
  const auto inside = [](const ShownRange& r, std::int64_t size) {
    const double error = 1e-6 * r.terms;  // of warp(), in float
    return r.low >= error && r.high <= static_cast<double>(size) - error;
  };
  const ShownRanges shown = shown_ranges(p);
  return !(inside(shown.x, image.width) && inside(shown.y, image.height));
}

Rect shown_part(const Placement& p, const Image& image, int reduction) {
  constexpr double kMostTerms = 1 << 20;  // up to here an error of warp() is a part of a pixel
  constexpr std::int64_t kLeast = 16;     // leaving less than 1/16 out saves nothing
  const ShownRanges shown = shown_ranges(p);
  if (!(shown.x.terms < kMostTerms && shown.y.terms < kMostTerms)) return {};
  // Sampling reads two neighbours.
  const auto pixels = [margin = 2 * reduction](const ShownRange& r, std::int64_t size) {
    const auto begin =
        std::clamp<std::int64_t>(std::llround(std::floor(r.low)) - margin, 0, size - 1);
    const auto end = std::llround(std::ceil(r.high)) + margin;
    return PixelRange{begin, std::clamp<std::int64_t>(end, begin + 1, size)};
  };
  const PixelRange x = pixels(shown.x, image.width), y = pixels(shown.y, image.height);
  const Rect part{x.begin, y.begin, x.end, y.end};
  const std::int64_t left_out =
      image.width * image.height - (part.x1 - part.x0) * (part.y1 - part.y0);
  return kLeast * left_out < image.width * image.height ? Rect{} : part;
}

namespace {

WarpArguments warp_of(const Image& image, const Placement& p, View<float> out) {
  return {.pixels = image.pixels.data(),
          .width = image.width,
          .height = image.height,
          .out = out,
          .placement = p,
          .depth = image.depth,
          .value_of_one = image.value_of_one};
}

}  // namespace

void place(const Stream& stream, const Image& image, const Placement& p, View<float> out,
           float value_of_one) {
  WarpArguments a = warp_of(image, p, out);
  if (value_of_one > 0) a.value_of_one = value_of_one;
  warp(stream, a);
}

void place(const Stream& stream, const DecodedImage& image, const Placement& p, View<float> out) {
  warp(stream, warp_of(image.image.pixels.data(), image, p, out));
}

WarpArguments warp_of(const std::uint8_t* pixels, const DecodedImage& image, const Placement& p,
                      View<float> out) {
  WarpArguments a = warp_of(image.image, p, out);
  a.pixels = pixels;
  if (!is_empty(image.part)) a.width = image.width, a.height = image.height, a.stored = image.part;
  const auto reduction = static_cast<float>(image.reduction);
  a.placement.scale_x /= reduction, a.placement.shift_x /= reduction;
  a.placement.scale_y /= reduction, a.placement.shift_y /= reduction;
  a.placement.shear_x /= reduction, a.placement.shear_y /= reduction;
  std::copy(image.outside.begin(), image.outside.end(), a.fill);
  a.set_count();
  return a;
}

namespace {

struct Point {  // of the input, in pixels
  float x = 0, y = 0;
};
struct Edges {  // in pixels of the input
  float x0 = 0, y0 = 0, x1 = 0, y1 = 0;
};

// Where the placement puts a point of the image.
Point placed(const Placement& p, float image_x, float image_y) {
  const float x = image_x - p.shift_x, y = image_y - p.shift_y;
  if (p.shear_x == 0 && p.shear_y == 0) return {x / p.scale_x, y / p.scale_y};
  const float area = p.scale_x * p.scale_y - p.shear_x * p.shear_y;
  return {(p.scale_y * x - p.shear_x * y) / area, (p.scale_x * y - p.shear_y * x) / area};
}

// What of a convex polygon lies on one side of a line: sign * coordinate >= sign * at (Sutherland
// and Hodgman, 1974).
std::vector<Point> cut(const std::vector<Point>& polygon, float Point::*axis, float at,
                       float sign) {
  std::vector<Point> kept;
  for (std::size_t i = 0; i < polygon.size(); ++i) {
    const Point &a = polygon[i], &b = polygon[(i + 1) % polygon.size()];
    const float da = sign * (a.*axis - at), db = sign * (b.*axis - at);
    if (da >= 0) kept.push_back(a);
    if ((da < 0) == (db < 0)) continue;
    const float t = da / (da - db);
    Point crossing{a.x + t * (b.x - a.x), a.y + t * (b.y - a.y)};
    crossing.*axis = at;
    kept.push_back(crossing);
  }
  return kept;
}

Edges bounds_of(const std::vector<Point>& points) {
  if (points.empty()) return {};
  Edges e{points[0].x, points[0].y, points[0].x, points[0].y};
  for (const Point& p : points) {
    e.x0 = std::min(e.x0, p.x), e.x1 = std::max(e.x1, p.x);
    e.y0 = std::min(e.y0, p.y), e.y1 = std::max(e.y1, p.y);
  }
  return e;
}

// The bounds of what the part shows of a box, whose edges are those of the image in its pixels.
Edges shown_of(const Edges& box, const Placement& p) {
  std::vector<Point> corners{placed(p, box.x0, box.y0), placed(p, box.x1, box.y0),
                             placed(p, box.x1, box.y1), placed(p, box.x0, box.y1)};
  const auto x0 = static_cast<float>(p.region.x0), x1 = static_cast<float>(p.region.x1);
  const auto y0 = static_cast<float>(p.region.y0), y1 = static_cast<float>(p.region.y1);
  if (p.shear_x != 0 || p.shear_y != 0) {
    corners = cut(cut(corners, &Point::x, x0, 1), &Point::x, x1, -1);
    return bounds_of(cut(cut(corners, &Point::y, y0, 1), &Point::y, y1, -1));
  }
  const Edges e = bounds_of(corners);
  return {std::max(e.x0, x0), std::max(e.y0, y0), std::min(e.x1, x1), std::min(e.y1, y1)};
}

}  // namespace

void place_truths(std::span<const Truth> truths, const Image& image, const Placement& p,
                  std::int64_t height, std::int64_t width, std::vector<Truth>& to) {
  const auto iw = static_cast<float>(image.width), ih = static_cast<float>(image.height);
  const auto w = static_cast<float>(width), h = static_cast<float>(height);
  for (const Truth& t : truths) {
    const Edges e =
        shown_of({t.box.left() * iw, t.box.top() * ih, t.box.right() * iw, t.box.bottom() * ih}, p);
    if (!(e.x1 - e.x0 >= 1 && e.y1 - e.y0 >= 1)) continue;
    to.push_back(
        {{(e.x0 + e.x1) / 2 / w, (e.y0 + e.y1) / 2 / h, (e.x1 - e.x0) / w, (e.y1 - e.y0) / h},
         t.class_id});
  }
}

Box to_input(const Box& b, const Placement& p, const ImageSize& image, std::int64_t height,
             std::int64_t width) {
  const auto pw = static_cast<float>(image.width), ph = static_cast<float>(image.height);
  const auto w = static_cast<float>(width), h = static_cast<float>(height);
  return {(b.x * pw - p.shift_x) / p.scale_x / w, (b.y * ph - p.shift_y) / p.scale_y / h,
          b.w * pw / std::abs(p.scale_x) / w, b.h * ph / p.scale_y / h};
}

Box to_image(const Box& b, const Placement& p, std::int64_t image_width, std::int64_t image_height,
             std::int64_t height, std::int64_t width) {
  const auto pw = static_cast<float>(image_width), ph = static_cast<float>(image_height);
  const auto w = static_cast<float>(width), h = static_cast<float>(height);
  return {(b.x * w * p.scale_x + p.shift_x) / pw, (b.y * h * p.scale_y + p.shift_y) / ph,
          b.w * w * std::abs(p.scale_x) / pw, b.h * h * p.scale_y / ph};
}

}  // namespace darknet
