#include "dataset/augment.h"
#include "core/index.h"
#include "dataset/input_truths.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <numbers>

namespace darknet {
namespace {

// Black with three boxes, one in each channel; truths of classes 0 to 2.
struct Scene {
  explicit Scene(Rng& rng)
      : decoded{.image = Image(40 + rng.below(160), 40 + rng.below(160), 3), .outside = {}} {
    Image& image = decoded.image;
    for (int c = 0; c < 3; ++c) {
      const std::int64_t w = 4 + rng.below(image.width / 2), h = 4 + rng.below(image.height / 2);
      const std::int64_t x0 = rng.below(image.width - w + 1), y0 = rng.below(image.height - h + 1);
      for (std::int64_t y = y0; y < y0 + h; ++y)
        for (std::int64_t x = x0; x < x0 + w; ++x) image.at(x, y)[c] = 255;
      const auto iw = static_cast<float>(image.width), ih = static_cast<float>(image.height);
      truths.push_back({{(static_cast<float>(x0) + static_cast<float>(w) / 2) / iw,
                         (static_cast<float>(y0) + static_cast<float>(h) / 2) / ih,
                         static_cast<float>(w) / iw, static_cast<float>(h) / ih},
                        c});
    }
  }
  DecodedImage decoded;
  std::vector<Truth> truths;
};

struct Input {
  Input(std::int64_t h, std::int64_t w)
      : pixels(to_size(h * w * 3)), view{pixels.data(), {1, h, w, 3}, 3} {}
  std::vector<float> pixels;
  View<float> view;
};

// Bounds of what one channel shows within the part, in input pixels; empty where nothing.
struct Seen {
  std::int64_t x0 = 1 << 20, y0 = 1 << 20, x1 = -1, y1 = -1;
  bool thin() const { return x1 - x0 <= 2 || y1 - y0 <= 2; }
};

Seen seen_in(const Input& input, const Rect& part, int channel) {
  Seen s;
  for (std::int64_t y = part.y0; y < part.y1; ++y)
    for (std::int64_t x = part.x0; x < part.x1; ++x) {
      if (input.view.at(input.view.pixel(0, y, x), channel) <= .5f) continue;
      s.x0 = std::min(s.x0, x), s.x1 = std::max(s.x1, x + 1);
      s.y0 = std::min(s.y0, y), s.y1 = std::max(s.y1, y + 1);
    }
  return s;
}

struct Offsets {  // of truths from what is seen, in input pixels
  double x = 0, y = 0;
  std::int64_t sides = 0;
  // Half a pixel, where centres and corners are mixed up, is found.
  void expect_none(double limit = .05) const {
    EXPECT_LT(std::abs(x / static_cast<double>(sides)), limit);
    EXPECT_LT(std::abs(y / static_cast<double>(sides)), limit);
  }
};

// Every truth lies where its colour is seen, and no box is seen without a truth.
void expect_truths_where_seen(const Input& input, const Rect& part,
                              const std::vector<Truth>& placed, Offsets& offsets) {
  const auto w = static_cast<float>(input.view.shape.w), h = static_cast<float>(input.view.shape.h);
  for (int c = 0; c < 3; ++c) {
    const Seen seen = seen_in(input, part, c);
    const auto at =
        std::find_if(placed.begin(), placed.end(), [&](const Truth& t) { return t.class_id == c; });
    if (at == placed.end()) {
      ASSERT_TRUE(seen.thin()) << "channel " << c << " is seen and has no truth";
      continue;
    }
    ASSERT_NEAR(at->box.left() * w, static_cast<float>(seen.x0), 1.01f);
    ASSERT_NEAR(at->box.right() * w, static_cast<float>(seen.x1), 1.01f);
    ASSERT_NEAR(at->box.top() * h, static_cast<float>(seen.y0), 1.01f);
    ASSERT_NEAR(at->box.bottom() * h, static_cast<float>(seen.y1), 1.01f);
    offsets.x += 2 * at->box.x * w - static_cast<float>(seen.x0 + seen.x1);
    offsets.y += 2 * at->box.y * h - static_cast<float>(seen.y0 + seen.y1);
    offsets.sides += 2;
  }
}

// The sides of a truth in the input, left to bottom, and of what is seen.
std::array<float, 4> sides_of(const Box& b, const Shape& input) {
  const auto w = static_cast<float>(input.w), h = static_cast<float>(input.h);
  return {b.left() * w, b.top() * h, b.right() * w, b.bottom() * h};
}
std::array<float, 4> sides_of(const Seen& s) {
  return {static_cast<float>(s.x0), static_cast<float>(s.y0), static_cast<float>(s.x1),
          static_cast<float>(s.y1)};
}

// The same of a turned image: nothing is seen outside of a truth, and where the object is more than
// a line, all of the truth is needed. Bilinear sampling rounds corners off.
void expect_turned_truths(const Scene& scene, const Placement& p, const Input& input,
                          Offsets& offsets) {
  const Image& image = scene.decoded.image;
  const Shape& shape = input.view.shape;
  std::vector<Truth> placed;
  place_truths(scene.truths, image, p, shape.h, shape.w, placed);
  const float x = std::hypot(p.scale_x, p.shear_y), y = std::hypot(p.scale_y, p.shear_x);
  for (int c = 0; c < 3; ++c) {
    const Seen seen = seen_in(input, p.region, c);
    const auto at = std::ranges::find(placed, c, &Truth::class_id);
    if (at == placed.end()) {
      ASSERT_TRUE(seen.thin()) << "channel " << c << " is seen and has no truth";
      continue;
    }
    const Box& object = scene.truths[to_size(c)].box;
    const float thickness = std::min(object.w * static_cast<float>(image.width) / x,
                                     object.h * static_cast<float>(image.height) / y);
    const auto truth = sides_of(at->box, shape), shown = sides_of(seen);
    for (std::size_t k = 0; k < 4 && seen.x1 >= 0; ++k)
      ASSERT_LE((k < 2 ? -1.f : 1.f) * (shown[k] - truth[k]), 1.01f) << k;
    if (thickness < 6 || std::min(at->box.w * static_cast<float>(shape.w),
                                  at->box.h * static_cast<float>(shape.h)) < 6)
      continue;
    const float apart = 2 + std::max(std::max(x, y), 1.f) / std::min(x, y);
    for (std::size_t k = 0; k < 4; ++k) ASSERT_NEAR(truth[k], shown[k], apart) << k;
    offsets.x += truth[0] + truth[2] - shown[0] - shown[2];
    offsets.y += truth[1] + truth[3] - shown[1] - shown[3];
    offsets.sides += 2;
  }
}

Augmentation geometry(Rng& rng) {
  Augmentation a;
  a.head = {.jitter = rng.uniform(0, .4f), .resize = rng.uniform(.6f, 1.8f)};
  a.image = {.flip = rng.flip()};
  a.letter_box = rng.flip();
  return a;
}

TEST(Augment, AnImageIsReducedNoFurtherThanItIsShown) {
  const auto reduction = [](float x, float y) {
    return reduction_for({.scale_x = x, .scale_y = y});
  };
  EXPECT_EQ(reduction(1.99f, 5), 1);
  EXPECT_EQ(reduction(-2, 3), 2);  // mirrored
  EXPECT_EQ(reduction(4, 3.99f), 2);
  EXPECT_EQ(reduction(7, -4.f * -1), 4);
  EXPECT_EQ(reduction(-100, 100), 8);
}

TEST(Augment, WhatLiesOutsideIsKnownBeforeItIsShown) {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    Rng rng(seed);
    const Scene scene(rng);
    Augmentation a = geometry(rng);
    if (rng.flip()) a.image.angle = 30;
    const Placement p = random_placement(a, rng, scene.decoded.image, 32, 32);
    DecodedImage marked{.image = scene.decoded.image, .outside = {-9, -9, -9}};
    Input input(32, 32);
    place({.threads = 1}, marked, p, input.view);
    bool seen = false;
    for (std::int64_t i = 0; i < 32 * 32; ++i) seen |= input.view.at(i, 0) == -9;
    EXPECT_TRUE(!seen || shows_outside(p, scene.decoded.image)) << seed;
  }
  const Image image(40, 20, 3);
  EXPECT_FALSE(shows_outside(plain_placement(image, 32, 32, false), image));
  EXPECT_TRUE(shows_outside(plain_placement(image, 32, 32, true), image));
}

// Its pixels alone, in the place of the whole image's.
DecodedImage part_of(const DecodedImage& whole, const Rect& part) {
  const Image& from = whole.image;
  DecodedImage to{.image = Image(part.x1 - part.x0, part.y1 - part.y0, from.channels),
                  .outside = whole.outside,
                  .reduction = whole.reduction,
                  .part = part,
                  .width = from.width,
                  .height = from.height};
  for (std::int64_t y = 0; y < to.image.height; ++y)
    std::copy_n(from.at(part.x0, part.y0 + y), to.image.width * from.channels, to.image.at(0, y));
  return to;
}

std::vector<float> input_of(const DecodedImage& image, const Placement& p, std::int64_t side) {
  const std::int64_t channels = image.image.channels;
  std::vector<float> pixels(to_size(side * side * channels), -7.f);
  place({.threads = 1}, image, p, {pixels.data(), {1, side, side, channels}, channels});
  return pixels;
}

TEST(Augment, ThePartThatIsShownGivesTheSameInput) {
  constexpr std::int64_t kSide = 40;
  int parts = 0, inputs = 0;
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    Rng rng(seed);
    DecodedImage whole{.image = Image(1 + rng.below(120), 1 + rng.below(120), seed % 4 ? 3 : 2),
                       .outside = {-1, -2, -3},
                       .reduction = 1 << rng.below(4)};
    for (auto& v : whole.image.pixels) v = static_cast<std::uint8_t>(rng.below(256));
    Image size;
    size.width = whole.image.width * whole.reduction - rng.below(whole.reduction);
    size.height = whole.image.height * whole.reduction - rng.below(whole.reduction);
    Augmentation a = geometry(rng);
    a.image.angle = rng.flip() ? 0 : 90;
    for (const Placement& p :
         mosaic_placements(a, rng, std::vector<const Image*>(4, &size), kSide, kSide)) {
      const Rect shown = shown_part(p, size, whole.reduction);
      ++inputs;
      if (is_empty(shown)) continue;
      const auto up = [r = std::int64_t{whole.reduction}](std::int64_t n) {
        return (n + r - 1) / r;
      };
      const Rect part{shown.x0 / whole.reduction, shown.y0 / whole.reduction, up(shown.x1),
                      up(shown.y1)};
      ++parts;
      ASSERT_EQ(input_of(part_of(whole, part), p, kSide), input_of(whole, p, kSide)) << seed;
    }
  }
  EXPECT_GT(parts, inputs / 3);
}

