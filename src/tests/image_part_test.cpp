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

struct Frame {
  std::vector<Sampling> components;
  int interval = 0;  // MCUs between restart markers, 0: none
  std::int64_t width = 0, height = 0;
  bool rgb = false;  // by the components' names, else YCbCr
};
std::vector<Sampling> of_colour(const Sampling& brightness) { return {brightness, {}, {}}; }
Frame random_frame(Rng& rng, std::vector<Sampling> components, int interval = 0) {
  return {std::move(components), interval, 1 + rng.below(150), 1 + rng.below(150)};
}

// A baseline JPEG of random coefficients.
class RandomJpeg {
 public:
  RandomJpeg(Rng& rng, Frame frame) : rng_(rng), frame_(std::move(frame)) {}

  std::string bytes() {
    out_ = "\xFF\xD8";
    segment(0xDB, std::string(1, '\0') + std::string(64, '\4'));
    const auto count = static_cast<char>(frame_.components.size());
    std::string frame = "\x08" + big(frame_.height) + big(frame_.width) + count;
    std::string scan(1, count);
    for (char c = 0; c < count; ++c) {
      const Sampling& s = frame_.components[to_size(c)];
      const char name = frame_.rgb ? "RGB"[to_size(c)] : static_cast<char>(c + 1);
      frame += {name, static_cast<char>(16 * s.across + s.down), '\0'};
      scan += {name, '\0'};
    }
    segment(0xC0, frame);
    table(0x00, {0, 1, 2, 3, 4, 5, 6});
    table(0x10, kSymbols);
    if (frame_.interval > 0) segment(0xDD, big(frame_.interval));
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
    Sampling most;
    int blocks = 0;
    for (const Sampling& s : frame_.components) {
      most = {std::max(most.across, s.across), std::max(most.down, s.down)};
      blocks += s.across * s.down;
    }
    if (frame_.components.size() == 1) most = {}, blocks = 1;  // T.81, A.2.2
    const std::int64_t count = mcus(frame_.width, most.across) * mcus(frame_.height, most.down);
    const int interval = frame_.interval;
    for (std::int64_t k = 0; k < count; ++k) {
      if (interval > 0 && k > 0 && k % interval == 0) {
        flush();
        out_ += {'\xFF', static_cast<char>(0xD0 + (k / interval - 1) % 8)};
      }
      for (int b = 0; b < blocks; ++b) write_block();
    }
    flush();
  }

