#include "kernels/warp.h"
#include "core/index.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "core/rng.h"
#include "tests/image_samples.h"

namespace darknet {
namespace {
using namespace testing_images;

using Colour3 = std::array<double, 3>;

// The usual hexcone, branch by branch; hue in revolutions.
Colour3 to_hsv(const Colour3& c) {
  const double max = std::max({c[0], c[1], c[2]}), range = max - std::min({c[0], c[1], c[2]});
  double h = 0;
  if (range > 0 && max == c[0]) h = std::fmod((c[1] - c[2]) / range + 6, 6);
  if (range > 0 && max == c[1] && max != c[0]) h = (c[2] - c[0]) / range + 2;
  if (range > 0 && max == c[2] && max != c[0] && max != c[1]) h = (c[0] - c[1]) / range + 4;
  return {h / 6, max > 0 ? range / max : 0, max};
}

Colour3 to_rgb(const Colour3& hsv) {
  const auto [h, s, v] = hsv;
  const int sector = static_cast<int>(std::floor(h * 6)) % 6;
  const double f = h * 6 - std::floor(h * 6), p = v * (1 - s), q = v * (1 - s * f),
               t = v * (1 - s * (1 - f));
  const Colour3 sectors[] = {{v, t, p}, {q, v, p}, {p, v, t}, {p, q, v}, {t, p, v}, {v, p, q}};
  return sectors[sector];
}

Colour3 recoloured(const Colour3& c, const WarpArguments& a) {
  Colour3 hsv = to_hsv(c);
  hsv[0] = hsv[0] + a.placement.hue - std::floor(hsv[0] + a.placement.hue);
  hsv[1] = std::min(1., hsv[1] * a.placement.saturation);
  hsv[2] = std::min(1., hsv[2] * a.placement.exposure);
  return to_rgb(hsv);
}

// Bilinear between pixel centres at +.5; the outermost half pixel repeats the edge.
double sampled(const WarpArguments& a, int channels, double x, double y, int c) {
  const auto value = [&](std::int64_t i, std::int64_t j) {
    i = std::clamp<std::int64_t>(i, 0, a.width - 1),
    j = std::clamp<std::int64_t>(j, 0, a.height - 1);
    return a.pixels[(j * a.width + i) * channels + c] / 255.;
  };
  const double fx = std::floor(x - .5), fy = std::floor(y - .5), u = x - .5 - fx, v = y - .5 - fy;
  const auto i = static_cast<std::int64_t>(fx), j = static_cast<std::int64_t>(fy);
  return (value(i, j) * (1 - u) + value(i + 1, j) * u) * (1 - v) +
         (value(i, j + 1) * (1 - u) + value(i + 1, j + 1) * u) * v;
}

struct Case {
  Case(std::int64_t w, std::int64_t h, std::int64_t out_w, std::int64_t out_h, int channels)
      : image(noise(w, h, channels)),
        out(to_size(out_w * out_h * channels), -7.f),
        a{.pixels = image.pixels.data(),
          .width = w,
          .height = h,
          .out = {out.data(), {1, out_h, out_w, channels}, channels},
          .placement = {.region = {0, 0, out_w, out_h}}} {}
  float at(std::int64_t x, std::int64_t y, int c) const {
    return a.out.at(a.out.pixel(0, y, x), c);
  }