TEST(Augment, APartHasLittleMoreThanIsShown) {
  Image size;
  size.width = 640, size.height = 480;
  const Placement p{
      .region = {10, 20, 30, 50}, .scale_x = 2, .shift_x = 100, .scale_y = -3, .shift_y = 400};
  EXPECT_EQ(shown_part(p, size, 1), (Rect{119, 249, 161, 341}));
  EXPECT_EQ(shown_part(p, size, 2), (Rect{117, 247, 163, 343}));
  EXPECT_TRUE(is_empty(shown_part(plain_placement(size, 96, 96, false), size, 1)));
  EXPECT_TRUE(is_empty(shown_part({.region = {0, 0, 9, 9}, .shift_x = 3e7f}, size, 1)));
  EXPECT_TRUE(is_empty(shown_part({.region = {0, 0, 9, 9}, .scale_x = std::nanf("")}, size, 1)));
}

TEST(Augment, ATruthIsWhereItsBoxIsSeen) {
  Offsets offsets;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    const Scene scene(rng);
    const std::int64_t h = 32 * (1 + rng.below(4)), w = 32 * (1 + rng.below(4));
    const Placement p = random_placement(geometry(rng), rng, scene.decoded.image, h, w);
    Input input(h, w);
    place({.threads = 1}, scene.decoded, p, input.view);
    std::vector<Truth> placed;
    place_truths(scene.truths, scene.decoded.image, p, h, w, placed);
    expect_truths_where_seen(input, p.region, placed, offsets);
    if (HasFatalFailure()) return;
  }
  offsets.expect_none();
}

