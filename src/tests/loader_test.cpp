#include "dataset/loader.h"
#include "core/index.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <sstream>

#include "cfg/parse.h"
#include "core/error.h"
#include "core/file.h"
#include "image/codec.h"
#include "tests/image_samples.h"
#include "tests/temporary_folder.h"
#include "train/training_batches.h"

namespace darknet {
namespace {
namespace fs = std::filesystem;
using testing_files::error_of;
using testing_images::noise;

constexpr std::int64_t kImages = 23, kBatch = 5;

// What a loader is made of.
struct Settings {
  BatchSettings batches;
  LoaderOptions loader;
  std::int64_t cache_bytes = 0;
};

class Loaded {
 public:
  explicit Loaded(const Settings& s)
      : cache_(s.cache_bytes), batches_(s.batches, &cache_), loader_(batches_, s.loader) {}
  const Batch& next() { return loader_.next(); }
  std::int64_t unreadable() const { return loader_.unreadable(); }
  std::vector<std::int64_t> take_newly_unreadable() { return loader_.take_newly_unreadable(); }

 private:
  CacheBudget cache_;
  Batches batches_;
  Loader loader_;
};

class LoaderTest : public testing_files::InFolder {
 protected:
  LoaderTest() {
    Rng rng(1);
    for (std::int64_t i = 0; i < kImages; ++i) {
      images_.push_back(file(std::to_string(i) + ".png",
                             encode(noise(10 + rng.below(30), 10 + rng.below(30), 3), ".png")));
      truths_.emplace_back();
      for (std::int64_t k = rng.below(4); k-- > 0;)
        truths_.back().push_back({{.5f, .5f, rng.uniform(.1f, .9f), rng.uniform(.1f, .9f)},
                                  static_cast<std::int32_t>(rng.below(3))});
    }
  }

  BatchSettings augmented() const {
    return {.images = ImagePaths(images_),
            .truths = GroundTruths(truths_),
            .batch = kBatch,
            .size =
                [](std::int64_t k) {
                  return InputSize{32 + 32 * (k % 2), 32};
                },
            .augmentation = Augmentation{.image = {.saturation = 1.5f,
                                                   .exposure = 1.5f,
                                                   .hue = .1f,
                                                   .flip = true,
                                                   .mosaic = true},
                                         .head = {.jitter = .3f, .resize = 1.2f}},
            .seed = 7};
  }
  Settings training(int threads) const {
    return {augmented(), {.threads = threads}, 8000};  // room for some of the images
  }
  Settings plain(int threads) const {
    return {{.images = ImagePaths(images_),
             .truths = GroundTruths(truths_),
             .batch = kBatch,
             .size =
                 [](std::int64_t) {
                   return InputSize{32, 64};
                 }},
            {.threads = threads}};
  }
  void spoil(std::int64_t image) { file(images_[to_size(image)].filename(), "no image"); }