  Image image;
  std::vector<float> out;
  WarpArguments a;
};

void expect_reference(const Case& t, double tolerance) {
  const int channels = static_cast<int>(t.image.channels);
  for (std::int64_t y = 0; y < t.a.out.shape.h; ++y)
    for (std::int64_t x = 0; x < t.a.out.shape.w; ++x) {
      const bool inside = x >= t.a.placement.region.x0 && x < t.a.placement.region.x1 &&
                          y >= t.a.placement.region.y0 && y < t.a.placement.region.y1;
      const Placement& p = t.a.placement;
      const double px = static_cast<double>(x) + .5, py = static_cast<double>(y) + .5;
      const double sx = double{p.scale_x} * px + double{p.shear_x} * py + p.shift_x;
      const double sy = double{p.scale_y} * py + double{p.shear_y} * px + p.shift_y;
      const bool beyond = sx < 0 || sx > static_cast<double>(t.a.width) || sy < 0 ||
                          sy > static_cast<double>(t.a.height);
      Colour3 expected{-7, -7, -7};
      for (int c = 0; c < channels && inside; ++c)
        expected[to_size(c)] = beyond ? t.a.fill[c] : sampled(t.a, channels, sx, sy, c);
      if (inside && channels == 3) expected = recoloured(expected, t.a);
      if (inside && channels == 1) expected[0] = std::min(1., expected[0] * t.a.placement.exposure);
      for (int c = 0; c < channels; ++c)
        ASSERT_NEAR(t.at(x, y, c), expected[to_size(c)], tolerance)
            << "pixel " << x << ", " << y << " channel " << c;
    }
}

TEST(Warp, IdentityCopiesEveryByte) {
  for (const int channels : {1, 3}) {
    Case t(31, 17, 31, 17, channels);
    warp({}, t.a);
    for (std::size_t i = 0; i < t.out.size(); ++i)
      ASSERT_EQ(t.out[i], static_cast<float>(t.image.pixels[i]) * (1.f / 255));
  }
}

TEST(Warp, AMirrorTurnsRowsAround) {
  Case t(31, 17, 31, 17, 3);
  t.a.placement.scale_x = -1, t.a.placement.shift_x = 31;
  warp({}, t.a);
  for (int y = 0; y < 17; ++y)
    for (int x = 0; x < 31; ++x)
      for (int c = 0; c < 3; ++c) ASSERT_EQ(t.at(x, y, c), t.image.at(30 - x, y)[c] * (1.f / 255));
}

TEST(Warp, OutsideIsTheFillAndOtherPartsStay) {
  Case t(10, 10, 40, 30, 3);
  t.a.placement.region.x0 = 3, t.a.placement.region.x1 = 37, t.a.placement.region.y0 = 5,
  t.a.placement.region.y1 = 28;
  t.a.placement.shift_x = -15, t.a.placement.shift_y = -10;  // the image lies at 15..25, 10..20
  t.a.fill[0] = .1f, t.a.fill[1] = .2f, t.a.fill[2] = .3f;
  warp({}, t.a);
  EXPECT_EQ(t.at(2, 10, 0), -7);
  EXPECT_EQ(t.at(3, 5, 1), .2f);
  EXPECT_EQ(t.at(14, 10, 2), .3f);
  EXPECT_EQ(t.at(15, 10, 0), t.image.at(0, 0)[0] * (1.f / 255));
  EXPECT_EQ(t.at(24, 19, 0), t.image.at(9, 9)[0] * (1.f / 255));
  EXPECT_EQ(t.at(25, 19, 0), .1f);
  expect_reference(t, 1e-6);
}

TEST(Warp, EqualsTheReferenceWhereverTheImageLies) {
  Rng rng(11);
  for (int trial = 0; trial < 60; ++trial) {
    const int channels = trial % 3 == 0 ? 1 : 3;
    Case t(1 + rng.below(30), 1 + rng.below(30), 1 + rng.below(40), 1 + rng.below(40), channels);
    t.a.placement.scale_x = rng.uniform(.1f, 2) * (rng.flip() ? 1 : -1),
    t.a.placement.scale_y = rng.uniform(.1f, 2);
    t.a.placement.shift_x = rng.uniform(-20, 40), t.a.placement.shift_y = rng.uniform(-20, 20);
    t.a.placement.region.x1 = 1 + rng.below(t.a.out.shape.w),
    t.a.placement.region.y1 = 1 + rng.below(t.a.out.shape.h);
    t.a.placement.region.x0 = rng.below(t.a.placement.region.x1),
    t.a.placement.region.y0 = rng.below(t.a.placement.region.y1);
    if (trial % 2)
      t.a.placement.shear_x = rng.uniform(-1, 1), t.a.placement.shear_y = rng.uniform(-1, 1);
    warp({}, t.a);
    expect_reference(t, 2e-5);  // of positions in float
  }
}

// Up to 16 columns of the image for one of the input, two rows are blended as a whole.
TEST(Warp, EqualsTheReferenceAtLargeScales) {
  for (const int channels : {1, 3})
    for (const float scale : {-17.3f, -15.9f, 6.1f, 15.9f, 17.3f}) {
      Case t(2000, 40, 110, 9, channels);
      t.a.placement.scale_x = scale, t.a.placement.shift_x = scale < 0 ? 1990.f : 3.f;
      t.a.placement.scale_y = 4.3f, t.a.placement.shift_y = .7f;
      warp({}, t.a);
      expect_reference(t, 2e-4);  // of positions in float
    }
}

TEST(Warp, PixelsMayLieApart) {
  Case t(20, 10, 33, 15, 3);
  t.out.assign(to_size(33 * 15 * 5), -7.f);
  t.a.out = {t.out.data(), {1, 15, 33, 3}, 5};
  t.a.placement.scale_x = .6f, t.a.placement.scale_y = .6f;
  warp({}, t.a);
  expect_reference(t, 1e-5);
  for (std::size_t i = 0; i < t.out.size(); i += 5) ASSERT_EQ(t.out[i + 3], -7) << i;
}

TEST(Warp, ColourEqualsPlainHsv) {
  Rng rng(12);
  for (int trial = 0; trial < 60; ++trial) {
    Case t(16, 8, 16, 8, trial % 4 == 0 ? 1 : 3);
    t.a.placement.hue = rng.uniform(-1, 1);
    t.a.placement.saturation = rng.uniform(0, 3);
    t.a.placement.exposure = rng.uniform(0, 3);
    warp({}, t.a);
    expect_reference(t, 1e-5);
  }
}

TEST(Warp, ColourOfKnownCases) {
  Case t(4, 1, 4, 1, 3);
  t.image.pixels = {255, 0, 0, 0, 0, 0, 255, 255, 255, 100, 50, 50};
  t.a.pixels = t.image.pixels.data();
  t.a.placement.hue = 1 / 3.f;  // red becomes green; black and white stay
  warp({}, t.a);
  const float expected[] = {0, 1, 0, 0, 0, 0, 1, 1, 1, 50 / 255.f, 100 / 255.f, 50 / 255.f};
  for (std::size_t i = 0; i < 12; ++i) EXPECT_NEAR(t.out[i], expected[i], 1e-6);
  t.a.placement.hue = 0, t.a.placement.saturation = 0, t.a.placement.exposure = 2;
  warp({}, t.a);
  for (std::size_t i = 9; i < 12; ++i) EXPECT_NEAR(t.out[i], 200 / 255.f, 1e-6);
}

TEST(Warp, OnePixelFillsEverything) {
  Case t(1, 1, 8, 8, 3);
  t.a.placement.scale_x = t.a.placement.scale_y = 1 / 8.f;
  warp({}, t.a);
  for (int i = 0; i < 64; ++i)
    for (int c = 0; c < 3; ++c)
      ASSERT_NEAR(t.out[to_size(3 * i + c)], t.image.pixels[c] / 255.f, 1e-6);
}

TEST(Warp, AnyOrderGivesTheSameBits) {
  Case t(50, 40, 64, 48, 3);
  t.a.placement.scale_x = -.7f, t.a.placement.shift_x = 47, t.a.placement.scale_y = 1.1f,
  t.a.placement.shift_y = -3;
  t.a.placement.hue = .1f, t.a.placement.saturation = 1.3f, t.a.placement.exposure = .8f;
  for (const float shear : {0.f, .3f}) {
    t.a.placement.shear_x = shear, t.a.placement.shear_y = -shear;
    std::vector<std::vector<float>> results;
    for (const Stream s : {Stream{}, Stream{.threads = 1}, Stream{.order = Order::scattered}}) {
      std::fill(t.out.begin(), t.out.end(), -7.f);
      warp(s, t.a);
      results.push_back(t.out);
    }
    EXPECT_EQ(results[0], results[1]);
    EXPECT_EQ(results[0], results[2]);
  }
}

TEST(Warp, ScalesAndShiftsBeyondAnySizeAreFill) {
  for (const float wild : {1e30f, -1e30f, std::nanf("")}) {
    Case t(4, 4, 4, 4, 3);
    t.a.placement.shift_x = wild;
    warp({}, t.a);
    for (const float v : t.out) ASSERT_EQ(v, .5f);
  }
}

TEST(Warp, AnEmptyPartAndOtherChannelsAreTaken) {
  Case empty(4, 4, 4, 4, 3);
  empty.a.placement.region.x1 = 0;
  warp({}, empty.a);
  EXPECT_EQ(empty.out[0], -7);
  Case two(4, 4, 4, 4, 2);
  warp({}, two.a);
  for (std::size_t i = 0; i < two.out.size(); ++i)
    EXPECT_NEAR(two.out[i], static_cast<float>(two.image.pixels[i]) / 255, 1e-6);
}

}  // namespace
}  // namespace darknet