TEST(Augment, ATruthOfAMosaicIsWhereItsBoxIsSeen) {
  Offsets offsets;
  std::int64_t found = 0;
  for (std::uint64_t seed = 0; seed < 150; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    const std::vector<Scene> scenes{Scene(rng), Scene(rng), Scene(rng), Scene(rng)};
    std::vector<const Image*> images;
    for (const Scene& s : scenes) images.push_back(&s.decoded.image);
    const std::int64_t h = 32 * (2 + rng.below(3)), w = 32 * (2 + rng.below(3));
    const auto parts = mosaic_placements(geometry(rng), rng, images, h, w);
    Input input(h, w);
    for (std::size_t k = 0; k < 4; ++k)
      place({.threads = 1}, scenes[k].decoded, parts[k], input.view);
    for (std::size_t k = 0; k < 4; ++k) {
      std::vector<Truth> placed;
      place_truths(scenes[k].truths, *images[k], parts[k], h, w, placed);
      expect_truths_where_seen(input, parts[k].region, placed, offsets);
      if (HasFatalFailure()) return;
      found += std::ssize(placed);
    }
  }
  offsets.expect_none();
  EXPECT_GT(found, 600);  // of 1800: a mosaic shows parts, not nothing
}

// Of a turned box: the bounds of what is seen of it.
TEST(Augment, ATruthOfATurnedImageBoundsWhatIsSeen) {
  Offsets offsets;
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    const std::vector<Scene> scenes{Scene(rng), Scene(rng), Scene(rng), Scene(rng)};
    std::vector<const Image*> images;
    for (const Scene& s : scenes) images.push_back(&s.decoded.image);
    const std::int64_t h = 32 * (2 + rng.below(3)), w = 32 * (2 + rng.below(3));
    Augmentation a = geometry(rng);
    a.image.angle = rng.flip() ? 15 : 180;
    const auto parts = seed % 2 ? mosaic_placements(a, rng, images, h, w)
                                : std::vector{random_placement(a, rng, *images[0], h, w)};
    Input input(h, w);
    for (std::size_t k = 0; k < parts.size(); ++k) {
      EXPECT_NE(parts[k].shear_x, 0);
      place({.threads = 1}, scenes[k].decoded, parts[k], input.view);
      expect_turned_truths(scenes[k], parts[k], input, offsets);
      if (HasFatalFailure()) return;
    }
  }
  offsets.expect_none(.15);
  EXPECT_GT(offsets.sides, 1000);  // of 4500
}

