// Parts of images: what is decoded of a JPEG, and what the loader makes of it.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <vector>

#include "core/index.h"
#include "core/rng.h"
#include "dataset/batches.h"
#include "image/codec.h"
#include "tests/image_bytes.h"
#include "tests/image_samples.h"
#include "tests/temporary_folder.h"

namespace darknet {
namespace {
using namespace testing_images;

struct Sampling {
  int across = 1, down = 1;
};

// A baseline JPEG of random coefficients, of 1 component or 3; the first is sampled finer than the
// others. `interval`: MCUs between restart markers, 0: none.
class RandomJpeg {
 public:
  RandomJpeg(Rng& rng, const Sampling& s, int components, int interval)
      : rng_(rng),
        sampling_(s),
        components_(components),
        interval_(interval),
        width_(1 + rng.below(150)),
        height_(1 + rng.below(150)) {
    if (components == 1) sampling_ = {};
  }

  std::string bytes() {
    out_ = "\xFF\xD8";
    segment(0xDB, std::string(1, '\0') + std::string(64, '\4'));
    std::string frame = "\x08" + big(height_) + big(width_) + static_cast<char>(components_);
    std::string scan(1, static_cast<char>(components_));
    for (int c = 0; c < components_; ++c) {
      const Sampling s = c == 0 ? sampling_ : Sampling{};
      frame += {static_cast<char>(c + 1), static_cast<char>(16 * s.across + s.down), '\0'};
      scan += {static_cast<char>(c + 1), '\0'};
    }
    segment(0xC0, frame);
    table(0x00, {0, 1, 2, 3, 4, 5, 6});
    table(0x10, kSymbols);
    if (interval_ > 0) segment(0xDD, big(interval_));
    segment(0xDA, scan + std::string("\0\x3F\0", 3));
    write_mcus();
    return out_ + "\xFF\xD9";
  }

 private:
  // Codes of four bits, which are their places in these lists. Zeros before it and size.
  inline static const std::vector<int> kSymbols{0x00, 0x01, 0x02, 0x03, 0x11, 0x12, 0x21, 0xF0};
  static constexpr int kCodeBits = 4;

  static std::string big(std::int64_t v) {
    return {static_cast<char>(v >> 8), static_cast<char>(v & 0xFF)};
  }
  void segment(int marker, const std::string& contents) {
    out_ += {'\xFF', static_cast<char>(marker)};
    out_ += big(std::ssize(contents) + 2) + contents;
  }
  void table(int number, const std::vector<int>& symbols) {
    std::string contents(17, '\0');
    contents[0] = static_cast<char>(number);
    contents[kCodeBits] = static_cast<char>(symbols.size());
    for (const int s : symbols) contents += static_cast<char>(s);
    segment(0xC4, contents);
  }

  void put(std::int64_t value, int count) {
    for (int i = count; i-- > 0;) {
      filling_ = 2 * filling_ + static_cast<int>(value >> i & 1);
      if (++filled_ < 8) continue;
      out_ += static_cast<char>(filling_);
      if (filling_ == 0xFF) out_ += '\0';
      filling_ = filled_ = 0;
    }
  }
  void flush() {
    while (filled_ > 0) put(1, 1);
  }

  void write_block() {
    const std::int64_t size = rng_.below(7);
    put(size, kCodeBits);
    put(rng_.below(1 << size), static_cast<int>(size));
    for (int k = 1; k < 64;) {
      const std::int64_t place = rng_.below(std::ssize(kSymbols));
      const int symbol = kSymbols[to_size(place)], zeros = symbol >> 4, bits = symbol & 15;
      if (k + zeros > 63) continue;
      put(place, kCodeBits);
      if (symbol == 0) return;
      put(rng_.below(1 << bits), bits);
      k += zeros + 1;
    }
  }
  void write_mcus() {
    const auto mcus = [](std::int64_t side, int blocks) { return (side - 1) / (8 * blocks) + 1; };
    const std::int64_t count = mcus(width_, sampling_.across) * mcus(height_, sampling_.down);
    const int blocks = sampling_.across * sampling_.down + components_ - 1;
    for (std::int64_t k = 0; k < count; ++k) {
      if (interval_ > 0 && k > 0 && k % interval_ == 0) {
        flush();
        out_ += {'\xFF', static_cast<char>(0xD0 + (k / interval_ - 1) % 8)};
      }
      for (int b = 0; b < blocks; ++b) write_block();
    }
    flush();
  }

