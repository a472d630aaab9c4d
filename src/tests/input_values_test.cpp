// Images of more than 8 bits and of other channels than grey and RGB: .npy, 16-bit PNG, the warp
// that takes them, and the commands on a small set of them. TIFFs: tiff_values_test.cpp.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/index.h"
#include "core/rng.h"
#include "dataset/check.h"
#include "dataset/image_cache.h"
#include "dataset/image_sizes.h"
#include "image/codec.h"
#include "image/image.h"
#include "image/image_size.h"
#include "kernels/warp.h"
#include "tests/cli_harness.h"
#include "tests/image_samples.h"
#include "tests/input_values.h"
#include "tests/temporary_folder.h"

namespace darknet {
namespace {
using namespace testing_images;
using test::CommandResult;
using test::Workspace;
using testing_files::error_of;

TEST(Npy, KeepsTypeAndChannels) {
  const std::vector<std::uint16_t> values = words(2 * 3 * 5);
  const std::string bytes = npy("<u2", "(2, 3, 5)", bytes_of_values(values));
  const Image image = input_of(bytes, 5);
  EXPECT_EQ(image.width, 3);
  EXPECT_EQ(image.height, 2);
  EXPECT_EQ(image.channels, 5);
  expect_words(image, values);
  EXPECT_EQ(image_size(bytes).width, 3);
  EXPECT_EQ(image_size(bytes).height, 2);
  std::string swapped = bytes_of_values(values);
  for (std::size_t i = 0; i < swapped.size(); i += 2) std::swap(swapped[i], swapped[i + 1]);
  expect_words(input_of(npy(">u2", "(2, 3, 5)", swapped), 5), values);
  const Image grey = input_of(npy("|u1", "(2, 2)", "abcd"), 0);
  EXPECT_EQ(grey.depth, 1);
  EXPECT_EQ(grey.channels, 1);
  EXPECT_EQ(std::string(grey.pixels.begin(), grey.pixels.end()), "abcd");
  const Image floats = input_of(npy("<f4", "(1, 2, 2)", bytes_of_floats({.25f, -3, 1e9f, 0})), 2);
  EXPECT_EQ(floats.depth, 4);
  EXPECT_EQ(floats.value_of_one, 1);
  EXPECT_EQ(float_at(floats, 1), -3);
}

TEST(Npy, OfVersionTwoHasALongerLength) {
  std::string bytes = npy("|u1", "(2, 2)", "abcd");
  bytes[6] = 2;
  bytes.insert(10, 2, '\0');
  EXPECT_EQ(input_of(bytes, 1).pixels[3], 'd');
}

TEST(Npy, WhatIsNoImageIsRefusedWithTheRemedy) {
  const auto refusal = [](const std::string& bytes) {
    std::string said = error_of([&] { input_of(bytes, 0); });
    EXPECT_EQ(error_of([&] { decode_image(bytes, "x"); }), said);
    return said;
  };
  const auto expect = [&](const std::string& bytes, const std::string& part) {
    EXPECT_NE(refusal(bytes).find(part), std::string::npos) << refusal(bytes) << "\n" << part;
  };
  expect(npy("<f8", "(1, 1)", std::string(8, 'x')), "its values are '<f8'; uint8, uint16 and");
  expect(npy("<i2", "(1, 1)", "xx"), "a.astype('float32')");
  expect(npy("|u1", "(4,)", "abcd"), "its shape is (4,); an image is (height, width) or");
  expect(npy("|u1", "(1, 1, 1, 4)", "abcd"), "its shape is (1, 1, 1, 4)");
  expect(npy("|u1", "(2, 0)", ""), "without pixels");
  expect(npy("|u1", "(1, 1, 4000)", std::string(4000, 'x')), "4000 channels, more than 1024");
  expect(npy("|u1", "(100000, 100000)", ""), "100000 x 100000 pixels, more than");
  expect(npy("<f4", "(16384, 16384, 9)", ""), "more than 1 GiB");
  expect(npy("|u1", "(2, 2)", "abc"), "announces 4 bytes of values, there are 3: the file was cut");
  expect(npy("|u1", "(2, 2)", "abcde"), "announces 4 bytes of values, there are 5");
  expect(npy("<f4", "(1, 3)", bytes_of_floats({0, 1, std::nanf("")})),
         "row 0, column 2 is not a finite number");
  std::string fortran = npy("|u1", "(2, 2)", "abcd");
  fortran.replace(fortran.find("False"), 5, "True ");
  expect(fortran, "numpy.ascontiguousarray(a)");
  std::string version = npy("|u1", "(2, 2)", "abcd");
  version[6] = 3;
  expect(version, "1.0 and 2.0 can be read");
  expect(npy("|u1", "(2, 2)", "").substr(0, 30), "ends in its header");
}

TEST(Npy, WithItsChannelsFirstIsRefusedWithTheRemedy) {
  const auto said = [](const std::string& shape, std::size_t values, std::int64_t wanted) {
    const std::string bytes = npy("|u1", shape, std::string(values, 'x'));
    return error_of([&] { input_of(bytes, wanted); });
  };
  EXPECT_EQ(said("(5, 48, 80)", 19200, 5),
            "x: its shape is (5, 48, 80), an image of 80 channels, not of 5; where its channels "
            "come first, numpy.transpose(a, (1, 2, 0)) puts them last");
  const std::string remedy = "numpy.transpose(a, (1, 2, 0))";
  EXPECT_NE(said("(3, 2, 4)", 24, 3).find(remedy), std::string::npos);
  EXPECT_NE(said("(6, 2, 65)", 780, 5).find(remedy), std::string::npos);
  EXPECT_NE(said("(3, 2, 2000)", 12000, 0).find(remedy), std::string::npos);
  EXPECT_EQ(said("(5, 48, 80)", 19200, 80), "");
  EXPECT_EQ(said("(5, 48, 80)", 19200, 0), "");
  EXPECT_EQ(said("(3, 2, 1)", 6, 3), "");
  EXPECT_EQ(said("(6, 2, 7)", 84, 5).find(remedy), std::string::npos);
}

// Networks of 1 or 3 channels get what is in 8-bit files as ever.
TEST(InputValues, OfEightBitFilesAreThoseOfReadImage) {
  for (const char* extension : {".jpg", ".png", ".bmp"}) {
    const std::string bytes = encode(noise(24, 17, 3), extension);
    for (const std::int64_t channels : {1, 3}) {
      const Image image = input_of(bytes, channels);
      EXPECT_EQ(image.depth, 1);
      EXPECT_EQ(image.value_of_one, 255);
      EXPECT_EQ(image.pixels, decode_image(bytes, "x", channels).pixels) << extension;
    }
  }
}

TEST(InputValues, OfPngsKeepSixteenBitsAndAlpha) {
  const std::string colour = png(1, 1, 16, kPngRgba, std::string("\x12\x34\xFF\x01\0\2\x80\0", 8));
  const Image four = input_of(colour, 4);
  if (four.channels != 4) GTEST_SKIP() << "built without libpng";
  expect_words(four, {0x1234, 0xFF01, 2, 0x8000});
  expect_words(input_of(colour, 3), {0x1234, 0xFF01, 2});
  const std::string grey = png(1, 1, 16, kPngGreyAlpha, std::string("\x12\x34\x80\0", 4));
  expect_words(input_of(grey, 1), {0x1234});
  expect_words(input_of(grey, 2), {0x1234, 0x8000});
  expect_words(input_of(grey, 3), {0x1234, 0x1234, 0x1234});
  EXPECT_EQ(decode_image(grey, "x").pixels[0], 0x12);
  const Image bytes = input_of(png(1, 1, 8, kPngRgba, "abcd"), 4);
  EXPECT_EQ(std::string(bytes.pixels.begin(), bytes.pixels.end()), "abcd");
}

TEST(InputValues, AnotherNumberOfChannelsNamesBothAndTheRemedy) {
  EXPECT_EQ(error_of([] { input_of(npy("|u1", "(1, 1, 5)", "abcde"), 4); }),
            "x: this image has 5 channels, the cfg says [net] channels=4; set channels=5, or write "
            "images "
            "of 4 channels (.npy, TIFF)");
  EXPECT_NE(error_of([] { input_of(encode(noise(8, 8, 3), ".jpg"), 5); }).find("has 3 channels"),
            std::string::npos);
}

TEST(InputValues, GreyIsMadeOfColoursInAnyDepth) {
  const Image grey = input_of(npy("<u2", "(1, 1, 3)", bytes_of_values({1000, 20000, 60000})), 1);
  EXPECT_NEAR(word_at(grey, 0), .299 * 1000 + .587 * 20000 + .114 * 60000, 100);
}

TEST(InputValues, AreDisplayedFromTheSmallestToTheLargest) {
  const Image image = displayed(input_of(
      npy("<u2", "(1, 2, 4)", bytes_of_values({700, 800, 900, 5, 1000, 1100, 1200, 65535})), 4));
  EXPECT_EQ(image.channels, 3);
  EXPECT_EQ(image.pixels, (std::vector<std::uint8_t>{0, 51, 102, 153, 204, 255}));
  const Image two = decode_image(npy("<f4", "(1, 2, 2)", bytes_of_floats({-1, 9, 1, 9})), "x", 3);
  EXPECT_EQ(two.pixels, (std::vector<std::uint8_t>{0, 0, 0, 255, 255, 255}));
  const Image rgb = noise(5, 4, 3);
  EXPECT_EQ(displayed(rgb).pixels, rgb.pixels);
}

// Their difference is no float.
TEST(InputValues, OfAllFloatsAreDisplayed) {
  const Image wide = decode_image(npy("<f4", "(1, 3)", bytes_of_floats({-3e38f, 0, 3e38f})), "x");
  EXPECT_EQ(wide.pixels[0], 0);
  EXPECT_NEAR(wide.pixels[3], 127.5, 1);
  EXPECT_EQ(wide.pixels[6], 255);
  const Image narrow = decode_image(npy("<f4", "(1, 2)", bytes_of_floats({0, 1e-45f})), "x");
  EXPECT_EQ(narrow.pixels, (std::vector<std::uint8_t>{0, 0, 0, 255, 255, 255}));
  const std::string colours = npy("<f4", "(1, 1, 3)", bytes_of_floats({3e38f, 3e38f, 3e38f}));
  EXPECT_FLOAT_EQ(float_at(input_of(colours, 1), 0), 3e38f);
  Image image(3, 1, 1, 4);  // of no file
  for (const auto& [i, value] : {std::pair{0, std::nanf("")}, {1, HUGE_VALF}, {2, 1.f}})
    std::memcpy(&image.pixels[to_size(4 * i)], &value, sizeof value);
  EXPECT_EQ(displayed(image).pixels, (std::vector<std::uint8_t>{0, 0, 0}));
}

TEST(InputValues, OfPngsThatAreTooManyAreRefusedWithTheLimit) {
  if (input_of(png(1, 1, 16, kPngRgba, std::string(8, 'x')), 4).channels != 4)
    GTEST_SKIP() << "built without libpng";
  const std::string bytes = png(16384, 16383, 16, kPngRgba, "");
  EXPECT_EQ(error_of([&] { input_of(bytes, 4); }),
            "x: this image has 16384 x 16383 pixels of 4 channels, 16 bits each: more than 1 GiB "
            "of values");
}

TEST(InputValues, OfEachDepthHaveTheirOwnAdviceOnInputMax) {
  ListCheck check;
  check.ranges[1] = {.images = 2, .largest = 4000, .value_of_one = 65535};
  EXPECT_EQ(input_max_advice(check),
            "the largest value of the images is 4000, and 65535 becomes 1 in the network's input; "
            "set [net] input_max=4095");
  check.ranges[0] = {.images = 1, .largest = 255, .value_of_one = 255};
  EXPECT_EQ(input_max_advice(check),
            "the largest value of the 16-bit images is 4000, and 65535 becomes 1 in the network's "
            "input; [net] input_max holds for images of all types: write all in one type");
  check.ranges = {};
  check.ranges[2] = {.images = 1, .largest = 37.5f, .value_of_one = 1};
  EXPECT_NE(input_max_advice(check).find("set [net] input_max=37.5"), std::string::npos);
  check.ranges[2].largest = .5f;
  EXPECT_EQ(input_max_advice(check), "");
}

// An image to be warped, with a value of any depth at its place.
struct WarpedCase {
  WarpedCase(std::int64_t w, std::int64_t h, std::int64_t channels, int depth)
      : image(w, h, channels, depth), out(to_size(23 * 19 * channels), -7.f) {
    Rng rng(5);
    for (std::size_t i = 0; i < image.pixels.size(); i += to_size(depth)) {
      const float value = rng.uniform(0, 1);
      const auto word = static_cast<std::uint16_t>(4095 * value);
      const auto byte = static_cast<std::uint8_t>(255 * value);
      const void* const from = depth == 4   ? static_cast<const void*>(&value)
                               : depth == 2 ? static_cast<const void*>(&word)
                                            : static_cast<const void*>(&byte);
      std::memcpy(&image.pixels[i], from, to_size(depth));
    }
    a = {.pixels = image.pixels.data(),
         .width = w,
         .height = h,
         .out = {out.data(), {1, 19, 23, channels}, channels},
         .placement = {.region = {1, 2, 22, 18},
                       .scale_x = -.8f,
                       .shift_x = 14,
                       .scale_y = .7f,
                       .shift_y = -2},
         .depth = depth,
         .value_of_one = depth == 2 ? 4095.f : image.value_of_one};
  }
  double value(std::int64_t x, std::int64_t y, std::int64_t c) const {
    x = std::clamp<std::int64_t>(x, 0, image.width - 1);
    y = std::clamp<std::int64_t>(y, 0, image.height - 1);
    const auto i = to_size((y * image.width + x) * image.channels + c);
    if (image.depth == 1) return image.pixels[i];
    return image.depth == 2 ? word_at(image, i) : float_at(image, i);
  }