// A square in the middle, turned by an eighth of a circle, has sqrt(2) times its width.
TEST(Augment, ATurnIsAboutTheMiddleAndInTheImagesProportions) {
  const Image image(200, 100, 3);
  const std::vector<Truth> square{{{.5f, .5f, .2f, .4f}, 0}};  // 40 x 40 pixels
  for (const bool mirrored : {false, true}) {
    Placement p = plain_placement(image, 100, 100, false);
    if (mirrored) p.scale_x = -p.scale_x, p.shift_x = 200;
    turn(p, std::numbers::pi_v<float> / 4);
    std::vector<Truth> placed;
    place_truths(square, image, p, 100, 100, placed);
    ASSERT_EQ(placed.size(), 1u);
    EXPECT_NEAR(placed[0].box.x, .5, 1e-5);
    EXPECT_NEAR(placed[0].box.y, .5, 1e-5);
    EXPECT_NEAR(placed[0].box.w, .2 * std::numbers::sqrt2, 1e-5);
    EXPECT_NEAR(placed[0].box.h, .4 * std::numbers::sqrt2, 1e-5);
    EXPECT_EQ(reduction_for(p), 1);  // 2 pixels of the image to the right, 1 down
  }
  Placement coarse = plain_placement(image, 40, 40, false);
  turn(coarse, 1);
  EXPECT_EQ(reduction_for(coarse), 2);  // 5 and 2.5
}