  Rng& rng_;
  Sampling sampling_;
  int components_, interval_;
  std::int64_t width_, height_;
  std::string out_;
  int filling_ = 0, filled_ = 0;  // bits of the next byte
};

Rect random_part(Rng& rng, std::int64_t width, std::int64_t height) {
  const std::int64_t x = rng.below(width), y = rng.below(height);
  return {x, y, x + 1 + rng.below(rng.flip() ? 3 : width - x),
          y + 1 + rng.below(rng.flip() ? 3 : height - y)};  // may reach beyond it
}

// That it has what is wanted of the whole image, with the same pixels.
void expect_of_whole(const ImagePart& part, const Image& whole, const Rect& wanted, int reduction) {
  ASSERT_EQ(part.width, whole.width);
  ASSERT_EQ(part.height, whole.height);
  const Rect& r = part.part;
  ASSERT_EQ(part.image.width, r.x1 - r.x0);
  ASSERT_EQ(part.image.height, r.y1 - r.y0);
  ASSERT_TRUE(r.x0 >= 0 && r.y0 >= 0 && r.x1 <= whole.width && r.y1 <= whole.height);
  ASSERT_LE(r.x0 * reduction, wanted.x0);
  ASSERT_LE(r.y0 * reduction, wanted.y0);
  ASSERT_GE(r.x1, std::min((wanted.x1 + reduction - 1) / reduction, whole.width));
  ASSERT_GE(r.y1, std::min((wanted.y1 + reduction - 1) / reduction, whole.height));
  const std::int64_t row = part.image.width * part.image.channels;
  for (std::int64_t y = 0; y < part.image.height; ++y)
    ASSERT_TRUE(
        std::equal(part.image.at(0, y), part.image.at(0, y) + row, whole.at(r.x0, r.y0 + y)))
        << "row " << y << " of " << r.x0 << ", " << r.y0 << " to " << r.x1 << ", " << r.y1;
}

TEST(ImagePart, HasThePixelsOfTheWholeImage) {
  if (!decodes_huffman_codes()) GTEST_SKIP() << "images are decoded whole";
  Rng rng(3);
  for (const Sampling& s : {Sampling{2, 2}, {2, 1}, {1, 2}, {1, 1}, {4, 1}, {4, 2}})
    for (int trial = 0; trial < 60; ++trial) {
      const int components = trial % 6 == 5 ? 1 : 3, interval = trial % 4 == 3 ? 5 : 0;
      const std::string bytes = RandomJpeg(rng, s, components, interval).bytes();
      const int reduction = 1 << rng.below(4);
      const Image full = decode_image(bytes, "x.jpg");
      const Image whole = decode_image(bytes, "x.jpg", 3, reduction);
      SCOPED_TRACE(testing::Message() << s.across << "x" << s.down << ", " << components << ", "
                                      << full.width << " x " << full.height << ", 1/" << reduction);
      ASSERT_TRUE(decode_jpeg(bytes, {.huffman = HuffmanBy::own})->pixels == full.pixels);
      for (int k = 0; k < 20; ++k) {
        const Rect wanted = random_part(rng, full.width, full.height);
        const auto part = decode_jpeg_part(bytes, {reduction, HuffmanBy::own, wanted});
        ASSERT_NO_FATAL_FAILURE(expect_of_whole(*part, whole, wanted, reduction));
        ASSERT_TRUE(decode_image_part(bytes, "x.jpg", 3, {reduction, wanted}).image.pixels ==
                    part->image.pixels);
        if (s.across > 2 && components == 3) continue;  // whole
        EXPECT_LE(part->image.width * reduction, wanted.x1 - wanted.x0 + 2 * reduction - 2);
        EXPECT_LE(part->image.height * reduction, wanted.y1 - wanted.y0 + 2 * reduction - 2);
      }
    }
}

TEST(ImagePart, IsUprightAndOfTheChannelsThatAreWanted) {
  Rng rng(4);
  for (int orientation = 1; orientation <= 8; ++orientation)
    for (const int reduction : {1, 2, 4})
      for (const std::int64_t channels : {1, 3})
        for (int trial = 0; trial < 4; ++trial) {
          const std::int64_t w = trial == 0 ? 45 : 80, h = trial == 0 ? 35 : 48;
          const std::string bytes = with_exif(encode(noise(w, h, 3), ".jpg"), orientation, true);
          const Image full = decode_image(bytes, "x.jpg", channels);
          const Image whole = decode_image(bytes, "x.jpg", channels, reduction);
          const int done = whole.width < full.width ? reduction : 1;
          const Rect wanted = random_part(rng, full.width, full.height);
          const ImagePart part = decode_image_part(bytes, "x.jpg", channels, {reduction, wanted});
          SCOPED_TRACE(orientation);
          ASSERT_NO_FATAL_FAILURE(expect_of_whole(part, whole, wanted, done));
        }
}

// Other kinds, JPEGs of several scans, and those that libjpeg does not decode.
TEST(ImagePart, IsWholeWhereOnlyThatCanBeDecoded) {
  for (const std::string& bytes :
       {from_hex(kProgressive), from_hex(kCmyk), encode(noise(16, 12, 3), ".png")}) {
    const Image whole = decode_image(bytes, "x");
    const ImagePart part = decode_image_part(bytes, "x", 3, {1, {1, 1, 2, 2}});
    EXPECT_EQ(part.part, (Rect{0, 0, whole.width, whole.height}));
    EXPECT_EQ(part.image.pixels, whole.pixels);
  }
}

// Damage may lie in what is not decoded; what is, is the same.
TEST(ImagePart, OfADamagedImageIsThatOfTheWhole) {
  Rng rng(5);
  int differing = 0;
  testing::internal::CaptureStderr();  // libjpeg complains
  for (int trial = 0; trial < 1500; ++trial) {
    const Sampling s = trial % 3 == 0 ? Sampling{1, 1} : Sampling{2, 2};
    const std::string sound = RandomJpeg(rng, s, 3, trial % 2 * 4).bytes();
    std::string bytes = sound;
    const auto scan = std::ssize(sound) - std::ssize(sound) / 2;  // mostly in the codes
    for (std::int64_t k = 1 + rng.below(3); k-- > 0;)
      bytes[to_size(scan + rng.below(std::ssize(bytes) - scan - 2))] =
          static_cast<char>(rng.below(256));
    const int reduction = 1 << rng.below(4);
    const auto whole = decode_jpeg(bytes, {.reduction = reduction});
    ASSERT_TRUE(whole);
    if (whole->width == 0) continue;
    differing += whole->pixels != decode_jpeg(sound, {.reduction = reduction})->pixels;
    const Rect wanted = random_part(rng, whole->width * reduction, whole->height * reduction);
    const auto part = decode_jpeg_part(bytes, {.reduction = reduction, .part = wanted});
    ASSERT_NO_FATAL_FAILURE(expect_of_whole(*part, *whole, wanted, reduction)) << trial;
  }
  testing::internal::GetCapturedStderr();
  EXPECT_GT(differing, 500);
}

class LoadedParts : public testing_files::InFolder {
 protected:
  LoadedParts() {
    Rng rng(8);
    for (int i = 0; i < 6; ++i)
      images_.push_back(file(std::to_string(i) + ".jpg", RandomJpeg(rng, {2, 2}, 3, 0).bytes()));
    images_.push_back(file("6.jpg", with_exif(encode(noise(80, 64, 3), ".jpg"), 6, true)));
  }
  BatchSettings settings() const {
    BatchSettings s{.images = ImagePaths(images_), .batch = 4};
    s.truths =
        GroundTruths(std::vector<std::vector<Truth>>(images_.size(), {{{.5f, .5f, .5f, .5f}, 0}}));
    s.size = [](std::int64_t) { return InputSize{32, 48}; };
    return s;
  }
  std::vector<std::filesystem::path> images_;
};

// All images are kept whole, or none.
void expect_same_for_any_cache(const BatchSettings& settings, int count) {
  CacheBudget enough(1 << 24);
  const Batches parts(settings), whole(settings, &enough);
  for (int k = 0; k < count; ++k) {
    const Batch a = parts.make(k), b = whole.make(k);
    ASSERT_TRUE(a.pixels == b.pixels) << k;
    ASSERT_EQ(a.shown, b.shown);
  }
}

TEST_F(LoadedParts, MakeTheBatchesOfWholeImages) {
  for (const float angle : {0.f, 15.f})
    for (const bool mosaic : {false, true})
      for (const bool bars : {false, true}) {
        BatchSettings s = settings();
        s.augmentation = Augmentation{.image = {.hue = .1f, .angle = angle, .mosaic = mosaic},
                                      .head = {.jitter = .3f, .resize = 1.5f},
                                      .letter_box = bars};
        expect_same_for_any_cache(s, 30);
      }
}

TEST_F(LoadedParts, MakeTheBatchesOfAClassifier) {
  BatchSettings s = settings();
  s.classification = Classification{.classes = 1, .keys = {}};
  s.classification->keys.min_crop = 40, s.classification->keys.max_crop = 90;
  expect_same_for_any_cache(s, 2);
  s.augmentation = Augmentation{};
  expect_same_for_any_cache(s, 30);
}

TEST_F(LoadedParts, AreDecodedWhereNothingIsKeptAndNoMeanIsNeeded) {
  if (!decodes_huffman_codes()) GTEST_SKIP() << "images are decoded whole";
  const Rect part{1, 1, 3, 4};
  const auto got = [&](CacheBudget* budget, Outside outside, bool shows_it) {
    ImageCache cache(ImagePaths(images_), {}, budget, outside);
    return cache.get(cache.open(0), {.outside = shows_it, .part = part});
  };
  CacheBudget enough(1 << 24), none(1);
  for (CacheBudget* const budget : {&none, static_cast<CacheBudget*>(nullptr)}) {
    EXPECT_EQ(got(budget, Outside::grey, true)->part, part);
    EXPECT_EQ(got(budget, Outside::mean, false)->part, part);
    EXPECT_TRUE(is_empty(got(budget, Outside::mean, true)->part));
  }
  EXPECT_TRUE(is_empty(ImageCache(ImagePaths(images_), {}, &enough, Outside::grey).get(0)->part));
  ImageCache kept(ImagePaths(images_), {}, &enough, Outside::grey);
  EXPECT_TRUE(is_empty(kept.get(kept.open(0), {.part = part})->part));
}

}  // namespace
}  // namespace darknet