  Image image;
  std::vector<float> out;
  WarpArguments a;
};

TEST(WarpValues, EqualPlainLoopsInEveryDepth) {
  for (const int depth : {1, 2, 4})
    for (const std::int64_t channels : {1, 2, 3, 5, 13}) {
      WarpedCase t(15, 11, channels, depth);
      t.a.fill[0] = .125f, t.a.fill[1] = .25f, t.a.fill[2] = .375f;
      warp({}, t.a);
      for (std::int64_t y = 0; y < 19; ++y)
        for (std::int64_t x = 0; x < 23; ++x)
          for (std::int64_t c = 0; c < channels; ++c) {
            const double sx = -.8 * (static_cast<double>(x) + .5) + 14,
                         sy = .7 * (static_cast<double>(y) + .5) - 2;
            const double fx = std::floor(sx - .5), fy = std::floor(sy - .5);
            const double u = sx - .5 - fx, v = sy - .5 - fy;
            const auto i = static_cast<std::int64_t>(fx), j = static_cast<std::int64_t>(fy);
            double expected =
                ((t.value(i, j, c) * (1 - u) + t.value(i + 1, j, c) * u) * (1 - v) +
                 (t.value(i, j + 1, c) * (1 - u) + t.value(i + 1, j + 1, c) * u) * v) /
                double{t.a.value_of_one};
            if (sx < 0 || sx > 15 || sy < 0 || sy > 11) expected = t.a.fill[channels == 3 ? c : 0];
            if (x < 1 || x >= 22 || y < 2 || y >= 18) expected = -7;
            ASSERT_NEAR(t.out[to_size((y * 23 + x) * channels + c)], expected, 2e-5)
                << depth << " " << channels << " at " << x << ", " << y << ", " << c;
          }
    }
}

TEST(WarpValues, OfBytesAreThoseOfTheFasterWarp) {
  for (const std::int64_t channels : {1, 3}) {
    WarpedCase t(15, 11, channels, 1);
    t.a.placement.exposure = 1.4f;
    if (channels == 3) t.a.placement.hue = .1f, t.a.placement.saturation = 1.3f;
    t.a.set_count();
    warp({}, t.a);
    const std::vector<float> fast = t.out;
    std::fill(t.out.begin(), t.out.end(), -7.f);
    warp_values({}, ArrayList<WarpArguments>{.entries = {&t.a, 1}});
    for (std::size_t i = 0; i < fast.size(); ++i) ASSERT_NEAR(t.out[i], fast[i], 1e-6) << i;
  }
}

TEST(WarpValues, ColoursOfOtherChannelsStay) {
  WarpedCase t(15, 11, 5, 2);
  warp({}, t.a);
  const std::vector<float> plain = t.out;
  t.a.placement.hue = .2f, t.a.placement.saturation = 2, t.a.placement.exposure = 2;
  warp({}, t.a);
  EXPECT_EQ(t.out, plain);
}

// Eight images of 64 x 64 pixels in five bands of a 12-bit sensor, half of them .npy files, half
// TIFFs, with one bright square each; its class is the band that is brightest in it.
constexpr std::int64_t kSide = 64, kBands = 5;

void put_bands(const Workspace& work, bool tiffs) {
  put_tiny_data(work);
  std::string list;
  for (int k = 0; k < test::kTinyImages; ++k) {
    const std::int64_t band = k % 3, x0 = 8 + 3 * k, y0 = 30 - 2 * k;
    std::vector<std::uint16_t> values;
    for (std::int64_t y = 0; y < kSide; ++y)
      for (std::int64_t x = 0; x < kSide; ++x)
        for (std::int64_t c = 0; c < kBands; ++c) {
          const bool inside = x >= x0 && x < x0 + 20 && y >= y0 && y < y0 + 20;
          values.push_back(static_cast<std::uint16_t>(inside && c == band ? 4000 : 200 + 7 * c));
        }
    const bool npy_file = !tiffs || k % 2 == 0;
    const std::string name = cat("images/b", k, npy_file ? ".npy" : ".tif");
    const std::string bytes = bytes_of_values(values);
    work.put(name, npy_file ? npy("<u2", "(64, 64, 5)", bytes)
                            : tiff_of_samples(kSide, kSide, kBands, 16, {bytes}));
    const auto middle = [](std::int64_t low) { return (static_cast<double>(low) + 10) / kSide; };
    work.put(cat("images/b", k, ".txt"),
             cat(band, " ", middle(x0), " ", middle(y0), " .3125 .3125\n"));
    list += name + "\n";
  }
  work.put("train.txt", list);
}

void expect_success(const CommandResult& ran) { ASSERT_EQ(ran.exit_code, 0) << ran.all(); }

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(ImagesOfSensors, AreCheckedTrainedEvaluatedAndDrawn) {
  const Workspace work;
  put_bands(work, has_libtiff());
  const std::string cfg = test::replaced(
      test::replaced(test::kTinyCfg, "channels=3", "channels=5\nhue=.1\nexposure=1.5"),
      "max_batches=4", "max_batches=600\nmosaic=1");
  work.put("x.cfg", cfg);
  const CommandResult check = work.darknet({"detector", "check", "x.data", "x.cfg"});
  expect_success(check);
  EXPECT_TRUE(contains(check.all(), "the largest value of the images is 4000, and 65535 becomes 1"))
      << check.all();
  EXPECT_TRUE(contains(check.all(), "[net] input_max=4095")) << check.all();
  work.put("x.cfg", test::replaced(cfg, "channels=5", "channels=5\ninput_max=4095"));
  const CommandResult again = work.darknet({"detector", "check", "x.data", "x.cfg"});
  expect_success(again);
  EXPECT_FALSE(contains(again.all(), "input_max")) << again.all();

  const CommandResult trained = work.darknet({"detector", "train", "x.data", "x.cfg"});
  expect_success(trained);
  const std::string warning = "[net] channels=5: hue, saturation and exposure have no effect";
  const auto at = trained.all().find(warning);
  ASSERT_NE(at, std::string::npos) << trained.all();
  EXPECT_EQ(trained.all().find(warning, at + 1), std::string::npos) << trained.all();

  const CommandResult map =
      work.darknet({"detector", "map", "x.data", "x.cfg", "backup/x_final.weights"});
  expect_success(map);
  const auto mean = map.out.find("mAP@0.50) = ");
  ASSERT_NE(mean, std::string::npos) << map.all();
  EXPECT_GT(std::atof(map.out.c_str() + mean + 12), .5) << map.all();

  const CommandResult tested =
      work.darknet({"detector", "test", "x.data", "x.cfg", "backup/x_final.weights",
                    "images/b0.npy", "-dont_show", "-thresh", ".1"});
  expect_success(tested);
  const Image drawn = read_image(work.path("predictions.jpg"));
  ASSERT_GE(drawn.width, kSide);  // a legend may be beside it
  int red = 0;                    // of the first channel alone
  for (std::int64_t y = 32; y < 48; ++y)
    for (std::int64_t x = 10; x < 26; ++x)
      red += drawn.at(x, y)[0] > 150 && drawn.at(x, y)[1] < 100;
  EXPECT_GT(red, 100);
}

TEST(ImagesOfSensors, WhereTheCfgWantsOtherChannelsTheFileIsNamed) {
  const Workspace work;
  put_bands(work, false);
  const CommandResult trained = work.darknet({"detector", "train", "x.data", "x.cfg"});
  EXPECT_EQ(trained.exit_code, 1);
  EXPECT_TRUE(
      contains(trained.err, ".npy: this image has 5 channels, the cfg says [net] channels=3"))
      << trained.all();
}

// Before the first step of a training, and before its first evaluation.
TEST(ImagesOfSensors, AnotherNumberOfChannelsEndsATrainingAtItsStart) {
  const Workspace work;
  test::put_tiny_data(work);
  work.put("four.npy", npy("|u1", "(64, 64, 4)", std::string(64 * 64 * 4, 'x')));
  work.put("four.txt", "");
  work.put("valid.txt", "images/0.png\nfour.npy\n");
  work.put("x.data", test::replaced(work.get("x.data"), "valid = train.txt", "valid = valid.txt"));
  const std::vector<std::string> words{"detector",     "train", "x.data", "x.cfg",
                                       "-max_batches", "1",     "-map"};
  const CommandResult ran = work.darknet(words);
  test::expect_refused(ran, "valid=: 1 image of 2 with another number of channels; first: ");
  EXPECT_TRUE(test::said(ran, "four.npy: this image has 4 channels")) << ran.all();
  EXPECT_FALSE(test::said(ran, "1/1 loss")) << ran.all();
  work.put("train.txt", work.get("train.txt") + "four.npy\n");
  test::expect_refused(work.darknet({"detector", "train", "x.data", "x.cfg"}),
                       "train=: 1 image of 9 with another number of channels");
  std::vector<std::string> some{"detector",     "train", "x.data",   "x.cfg",
                                "-max_batches", "1",     "-max_bad", "20"};
  const CommandResult warned = work.darknet(some);
  EXPECT_EQ(warned.exit_code, 0) << warned.all();
  EXPECT_TRUE(test::said(warned, "they are left out (-max_bad)")) << warned.all();
  // Images of 8 bits, which are not opened for it.
  some.insert(some.end(), {"-set", "net.0.channels=5"});
  test::expect_refused(work.darknet(some), "images of this kind have 1 to 4 channels");
}

TEST(ImagesOfSensors, AlphaIsAChannelThatTrainingTakes) {
  const Workspace work;
  test::put_tiny_data(work);
  const std::vector<std::string> words{"detector",     "train", "x.data", "x.cfg",
                                       "-max_batches", "1",     "-set",   "net.0.channels=4"};
  test::expect_refused(work.darknet(words), ".png: this image has 3 channels");
  const std::string with_alpha = png(64, 64, 8, kPngRgba, std::string(64 * 64 * 4, 'x'));
  for (int i = 0; i < test::kTinyImages; ++i) work.put(cat("images/", i, ".png"), with_alpha);
  const CommandResult ran = work.darknet(words);
  EXPECT_EQ(ran.exit_code, 0) << ran.all();
}

TEST(ImagesOfSensors, FloatsFarAboveOneGetAHint) {
  const Workspace work;
  test::put_tiny_data(work);
  test::put_tiny_weights(work, "x.weights");
  std::string bright, dim;
  for (int i = 0; i < 8 * 8 * 3; ++i) {
    const std::string high = bytes_of_floats({static_cast<float>(20 * i)});
    bright += high, dim += bytes_of_floats({static_cast<float>(i) / 192});
  }
  work.put("bright.npy", npy("<f4", "(8, 8, 3)", bright));
  work.put("dim.npy", npy("<f4", "(8, 8, 3)", dim));
  const auto detect = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"detector", "test", "x.data", "x.cfg", "x.weights"});
    more.emplace_back("-dont_show");
    return work.darknet(more);
  };
  EXPECT_TRUE(
      test::said(detect({"bright.npy"}), "bright.npy: its largest value is 3820, and 1 becomes 1"));
  EXPECT_TRUE(test::said(detect({"bright.npy"}), "set [net] input_max=3820"));
  EXPECT_FALSE(test::said(detect({"dim.npy"}), "its largest value"));
  EXPECT_FALSE(
      test::said(detect({"bright.npy", "-set", "net.0.input_max=4095"}), "its largest value"));
}

TEST(ImagesOfSensors, SizesAndMeansFollowTheValues) {
  const Workspace work;
  put_bands(work, false);
  const ImageSize size = image_size_of(work.path("images/b0.npy"));
  EXPECT_EQ(size.width, kSide);
  EXPECT_EQ(size.height, kSide);
  ImageCache cache(ImagePaths({work.path("images/b0.npy")}), {5, 4095}, nullptr, Outside::mean);
  const CachedImage image = cache.get(0);
  const double square = 20 * 20 / (64. * 64.);
  const double mean = (5 * 200 + 7 * 10 + square * (4000 - 200)) / 5 / 4095;
  EXPECT_NEAR(image->outside[0], mean, 1e-4);
}

}  // namespace
}  // namespace darknet