TEST(Augment, AMosaicsPartsFillTheInputAndMeetInItsMiddle) {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    Rng rng(seed);
    const Scene scene(rng);
    const std::vector<const Image*> images(4, &scene.decoded.image);
    const auto p = mosaic_placements({.image = {.flip = false}, .head = {.jitter = .3f}}, rng,
                                     images, 96, 128);
    const std::int64_t x = p[0].region.x1, y = p[0].region.y1;
    EXPECT_TRUE(x >= 25 && x <= 103 && y >= 19 && y <= 77) << x << " " << y;
    const Rect expected[] = {{0, 0, x, y}, {x, 0, 128, y}, {0, y, x, 96}, {x, y, 128, 96}};
    for (std::size_t k = 0; k < 4; ++k) {
      EXPECT_EQ(p[k].region.x0, expected[k].x0);
      EXPECT_EQ(p[k].region.x1, expected[k].x1);
      EXPECT_EQ(p[k].region.y0, expected[k].y0);
      EXPECT_EQ(p[k].region.y1, expected[k].y1);
    }
  }
}

TEST(Augment, PlainPlacementStretchesOrKeepsTheAspectRatio) {
  const Image wide(200, 100, 3), tall(30, 90, 3);
  const Placement stretched = plain_placement(wide, 64, 96, false);
  EXPECT_FLOAT_EQ(stretched.scale_x, 200 / 96.f);
  EXPECT_FLOAT_EQ(stretched.scale_y, 100 / 64.f);
  EXPECT_EQ(stretched.shift_x, 0);
  for (const Image* image : {&wide, &tall})
    for (const auto& [h, w] : {std::pair{64, 96}, {96, 64}, {64, 64}}) {
      const Placement p = plain_placement(*image, h, w, true);
      EXPECT_FLOAT_EQ(p.scale_x, p.scale_y);
      const float sx = static_cast<float>(image->width) / static_cast<float>(w);
      const float sy = static_cast<float>(image->height) / static_cast<float>(h);
      EXPECT_FLOAT_EQ(p.scale_x, std::max(sx, sy));  // the whole image is seen
      EXPECT_NEAR(p.scale_x * static_cast<float>(w) / 2 + p.shift_x,
                  static_cast<float>(image->width) / 2, 1e-3);  // in the middle
      EXPECT_NEAR(p.scale_y * static_cast<float>(h) / 2 + p.shift_y,
                  static_cast<float>(image->height) / 2, 1e-3);
    }
}

TEST(Augment, ToImageInvertsThePlacement) {
  Rng rng(5);
  for (int trial = 0; trial < 200; ++trial) {
    const Image image(20 + rng.below(300), 20 + rng.below(300), 3);
    const std::int64_t h = 32 + rng.below(200), w = 32 + rng.below(200);
    Placement p = trial % 3 ? random_placement(geometry(rng), rng, image, h, w)
                            : plain_placement(image, h, w, rng.flip());
    p.region = {-100000, -100000, 100000, 100000};  // nothing is clipped
    const Box box{rng.uniform(), rng.uniform(), rng.uniform(.2f, 1), rng.uniform(.2f, 1)};
    std::vector<Truth> placed;
    place_truths(std::vector{Truth{box, 3}}, image, p, h, w, placed);
    ASSERT_EQ(placed.size(), 1u);
    EXPECT_EQ(placed[0].class_id, 3);
    const Box back = to_image(placed[0].box, p, image.width, image.height, h, w);
    EXPECT_NEAR(back.x, box.x, 1e-4);
    EXPECT_NEAR(back.y, box.y, 1e-4);
    EXPECT_NEAR(back.w, box.w, 1e-4);
    EXPECT_NEAR(back.h, box.h, 1e-4);
  }
}

// What labels alone say of the input is what the loader puts there.
TEST(Augment, TruthsAtTheInputAreThoseOfThePlainPlacement) {
  const Image image(320, 160, 3);
  const std::vector<Truth> truths{{{.5f, .25f, .125f, .25f}, 2}, {{.1f, .9f, .1f, .1f}, 0}};
  for (const bool bars : {false, true}) {
    std::vector<Truth> placed;
    place_truths(truths, image, plain_placement(image, 96, 128, bars), 96, 128, placed);
    const auto at_input = truths_at_input(truths, {320, 160}, {128, 96, bars});
    ASSERT_EQ(at_input.size(), placed.size());
    for (std::size_t i = 0; i < placed.size(); ++i) {
      EXPECT_EQ(at_input[i].class_id, placed[i].class_id);
      EXPECT_NEAR(at_input[i].box.x, placed[i].box.x, 1e-6);
      EXPECT_NEAR(at_input[i].box.y, placed[i].box.y, 1e-6);
      EXPECT_NEAR(at_input[i].box.w, placed[i].box.w, 1e-6);
      EXPECT_NEAR(at_input[i].box.h, placed[i].box.h, 1e-6);
    }
  }
  const Box box = truths_at_input(truths, {320, 160}, {128, 96, true})[0].box;
  EXPECT_FLOAT_EQ(box.w * 128, 16);  // 40 x 40 pixels, 128 / 320 as large
  EXPECT_FLOAT_EQ(box.h * 96, 16);
  EXPECT_FLOAT_EQ(box.y * 96, 16 + 16);  // a bar of 16 pixels above, and 40 pixels of the image
}