  std::vector<fs::path> images_;
  std::vector<std::vector<Truth>> truths_;
};

bool same(const Truth& a, const Truth& b) {
  return a.class_id == b.class_id && a.box.x == b.box.x && a.box.y == b.box.y &&
         a.box.w == b.box.w && a.box.h == b.box.h;
}

void expect_same(const Batch& a, const Batch& b) {
  ASSERT_EQ(a.index, b.index);
  ASSERT_EQ(a.size.height, b.size.height);
  ASSERT_EQ(a.images, b.images);
  ASSERT_EQ(a.shown, b.shown);
  ASSERT_TRUE(a.pixels == b.pixels) << "batch " << a.index;
  ASSERT_EQ(a.truths.size(), b.truths.size());
  for (std::size_t i = 0; i < a.truths.size(); ++i)
    ASSERT_TRUE(std::ranges::equal(a.truths[i], b.truths[i], same)) << "batch " << a.index;
}

Batch copy_of(const Batch& b) {  // without parts, which own their images
  Batch copy;
  copy.index = b.index, copy.size = b.size, copy.pixels = b.pixels, copy.truths = b.truths;
  copy.images = b.images, copy.shown = b.shown, copy.placements = b.placements,
  copy.sizes = b.sizes;
  return copy;
}

std::vector<Batch> take(const Settings& settings, int count) {
  Loaded loader(settings);
  std::vector<Batch> batches;
  for (int k = 0; k < count; ++k) batches.push_back(copy_of(loader.next()));
  return batches;
}

TEST_F(LoaderTest, BatchesAreTheSameForAnyNumberOfThreadsAndAnyCache) {
  const std::vector<Batch> one = take(training(1), 12);
  for (const int threads : {2, 5}) {
    Settings settings = training(threads);
    settings.cache_bytes = threads == 2 ? 0 : 1 << 20;
    const std::vector<Batch> more = take(settings, 12);
    for (std::size_t k = 0; k < 12; ++k) expect_same(one[k], more[k]);
  }
  std::size_t truths = 0;
  for (const Batch& b : one)
    for (const auto& of_image : b.truths) truths += of_image.size();
  EXPECT_GT(truths, 30u);
  Settings other = training(1);
  other.batches.seed = 8;
  EXPECT_NE(take(other, 1)[0].pixels, one[0].pixels);
}

TEST_F(LoaderTest, ABatchIsAPureFunctionOfItsIndex) {
  const std::vector<Batch> expected = take(training(2), 12);
  CacheBudget cache(8000);
  const Batches kept(augmented(), &cache), fresh(augmented());
  for (const std::int64_t k : {11, 0, 7, 3, 7})  // in any order, and more than once
    for (const Batches* batches : {&kept, &fresh})
      expect_same(batches->make(k), expected[to_size(k)]);
  const Batches ends(plain(1).batches);
  EXPECT_EQ(ends.make(4).images, (std::vector<std::int64_t>{20, 21, 22}));
  EXPECT_TRUE(ends.make(5).images.empty());
}

// JPEGs, which are decoded reduced where the input shows no more of them.
TEST_F(LoaderTest, ABatchKnowsAllImagesThatItShows) {
  for (const bool mosaic : {true, false}) {
    BatchSettings settings = augmented();
    settings.augmentation->image.mosaic = mosaic;
    settings.augmentation->image.mixup = !mosaic;
    const Batches batches(settings);
    std::size_t mixed = 0;
    for (std::int64_t k = 0; k < 4; ++k) {
      const Batch b = batches.make(k);
      ASSERT_EQ(b.shown.size(), b.images.size());
      for (std::size_t i = 0; i < b.shown.size(); ++i) {
        ASSERT_FALSE(b.shown[i].empty());
        EXPECT_EQ(b.shown[i][0], b.images[i]);
        if (b.shown[i].size() == 1) continue;
        ++mixed;
        EXPECT_EQ(b.shown[i].size(), mosaic ? 4u : 2u);
      }
    }
    EXPECT_GT(mixed, 0u);
  }
  EXPECT_EQ(Batches(plain(1).batches).make(4).shown,
            (std::vector<std::vector<std::int64_t>>{{20}, {21}, {22}}));
}

TEST_F(LoaderTest, ReducedImagesAreTheSameForAnyCacheAndNearToWholeOnes) {
  std::vector<fs::path> jpegs;
  for (int i = 0; i < 6; ++i)
    jpegs.push_back(file(std::to_string(i) + ".jpg",
                         encode(testing_images::ramp(200 + 30 * i, 150 + 20 * i), ".jpg")));
  BatchSettings settings = augmented();
  settings.images = ImagePaths(jpegs);
  settings.truths = GroundTruths(std::vector<std::vector<Truth>>(jpegs.size()));
  settings.augmentation->image.angle = 20;
  CacheBudget cache(1 << 24), small(30000);
  const Batches fresh(settings), kept(settings, &cache), some(settings, &small);
  settings.augmentation->image.scaled_decode = false;
  const Batches whole(settings);
  bool differs = false;
  for (const std::int64_t k : {3, 0, 3, 1, 2, 0}) {
    const Batch expected = fresh.make(k), other = whole.make(k);
    expect_same(kept.make(k), expected);
    expect_same(some.make(k), expected);
    differs |= other.pixels != expected.pixels;
    double difference = 0;
    for (std::size_t i = 0; i < expected.pixels.size(); ++i)
      difference += std::abs(double{expected.pixels[i]} - other.pixels[i]);
    EXPECT_LT(difference / static_cast<double>(expected.pixels.size()), .02) << k;
  }
  EXPECT_TRUE(differs || !can_reduce(read_file(jpegs[0], 1 << 20)));
}

// The images of a run and of its evaluations share one budget; what it holds is not read again.
TEST_F(LoaderTest, DecodedImagesAreKeptWithinTheBudget) {
  constexpr std::int64_t kEnough = 1 << 20;
  for (const std::int64_t bytes : {kEnough, std::int64_t{0}}) {
    CacheBudget cache(bytes);
    const Batches batches(plain(1).batches, &cache);
    const Batch before = copy_of(batches.make(0));
    const std::string bytes_of_image = read_file(images_[2], kEnough);
    spoil(2);
    if (bytes == 0) {
      EXPECT_THROW(batches.make(0), Error);
    } else {
      expect_same(batches.make(0), before);
    }
    file(images_[2].filename(), bytes_of_image);
  }
  CacheBudget two(10);
  EXPECT_TRUE(two.take(6));
  EXPECT_FALSE(two.take(6));
  EXPECT_TRUE(two.take(4));
  two.give_back(4);
  EXPECT_FALSE(two.take(5));
  EXPECT_TRUE(two.take(4));
}

TEST_F(LoaderTest, AResumedTrainingGetsTheSameBatches) {
  const std::vector<Batch> all = take(training(2), 12);
  for (const std::int64_t first : {1, 7}) {
    Settings settings = training(3);
    settings.loader.first = first;
    const std::vector<Batch> rest = take(settings, 5);
    for (std::size_t k = 0; k < 5; ++k) expect_same(rest[k], all[k + to_size(first)]);
  }
}

TEST_F(LoaderTest, EveryImageComesOnceAnEpochInAnotherOrder) {
  Settings settings = training(2);
  settings.batches.augmentation->image.mosaic = false;
  std::vector<std::int64_t> order;
  for (const Batch& b : take(settings, kImages))
    order.insert(order.end(), b.images.begin(), b.images.end());
  ASSERT_EQ(order.size(), to_size(kImages * kBatch));
  std::set<std::vector<std::int64_t>> orders;
  for (auto at = order.begin(); at != order.end(); at += kImages) {
    const std::vector<std::int64_t> epoch(at, at + kImages);
    EXPECT_EQ(std::set(epoch.begin(), epoch.end()).size(), to_size(kImages));
    orders.insert(epoch);
  }
  EXPECT_EQ(orders.size(), to_size(kBatch));
}

TEST_F(LoaderTest, APlainRunIsInOrderAndEnds) {
  for (const int threads : {1, 4}) {
    Loaded loader(plain(threads));
    std::int64_t at = 0;
    for (std::int64_t k = 0; k < 5; ++k) {
      const Batch& b = loader.next();
      EXPECT_EQ(b.index, k);
      ASSERT_EQ(b.images.size(), k < 4 ? 5u : 3u);
      EXPECT_EQ(b.pixels.size(), b.images.size() * 32 * 64 * 3);
      for (std::size_t i = 0; i < b.images.size(); ++i, ++at) {
        ASSERT_EQ(b.images[i], at);
        const auto& truths = truths_[to_size(at)];
        EXPECT_TRUE(std::ranges::equal(b.truths[i], truths, same));  // as they stand in the file
        const Image image = read_image(images_[to_size(at)]);
        EXPECT_EQ(b.sizes[i].width, image.width);
        std::vector<float> expected(std::size_t{32} * 64 * 3);
        place({}, {.image = image}, plain_placement(image, 32, 64, false),
              {expected.data(), {1, 32, 64, 3}, 3});
        ASSERT_TRUE(std::equal(expected.begin(), expected.end(),
                               b.pixels.begin() + static_cast<std::ptrdiff_t>(i * 32 * 64 * 3)));
      }
    }
    EXPECT_EQ(at, kImages);
    EXPECT_TRUE(loader.next().images.empty());
    EXPECT_TRUE(loader.next().images.empty());
  }
}

TEST_F(LoaderTest, UnreadableImagesArePassedOverUpToTheShareAllowed) {
  for (const std::int64_t image : {3, 11, 19}) spoil(image);
  const auto with = [&](int threads) {
    Settings settings = training(threads);
    settings.loader.max_bad = 3.01 / kImages;
    return settings;
  };
  const std::vector<Batch> one = take(with(1), 15);
  for (const int threads : {2, 5}) {
    const std::vector<Batch> more = take(with(threads), 15);
    for (std::size_t k = 0; k < 15; ++k) expect_same(one[k], more[k]);
  }
  for (const Batch& b : one)
    for (const std::int64_t image : b.images) EXPECT_TRUE(image != 3 && image != 11 && image != 19);
  Loaded loader(with(3));
  std::set<std::int64_t> met;
  for (int k = 0; k < 15; ++k) {
    loader.next();
    for (const std::int64_t image : loader.take_newly_unreadable())
      EXPECT_TRUE(met.insert(image).second) << "each is new once";
  }
  EXPECT_EQ(loader.unreadable(), 3);
  EXPECT_EQ(met, (std::set<std::int64_t>{3, 11, 19}));
}

TEST_F(LoaderTest, TooManyUnreadableImagesAreAnErrorOfTheSameBatchEachTime) {
  for (const std::int64_t image : {2, 3, 11, 12, 19, 20}) spoil(image);
  std::set<std::string> outcomes;
  for (int trial = 0; trial < 6; ++trial)
    for (const int threads : {1, 2, 7}) {
      Settings settings = training(threads);
      settings.loader.max_bad = 2.01 / kImages;
      Loaded loader(settings);
      int batches = 0;
      std::string what;
      while (batches < 50 && what.empty()) {
        what = error_of([&] { loader.next(); });
        batches += what.empty();
      }
      EXPECT_NE(what.find("3 of 23 images cannot be read, more than -max_bad"), std::string::npos)
          << what;
      EXPECT_EQ(error_of([&] { loader.next(); }), what);  // and so does asking again
      outcomes.insert(std::to_string(batches) + " " + what);
    }
  EXPECT_EQ(outcomes.size(), 1u) << *outcomes.begin();
}

TEST_F(LoaderTest, WithoutAnyReadableImageThereIsAnError) {
  for (std::int64_t i = 0; i < kImages; ++i) spoil(i);
  Settings settings = training(3);
  EXPECT_NE(error_of([&] { take(settings, 1); }).find("1 of 23 images"), std::string::npos);
  settings.loader.max_bad = 1;
  EXPECT_TRUE(error_of([&] {
                take(settings, 1);
              }).starts_with("no readable image found in 64 tries; the last one: "));
}

TEST_F(LoaderTest, WhatGoesWrongInAThreadReachesTheUser) {
  spoil(12);
  for (const int threads : {1, 3}) {
    Loaded loader(plain(threads));
    EXPECT_EQ(loader.next().images.front(), 0);
    EXPECT_EQ(loader.next().images.front(), 5);
    const std::string what = error_of([&] { loader.next(); });
    EXPECT_TRUE(what.starts_with(images_[12].string())) << what;
    EXPECT_EQ(error_of([&] { loader.next(); }), what);
  }
}

TEST_F(LoaderTest, ASizeThatCannotBeMadeReachesTheUser) {
  for (const int threads : {1, 3}) {
    Settings settings = training(threads);
    settings.batches.size = [](std::int64_t k) {
      if (k == 2) fail("no size");
      return InputSize{32, 32};
    };
    Loaded loader(settings);
    loader.next(), loader.next();
    EXPECT_EQ(error_of([&] { loader.next(); }), "no size");
    settings.batches.size = [](std::int64_t) { return InputSize{1 << 30, 1 << 28}; };
    Loaded immense(settings);
    EXPECT_THROW(immense.next(), std::exception);
  }
}

TEST_F(LoaderTest, ALoaderMayBeDroppedWhileItWorks) {
  for (int trial = 0; trial < 20; ++trial)
    for (const int threads : {1, 2, 6}) {
      Settings settings = training(threads);
      settings.batches.size = [](std::int64_t) { return InputSize{128, 128}; };
      Loaded loader(settings);
      for (int k = 0; k < trial % 3; ++k) loader.next();
    }
}

TEST_F(LoaderTest, ImagesAndLabelsMustCorrespond) {
  Settings settings = training(1);
  truths_.pop_back();
  settings.batches.truths = GroundTruths(truths_);
  EXPECT_EQ(error_of([&] { Loaded loader(settings); }), "there are labels of 22 images for 23");
  settings.batches.truths = GroundTruths();
  EXPECT_NE(error_of([&] { Loaded loader(settings); }), "");
  settings.batches.images = ImagePaths();
  EXPECT_EQ(error_of([&] { Loaded loader(settings); }), "there are no images to train on");
}

TEST_F(LoaderTest, GreyNetworksGetOneChannel) {
  Settings settings = training(2);
  settings.batches.channels = 1;
  const std::vector<Batch> batches = take(settings, 1);
  const Batch& batch = batches[0];
  EXPECT_EQ(batch.pixels.size(), to_size(kBatch * 32 * 32));
  for (const float v : batch.pixels) ASSERT_TRUE(v >= 0 && v <= 1);
}

NetSettings settings_with(const std::string& keys) {
  std::istringstream in("[net]\n" + keys);
  auto cfg = parse_cfg(in, "net.cfg");
  return read_net(cfg[0]);
}

TEST(RandomSize, IsAMultipleOfTheStepWithinTheFactor) {
  const NetSettings net = settings_with("width=416\nheight=320\nresize_step=32\n");
  std::set<std::int64_t> widths;
  for (std::int64_t k = 100; k < 3000; ++k) {
    const InputSize s = random_size(net, 1, 5, k, 4000);
    EXPECT_EQ(s.width % 32, 0);
    EXPECT_EQ(s.height % 32, 0);
    EXPECT_TRUE(s.width >= 288 && s.width <= 576) << s.width;     // 416 / 1.4 = 297: 288
    EXPECT_TRUE(s.height >= 224 && s.height <= 448) << s.height;  // 320 / 1.4 = 229
    widths.insert(s.width);
    const InputSize same = random_size(net, 1, 5, k / 10 * 10, 4000);
    EXPECT_EQ(s.width, same.width);  // ten iterations of one size
  }
  EXPECT_EQ(widths.size(), 10u);  // 288, 320 .. 576
}

TEST(RandomSize, IsLargestAtBothEnds) {
  const NetSettings net = settings_with("width=416\nheight=416\n");
  for (const std::int64_t k : {0, 50, 99, 1900, 1999}) {
    EXPECT_EQ(random_size(net, 1, 5, k, 2000).width, 576);     // 582.4 to the nearest 32
    EXPECT_EQ(random_size(net, 1.2f, 5, k, 2000).width, 512);  // 499.2
  }
}

TEST(RandomSize, NeverExceedsTheSizeAtTheEnds) {
  const NetSettings net = settings_with("width=96\nheight=608\nresize_step=8\n");
  for (const float random : {1e-30f, .3f, .7f, 1.f, 1.1f, 2.f, 10.f}) {
    const InputSize largest = random_size(net, random, 5, 0, 100000);
    for (std::int64_t k = 0; k < 100000; k += 10) {
      const InputSize s = random_size(net, random, 5, k, 100000);
      ASSERT_LE(s.width, largest.width) << random;
      ASSERT_LE(s.height, largest.height) << random;
      ASSERT_GE(s.width, 8);
    }
  }
}

TEST(RandomSize, AllSizesAreListed) {
  for (const char* keys : {"width=416\nheight=320\n", "width=96\nheight=608\nresize_step=8\n",
                           "width=100\nheight=70\nresize_step=64\n"}) {
    const NetSettings net = settings_with(keys);
    for (const float random : {0.f, .7f, 1.f, 2.f}) {
      std::set<std::pair<std::int64_t, std::int64_t>> drawn, listed;
      for (std::int64_t k = 0; k < 100000; k += 10) {
        const InputSize s = random_size(net, random, 5, k, 100000);
        drawn.insert({s.height, s.width});
      }
      for (const InputSize& s : random_sizes(net, random)) listed.insert({s.height, s.width});
      EXPECT_TRUE(std::ranges::includes(listed, drawn)) << keys << random;
      EXPECT_EQ(*listed.rbegin(), *drawn.rbegin());
      EXPECT_LE(listed.size(), drawn.size() + drawn.size() / 10);  // some are hardly ever drawn
    }
  }
}

// With every remainder of a stride, and without hundreds of them.
TEST(RandomSize, FewSizesStandForAll) {
  const NetSettings net = settings_with("width=416\nheight=608\nresize_step=1\n");
  const std::vector<InputSize> all = random_sizes(net, 2), some = sizes_to_try(all, 8);
  const auto remainders = [](const std::vector<InputSize>& sizes) {
    std::set<std::pair<std::int64_t, std::int64_t>> found;
    for (const InputSize& s : sizes) found.insert({s.height % 8, s.width % 8});
    return found;
  };
  EXPECT_GT(all.size(), 500u);
  EXPECT_LE(some.size(), 8u * 8u + 1);
  EXPECT_EQ(remainders(some), remainders(all));
  EXPECT_EQ(some.front().height, all.front().height);
  EXPECT_EQ(some.back().height, all.back().height);
}

TEST(RandomSize, OffIsTheCfgsSize) {
  const NetSettings net = settings_with("width=100\nheight=70\n");
  for (const std::int64_t k : {0, 500, 1999}) {
    EXPECT_EQ(random_size(net, 0, 5, k, 2000).width, 100);
    EXPECT_EQ(random_size(net, 0, 5, k, 2000).height, 70);
  }
}

}  // namespace
}  // namespace darknet