  Rng& rng_;
  Frame frame_;
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

std::string description(const Frame& f, int reduction) {
  std::string text = cat(f.width, " x ", f.height, ", 1/", reduction, f.rgb ? ", RGB:" : ":");
  for (const Sampling& s : f.components) text += cat(" ", s.across, "x", s.down);
  return text;
}

TEST(ImagePart, HasThePixelsOfTheWholeImage) {
  if (!decodes_jpeg_parts()) GTEST_SKIP() << "images are decoded whole";
  Rng rng(3);
  for (const std::vector<Sampling>& components :
       {of_colour({2, 2}), of_colour({2, 1}), of_colour({1, 2}), of_colour({1, 1}),
        std::vector<Sampling>{{1, 1}}})
    for (int trial = 0; trial < 60; ++trial) {
      const Frame frame = random_frame(rng, components, trial % 4 == 3 ? 5 : 0);
      const std::string bytes = RandomJpeg(rng, frame).bytes();
      const int reduction = 1 << rng.below(4);
      const Image full = decode_jpeg(bytes, 1, HuffmanBy::libjpeg).value();
      const Image whole = decode_jpeg(bytes, reduction, HuffmanBy::libjpeg).value();
      SCOPED_TRACE(description(frame, reduction));
      ASSERT_TRUE(decode_jpeg(bytes, 1, HuffmanBy::own)->pixels == full.pixels);
      for (int k = 0; k < 20; ++k) {
        const Rect wanted = random_part(rng, full.width, full.height);
        const auto part = decode_jpeg_part(bytes, {reduction, wanted}, HuffmanBy::own);
        ASSERT_NO_FATAL_FAILURE(expect_of_whole(*part, whole, wanted, reduction));
        ASSERT_TRUE(decode_image_part(bytes, "x.jpg", 3, {reduction, wanted}).image.pixels ==
                    part->image.pixels);
        EXPECT_LE(part->image.width * reduction, wanted.x1 - wanted.x0 + 2 * reduction - 2);
        EXPECT_LE(part->image.height * reduction, wanted.y1 - wanted.y0 + 2 * reduction - 2);
      }
    }
}

// Rare sampling, where libjpeg-turbo's parts are wrong or untried: their codes alone are decoded
// here.
TEST(ImagePart, IsWholeWhereTheSamplingIsRare) {
  if (!decodes_huffman_codes()) GTEST_SKIP() << "libjpeg decodes all of them";
  Rng rng(6);
  constexpr Sampling kOne{1, 1}, kTwo{2, 2}, kWide{2, 1}, kHigh{1, 2};
  const Frame rgb{.components = {kOne, kOne, kOne}, .rgb = true};
  for (const Frame& kind : {Frame{{kTwo}},
                            {{kWide}},
                            {{kWide, kWide, kWide}},
                            {{kTwo, kWide, kWide}},
                            {{kTwo, kWide, kHigh}},
                            {{kTwo, kOne, kWide}},
                            {{kOne, kTwo, kOne}},
                            {{kWide, kOne, kWide}},
                            {of_colour({4, 1})},
                            {of_colour({4, 2})},
                            {of_colour({1, 4})},
                            rgb})
    for (int trial = 0; trial < 20; ++trial) {
      Frame frame = random_frame(rng, kind.components, trial % 4 == 3 ? 5 : 0);
      frame.rgb = kind.rgb;
      const std::string bytes = RandomJpeg(rng, frame).bytes();
      const int reduction = 1 << rng.below(4);
      SCOPED_TRACE(description(frame, reduction));
      const auto whole = decode_jpeg(bytes, reduction, HuffmanBy::libjpeg);
      ASSERT_TRUE(whole && whole->width == (frame.width + reduction - 1) / reduction);
      const auto part = decode_jpeg_part(bytes, {reduction, {0, 0, 1, 1}}, HuffmanBy::own);
      ASSERT_TRUE(part && part->part == (Rect{0, 0, whole->width, whole->height}));
      ASSERT_TRUE(part->image.pixels == whole->pixels);
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
    const std::string sound =
        RandomJpeg(rng, random_frame(rng, of_colour(s), trial % 2 * 4)).bytes();
    std::string bytes = sound;
    const auto scan = std::ssize(sound) - std::ssize(sound) / 2;  // mostly in the codes
    for (std::int64_t k = 1 + rng.below(3); k-- > 0;)
      bytes[to_size(scan + rng.below(std::ssize(bytes) - scan - 2))] =
          static_cast<char>(rng.below(256));
    const int reduction = 1 << rng.below(4);
    const auto whole = decode_jpeg(bytes, reduction);
    ASSERT_TRUE(whole);
    if (whole->width == 0) continue;
    differing += whole->pixels != decode_jpeg(sound, reduction)->pixels;
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
    for (int i = 0; i < 6; ++i) {
      const Frame frame{
          .components = of_colour({2, 2}), .width = 40 + 20 * i, .height = 150 - 9 * i};
      images_.push_back(file(cat(i, ".jpg"), RandomJpeg(rng, frame).bytes()));
    }
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

// What a device makes of the tiles. Adds to `parts` how many of them are parts of images.
void place_tiles(Batch& b, int& parts) {
  const Shape shape{1, b.size.height, b.size.width, 3};
  for (std::size_t i = 0; i < b.tiles.size(); ++i)
    for (const PlacedTile& tile : b.tiles[i]) {
      parts += !is_empty(tile.image->part);
      place({}, *tile.image, tile.placement,
            {b.pixels.data() + static_cast<std::int64_t>(i) * shape.size(), shape, 3});
    }
}

// All images are kept whole, or none. Whether the device places the tiles or they are placed here
// is the same too. Returns how many tiles are parts.
int expect_same_for_any_cache(BatchSettings settings, int count) {
  int found = 0, of_kept = 0;
  for (const bool tiles : {false, true}) {
    settings.tiles = tiles;
    CacheBudget enough(1 << 24);
    const Batches parts(settings), whole(settings, &enough);
    for (int k = 0; k < count; ++k) {
      Batch a = parts.make(k), b = whole.make(k);
      for (std::size_t i = 0; i < a.tiles.size(); ++i)
        EXPECT_EQ(a.tiles[i].size(), b.tiles[i].size()) << k << ", image " << i;
      place_tiles(a, found), place_tiles(b, of_kept);
      EXPECT_TRUE(a.pixels == b.pixels) << k << (tiles ? ", tiles" : "");
      EXPECT_EQ(a.shown, b.shown);
    }
  }
  EXPECT_EQ(of_kept, 0);
  return found;
}

TEST_F(LoadedParts, MakeTheBatchesOfWholeImages) {
  int parts = 0;
  for (const float angle : {0.f, 15.f})
    for (const bool mosaic : {false, true})
      for (const bool bars : {false, true}) {
        BatchSettings s = settings();
        s.augmentation = Augmentation{.image = {.hue = .1f, .angle = angle, .mosaic = mosaic},
                                      .head = {.jitter = .3f, .resize = 1.5f},
                                      .letter_box = bars};
        s.size = [](std::int64_t) { return InputSize{64, 96}; };
        parts += expect_same_for_any_cache(s, 30);
      }
  EXPECT_GT(parts, decodes_jpeg_parts() ? 100 : -1);
}

// Where the device places a tile depends on the bytes of the whole image alone: of a large one
// here, whose part is small, the input is made on the CPU.
TEST_F(LoadedParts, DoNotDecideWhereATileIsPlaced) {
  constexpr std::int64_t kSide = 160, kInput = 64;
  static_assert(3 * kSide * kSide > 4 * 3 * kInput * kInput);
  Rng rng(9);
  const Frame large{.components = of_colour({2, 2}), .width = kSide, .height = kSide};
  images_ = {file("large.jpg", RandomJpeg(rng, large).bytes())};
  BatchSettings s = settings();
  s.size = [](std::int64_t) { return InputSize{kInput, kInput}; };
  s.tiles = true;
  s.augmentation = Augmentation{};
  s.classification = Classification{.classes = 1, .keys = {}};
  s.classification->keys.min_crop = s.classification->keys.max_crop = 2 * kSide;
  s.classification->keys.aspect = 1;
  CacheBudget enough(1 << 24);
  const Batches parts(s), whole(s, &enough);
  for (int k = 0; k < 5; ++k) {
    const Batch a = parts.make(k), b = whole.make(k);
    for (std::size_t i = 0; i < a.tiles.size(); ++i)
      EXPECT_TRUE(a.tiles[i].empty() && b.tiles[i].empty()) << k << ", image " << i;
    EXPECT_TRUE(a.pixels == b.pixels) << k;
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
  if (!decodes_jpeg_parts()) GTEST_SKIP() << "images are decoded whole";
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