TEST(Augment, TruthsAreClippedAndThoseBelowAPixelDropped) {
  const Image image(100, 100, 3);
  const Placement p{.region = {10, 10, 60, 60}};                  // one to one, a part of 100 x 100
  const std::vector<Truth> truths{{{.1f, .3f, .1f, .2f}, 0},      // x 5..15, y 20..40
                                  {{.8f, .8f, .1f, .1f}, 1},      // outside
                                  {{.3f, .3f, .009f, .2f}, 2},    // .9 pixels wide
                                  {{.095f, .3f, .025f, .2f}, 3},  // .75 pixels inside
                                  {{.3f, .3f, .011f, .2f}, 4}};
  std::vector<Truth> placed;
  place_truths(truths, image, p, 100, 100, placed);
  ASSERT_EQ(placed.size(), 2u);
  EXPECT_EQ(placed[0].class_id, 0);
  EXPECT_NEAR(placed[0].box.left(), .1f, 1e-5);
  EXPECT_NEAR(placed[0].box.right(), .15f, 1e-5);
  EXPECT_NEAR(placed[0].box.h, .2f, 1e-5);
  EXPECT_EQ(placed[1].class_id, 4);
}

TEST(Augment, SettingsBoundWhatIsDrawn) {
  const Image image(100, 80, 3);
  int mirrored = 0;
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    Rng rng(seed);
    const Augmentation a{.image = {.saturation = 1.5f, .exposure = 2, .hue = .1f, .flip = true},
                         .head = {.jitter = .2f}};
    const Placement p = random_placement(a, rng, image, 64, 64);
    mirrored += p.scale_x < 0;
    const float left = p.scale_x < 0 ? p.shift_x + 64 * p.scale_x : p.shift_x;
    const float right = left + 64 * std::abs(p.scale_x);
    EXPECT_TRUE(left >= -20 && left <= 20 && right >= 80 && right <= 120);
    EXPECT_TRUE(p.shift_y >= -16 && p.shift_y <= 16);
    EXPECT_LE(std::abs(p.hue), .1f);
    EXPECT_TRUE(p.saturation >= 1 / 1.5f && p.saturation <= 1.5f);
    EXPECT_TRUE(p.exposure >= .5f && p.exposure <= 2);
    Rng still(seed);
    const Placement none =
        random_placement({.image = {.flip = false}, .head = {.jitter = 0}}, still, image, 64, 64);
    EXPECT_FLOAT_EQ(none.scale_x, 100 / 64.f);
    EXPECT_EQ(none.shift_x, 0);
    EXPECT_EQ(none.hue, 0);
    EXPECT_EQ(none.exposure, 1);
  }
  EXPECT_NEAR(mirrored, 200, 50);
}

TEST(Augment, ExtremeSettingsLeaveAnOpenCrop) {
  const Image dot(1, 1, 3), line(20000, 1, 3);
  for (const Image* image : {&dot, &line})
    for (std::uint64_t seed = 0; seed < 200; ++seed) {
      Rng rng(seed);
      const Augmentation a{.image = {.flip = false},
                           .head = {.jitter = .99f, .resize = seed % 2 ? 100.f : .01f},
                           .letter_box = true};
      const Placement p = random_placement(a, rng, *image, 32, 32);
      EXPECT_GT(std::abs(p.scale_x), 0);
      EXPECT_GT(p.scale_y, 0);
      EXPECT_TRUE(std::isfinite(p.shift_x) && std::isfinite(p.scale_y));
    }
}

}  // namespace
}  // namespace darknet
