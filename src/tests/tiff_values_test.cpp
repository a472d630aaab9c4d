// TIFFs whose values are kept: samples and pages as channels, layouts, and what is refused.
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "image/image.h"
#include "image/image_size.h"
#include "tests/image_samples.h"
#include "tests/input_values.h"
#include "tests/temporary_folder.h"

namespace darknet {
namespace {
using namespace testing_images;
using testing_files::error_of;

// Of a TIFF with one directory.
struct TiffFile {
  std::uint32_t width = 1, height = 1, samples = 1, bits = 16;
  bool little = true;
  std::uint32_t format = 1, colours = 1, planes = 1, compression = 1;  // as the tags have them
  std::uint32_t tile = 0;                                              // side; 0: strips
  std::vector<std::uint32_t> extra;                                    // kinds of samples
};

// `blocks`: its tiles, or one strip of each plane.
std::string tiff_of_blocks(const TiffFile& f, const std::vector<std::string>& blocks) {
  using Values = std::vector<std::uint32_t>;
  const auto n = [&](std::size_t v, int bytes) {
    return number(static_cast<std::uint32_t>(v), bytes, f.little);
  };
  std::string body, entries, lists;
  Values offsets, sizes;
  for (const std::string& block : blocks) {
    offsets.push_back(static_cast<std::uint32_t>(8 + body.size()));
    sizes.push_back(static_cast<std::uint32_t>(block.size()));
    body += block;
  }
  std::map<std::uint32_t, Values> tags{{256, {f.width}},
                                       {257, {f.height}},
                                       {258, Values(f.samples, f.bits)},
                                       {259, {f.compression}},
                                       {262, {f.colours}},
                                       {277, {f.samples}},
                                       {284, {f.planes}},
                                       {339, Values(f.samples, f.format)}};
  if (!f.extra.empty()) tags[338] = f.extra;
  if (f.tile > 0)
    tags[322] = tags[323] = {f.tile}, tags[324] = offsets, tags[325] = sizes;
  else
    tags[278] = {f.height}, tags[273] = offsets, tags[279] = sizes;
  const std::size_t lists_at = 8 + body.size() + 2 + 12 * tags.size() + 4;
  for (const auto& [tag, values] : tags) {
    std::string list;
    for (const std::uint32_t value : values) list += n(value, 4);
    const bool is_one = values.size() == 1;
    entries += n(tag, 2) + n(4, 2) + n(values.size(), 4);  // of 32 bits
    entries += is_one ? list : n(lists_at + lists.size(), 4);
    if (!is_one) lists += list;
  }
  return (f.little ? "II" : "MM") + n(42, 2) + n(8 + body.size(), 4) + body + n(tags.size(), 2) +
         entries + n(0, 4) + lists;
}

// LZW as in TIFF, of literal codes alone: it is cleared before they grow to 10 bits.
std::string lzw(const std::string& bytes) {
  constexpr unsigned kClear = 256, kEnd = 257;
  std::string bits, out;
  const auto put = [&](unsigned code) {
    for (int bit = 8; bit >= 0; --bit) bits += static_cast<char>(code >> bit & 1);
  };
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (i % 200 == 0) put(kClear);
    put(static_cast<unsigned char>(bytes[i]));
  }
  put(kEnd);
  bits.resize((bits.size() + 7) / 8 * 8);
  for (std::size_t i = 0; i < bits.size(); i += 8) {
    int byte = 0;
    for (std::size_t k = 0; k < 8; ++k) byte = 2 * byte + bits[i + k];
    out += static_cast<char>(byte);
  }
  return out;
}

TEST(TiffValues, KeepSamplesAndPages) {
  if (!has_libtiff()) GTEST_SKIP() << "built without libtiff";
  const std::vector<std::uint16_t> values = words(2 * 3 * 5);
  const std::string interleaved = tiff_of_samples(3, 2, 5, 16, {bytes_of_values(values)});
  expect_words(input_of(interleaved, 5), values);
  expect_words(input_of(interleaved, 0), values);
  EXPECT_EQ(image_size(interleaved).width, 3);
  std::vector<std::string> pages;
  for (std::size_t c = 0; c < 5; ++c) {
    std::vector<std::uint16_t> plane;
    for (std::size_t i = c; i < values.size(); i += 5) plane.push_back(values[i]);
    pages.push_back(bytes_of_values(plane));
  }
  const std::string stack = tiff_of_samples(3, 2, 1, 16, pages);
  expect_words(input_of(stack, 5), values);
  EXPECT_EQ(input_of(stack, 1).channels, 1);  // the first page
  EXPECT_EQ(word_at(input_of(stack, 1), 1), values[5]);
  const Image floats = input_of(tiff_of_samples(2, 1, 2, 32, {bytes_of_floats({.5f, 2, 3, 4})}), 2);
  EXPECT_EQ(floats.depth, 4);
  EXPECT_EQ(float_at(floats, 3), 4);
}

TEST(TiffValues, WhatIsMissingIsRefused) {
  if (!has_libtiff()) GTEST_SKIP() << "built without libtiff";
  const std::string bytes = tiff_of_samples(3, 2, 5, 16, {std::string(60, 'x')});
  for (std::size_t n = 8; n < bytes.size(); ++n)
    ASSERT_NE(error_of([&] { input_of(bytes.substr(0, n), 5); }), "") << n;
  EXPECT_NE(error_of([&] {
              input_of(tiff_of_samples(1, 1, 1, 64, {std::string(8, 'x')}), 1);
            }).find("a TIFF of 64-bit"),
            std::string::npos);
  std::string alpha = tiff_of_samples(2, 1, 1, 16, {"abcd"});
  alpha.replace(alpha.find("\x53\x01"), 2, "\x52\x01");  // of the kind of samples to alpha
  for (const std::int64_t channels : {0, 3, 5})
    EXPECT_NE(error_of([&] { input_of(alpha, channels); }), "") << channels;
}

TEST(TiffValues, AreReadInEveryLayout) {
  if (!has_libtiff()) GTEST_SKIP() << "built without libtiff";
  constexpr std::size_t kWidth = 20, kHeight = 18, kSamples = 3, kTile = 16;
  const std::vector<std::uint16_t> values = words(kWidth * kHeight * kSamples);
  // Of a rectangle, `count` samples from the first one on, 0 beyond the image.
  const auto block = [&](std::size_t x0, std::size_t y0, std::size_t w, std::size_t h,
                         std::size_t first, std::size_t count) {
    std::vector<std::uint16_t> some;
    for (std::size_t y = y0; y < y0 + h; ++y)
      for (std::size_t x = x0; x < x0 + w; ++x)
        for (std::size_t c = first; c < first + count; ++c)
          some.push_back(x < kWidth && y < kHeight ? values[(y * kWidth + x) * kSamples + c] : 0);
    return bytes_of_values(some);
  };
  const std::string all = bytes_of_values(values);
  std::string swapped = all;
  for (std::size_t i = 0; i < swapped.size(); i += 2) std::swap(swapped[i], swapped[i + 1]);
  std::vector<std::string> planes, tiles, tiles_of_planes;
  for (std::size_t c = 0; c < kSamples; ++c) {
    planes.push_back(block(0, 0, kWidth, kHeight, c, 1));
    for (const std::size_t y : {0, 16})
      for (const std::size_t x : {0, 16}) {
        tiles_of_planes.push_back(block(x, y, kTile, kTile, c, 1));
        if (c == 0) tiles.push_back(block(x, y, kTile, kTile, 0, kSamples));
      }
  }
  const TiffFile plain{.width = kWidth, .height = kHeight, .samples = kSamples, .extra = {0, 0}};
  const auto expect = [&](const auto& set, const std::vector<std::string>& blocks) {
    TiffFile file = plain;
    set(file);
    expect_words(input_of(tiff_of_blocks(file, blocks), kSamples), values);
  };
  expect([](TiffFile&) {}, {all});
  expect([](TiffFile& f) { f.little = false; }, {swapped});
  expect([](TiffFile& f) { f.planes = 2; }, planes);
  expect([](TiffFile& f) { f.tile = kTile; }, tiles);
  expect([](TiffFile& f) { f.tile = kTile, f.planes = 2; }, tiles_of_planes);
  expect([](TiffFile& f) { f.compression = 5; }, {lzw(all)});
}

TEST(TiffValues, ThatAreTooManyAreRefusedWithTheLimit) {
  if (!has_libtiff()) GTEST_SKIP() << "built without libtiff";
  const auto said = [](const TiffFile& file, std::int64_t channels) {
    return error_of([&] { input_of(tiff_of_blocks(file, {"x"}), channels); });
  };
  EXPECT_EQ(said({.width = 16384, .height = 16384, .samples = 5, .compression = 5}, 5),
            "x: this image has 16384 x 16384 pixels of 5 channels, 16 bits each: more than 1 GiB "
            "of values");
  EXPECT_EQ(said({.width = 8192, .height = 8192, .samples = 5, .compression = 5}, 5),
            "x: a TIFF in strips of 8192 x 8192 pixels of 10 bytes, more than 256 MiB; write "
            "smaller strips");
  EXPECT_EQ(said({.width = 20, .height = 20, .compression = 5, .tile = 16384}, 0),
            "x: a TIFF in tiles of 16384 x 16384 pixels of 2 bytes, more than 256 MiB; write "
            "smaller tiles");
}

TEST(TiffValues, ThatAreNotFiniteAreRefused) {
  if (!has_libtiff()) GTEST_SKIP() << "built without libtiff";
  for (const float value : {std::nanf(""), HUGE_VALF, -HUGE_VALF}) {
    const std::string bytes = tiff_of_samples(3, 1, 1, 32, {bytes_of_floats({0, 1, value})});
    const std::string said = error_of([&] { input_of(bytes, 1); });
    EXPECT_NE(said.find("row 0, column 2 is not a finite number"), std::string::npos) << said;
    EXPECT_EQ(error_of([&] { decode_image(bytes, "x"); }), said);
  }
}

// OpenCV, too, gets none of which it would leave out more than alpha.
TEST(TiffValues, OfEightBitsKeepFourChannels) {
  if (!has_libtiff()) GTEST_SKIP() << "built without libtiff";
  TiffFile file{.samples = 4, .bits = 8, .colours = 2, .extra = {0}};
  const std::string infrared = tiff_of_blocks(file, {"abcd"});
  EXPECT_EQ(input_of(infrared, 4).pixels, (std::vector<std::uint8_t>{'a', 'b', 'c', 'd'}));
  const std::string said = error_of([&] { input_of(infrared, 3); });
  EXPECT_NE(said.find("this image has 4 channels"), std::string::npos) << said;
  EXPECT_EQ(decode_image(infrared, "x").pixels, (std::vector<std::uint8_t>{'a', 'b', 'c'}));
  file.extra = {2};  // alpha
  const std::string alpha = tiff_of_blocks(file, {"abc\xFF"});
  EXPECT_EQ(input_of(alpha, 3).pixels, (std::vector<std::uint8_t>{'a', 'b', 'c'}));
  EXPECT_EQ(input_of(alpha, 4).channels, 4);
  const std::string of_signed = tiff_of_blocks({.bits = 8, .format = 2}, {"a"});
  for (const std::int64_t channels : {0, 1, 3}) {
    const std::string why = error_of([&] { input_of(of_signed, channels); });
    EXPECT_NE(why.find("a TIFF of 8-bit signed integers"), std::string::npos) << why;
  }
}

}  // namespace
}  // namespace darknet
