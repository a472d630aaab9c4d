// Blur, noise and mixed images: kernels against plain loops, what is drawn, and what the loader
// makes of it.
#include "kernels/pixel_filters.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "core/index.h"
#include "dataset/batches.h"
#include "image/codec.h"
#include "tests/temporary_folder.h"

namespace darknet {
namespace {

struct Pixels {
  Pixels(std::int64_t h, std::int64_t w, std::int64_t c)
      : values(to_size(h * w * c)), view{values.data(), {1, h, w, c}, c} {
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = random_uniform(1, 2, i);
  }
  float at(std::int64_t x, std::int64_t y, std::int64_t c) const {
    return view.at(view.pixel(0, y, x), c);
  }
  std::vector<float> values;
  View<float> view;
};

std::int64_t mirrored(std::int64_t i, std::int64_t begin, std::int64_t end) {
  while (i < begin || i >= end) {
    if (end - begin == 1) return begin;
    i = i < begin ? 2 * begin - i : 2 * (end - 1) - i;
  }
  return i;
}

// The two-dimensional kernel, tap by tap.
double blurred(const Pixels& p, const Rect& r, std::int64_t size, std::int64_t x, std::int64_t y,
               std::int64_t c) {
  const std::int64_t radius = size / 2;
  const double sigma = .3 * ((static_cast<double>(size) - 1) * .5 - 1) + .8;
  double sum = 0, weights = 0;
  for (std::int64_t j = -radius; j <= radius; ++j)
    for (std::int64_t i = -radius; i <= radius; ++i) {
      const double w = std::exp(-static_cast<double>(i * i + j * j) / (2 * sigma * sigma));
      sum += w * p.at(mirrored(x + i, r.x0, r.x1), mirrored(y + j, r.y0, r.y1), c);
      weights += w;
    }
  return sum / weights;
}

TEST(PixelFilters, BlurEqualsPlainLoops) {
  struct Case {
    Rect part;
    std::int64_t size;
  };
  for (const std::int64_t channels : {1, 3})
    for (const auto& [part, size] : {Case{{0, 0, 30, 20}, 17},
                                     {{3, 2, 28, 19}, 5},
                                     {{4, 4, 9, 5}, 17},  // smaller than the kernel, a single row
                                     {{7, 0, 8, 20}, 9}}) {
      const Pixels before(20, 30, channels);
      Pixels after(20, 30, channels);
      std::vector<float> scratch(after.values.size());
      gaussian_blur({}, after.view, part, size, scratch.data());
      for (std::int64_t y = 0; y < 20; ++y)
        for (std::int64_t x = 0; x < 30; ++x)
          for (std::int64_t c = 0; c < channels; ++c) {
            const bool in = x >= part.x0 && x < part.x1 && y >= part.y0 && y < part.y1;
            ASSERT_NEAR(after.at(x, y, c),
                        in ? blurred(before, part, size, x, y, c) : double{before.at(x, y, c)},
                        1e-6)
                << x << ' ' << y;
          }
    }
}

TEST(PixelFilters, AnEvenKernelIsRefused) {
  Pixels p(4, 4, 3);
  std::vector<float> scratch(p.values.size());
  for (const std::int64_t size : {0, 4, 129})
    EXPECT_THROW(gaussian_blur({}, p.view, {0, 0, 4, 4}, size, scratch.data()), Error);
}

TEST(PixelFilters, NoiseHasItsDeviationAndNoMean) {
  Pixels p(100, 120, 3);
  std::fill(p.values.begin(), p.values.end(), .5f);
  add_noise({}, p.view, {10, 10, 110, 90}, .05f, 9);
  double sum = 0, squares = 0;
  std::set<float> values;
  for (std::int64_t y = 0; y < 100; ++y)
    for (std::int64_t x = 0; x < 120; ++x)
      for (std::int64_t c = 0; c < 3; ++c) {
        const double d = double{p.at(x, y, c)} - .5;
        if (x < 10 || x >= 110 || y < 10 || y >= 90) {
          ASSERT_EQ(d, 0);
        }
        sum += d, squares += d * d;
        values.insert(p.at(x, y, c));
      }
  constexpr double kValues = 100 * 80 * 3;
  EXPECT_NEAR(sum / kValues, 0, .001);
  EXPECT_NEAR(std::sqrt(squares / kValues), .05, .001);
  EXPECT_GT(values.size(), 20000u);
  Pixels other(100, 120, 3), white(8, 8, 3);
  std::fill(other.values.begin(), other.values.end(), .5f);
  add_noise({}, other.view, {10, 10, 110, 90}, .05f, 10);
  EXPECT_NE(other.values, p.values);
  std::fill(white.values.begin(), white.values.end(), .99f);
  add_noise({}, white.view, {0, 0, 8, 8}, 1, 1);
  for (const float v : white.values) EXPECT_TRUE(v >= 0 && v <= 1) << v;
}

TEST(RandomFilters, AreDrawnInDarknetsShares) {
  int none = 0, background = 0, whole = 0, noisy = 0;
  std::set<std::uint64_t> seeds;
  for (std::uint64_t k = 0; k < 3000; ++k) {
    Rng rng(1, k);
    const Filters f = random_filters({.blur = 9, .gaussian_noise = 51}, rng);
    ++(f.blur == 0 ? none : f.sharp_objects ? background : whole);
    EXPECT_TRUE(f.blur == 0 || f.blur == (f.sharp_objects ? 17 : 9));
    if (f.noise == 0) continue;
    ++noisy;
    EXPECT_FLOAT_EQ(f.noise, .2f);
    seeds.insert(f.noise_seed);
    Rng one(1, k);
    const Filters always = random_filters({.blur = 1}, one);
    EXPECT_TRUE(always.blur == 0 || always.sharp_objects);
    Rng off(1, k);
    EXPECT_FALSE(random_filters({}, off).any());
  }
  for (const int third : {none, background, whole}) EXPECT_NEAR(third, 1000, 100);
  EXPECT_NEAR(noisy, 1500, 150);
  EXPECT_EQ(std::ssize(seeds), noisy);
}

TEST(RandomFilters, BlurLeavesObjectsSharpOrAsLargeAsTheyNeedIt) {
  const std::vector<Truth> truths{{{.5f, .5f, .5f, .25f}, 0}};  // 32 x 16 of 64 x 64 pixels
  const Pixels before(64, 64, 3);
  Pixels sharp(64, 64, 3), none(64, 64, 3), small(64, 64, 3), two(64, 64, 3);
  const Rect all{0, 0, 64, 64};
  apply({}, {.blur = 17, .sharp_objects = true}, truths, all, sharp.view);
  int changed = 0;
  for (std::int64_t y = 0; y < 64; ++y)
    for (std::int64_t x = 0; x < 64; ++x) {
      const bool object = x >= 16 && x < 48 && y >= 24 && y < 40;
      if (object) {
        ASSERT_EQ(sharp.at(x, y, 0), before.at(x, y, 0));
      }
      changed += sharp.at(x, y, 0) != before.at(x, y, 0);
    }
  EXPECT_GT(changed, 64 * 64 - 32 * 16 - 50);
  apply({}, {.blur = 31}, truths, all, small.view);  // 16 / 8 = 2: a kernel of 3 pixels
  std::vector<float> scratch(two.values.size());
  gaussian_blur({}, two.view, all, 3, scratch.data());
  EXPECT_EQ(small.values, two.values);
  apply({}, {.blur = 31}, std::vector<Truth>{{{.5f, .5f, .5f, .2f}, 0}}, all, none.view);
  EXPECT_EQ(none.values, before.values);
}

class MixedTest : public testing_files::InFolder {};

// Images of one colour each, whose objects tell them apart.
TEST_F(MixedTest, AMixedImageIsTheMeanOfTwoWithTheBoxesOfBoth) {
  constexpr int kImages = 5;
  std::vector<std::filesystem::path> images;
  std::vector<std::vector<Truth>> truths;
  for (int i = 0; i < kImages; ++i) {
    Image image(40, 40, 3);
    std::fill(image.pixels.begin(), image.pixels.end(), static_cast<std::uint8_t>(20 + 50 * i));
    images.push_back(file(std::to_string(i) + ".png", encode(image, ".png")));
    truths.push_back({{{.5f, .5f, .5f, .5f}, i}});
  }
  BatchSettings settings{
      .images = ImagePaths(images),
      .truths = GroundTruths(truths),
      .batch = 20,
      .size =
          [](std::int64_t) {
            return InputSize{32, 32};
          },
      .augmentation = Augmentation{.image = {.flip = false, .mixup = 1}, .head = {.jitter = 0}}};
  const auto mixed_of = [](const BatchSettings& s) {
    int mixed = 0;
    const Batch b = Batches(s).make(0);
    for (std::size_t i = 0; i < 20; ++i) {
      float mean = 0;
      for (const Truth& t : b.truths[i]) {
        mean +=
            static_cast<float>(20 + 50 * t.class_id) / 255 / static_cast<float>(b.truths[i].size());
        EXPECT_FLOAT_EQ(t.box.w, .5f);
      }
      for (int p = 0; p < 32 * 32 * 3; ++p)
        EXPECT_NEAR(b.pixels[i * 32 * 32 * 3 + to_size(p)], mean, 1e-6);
      EXPECT_LE(b.truths[i].size(), 2u);
      mixed += b.truths[i].size() == 2;
    }
    return mixed;
  };
  EXPECT_NEAR(mixed_of(settings), 10, 6);
  settings.augmentation->image.mixup = 0;
  EXPECT_EQ(mixed_of(settings), 0);
}

}  // namespace
}  // namespace darknet
