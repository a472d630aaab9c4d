#include "image/image.h"
#include "core/index.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <optional>

#include "core/error.h"
#include "core/file.h"
#include "core/rng.h"
#include "image/codec.h"
#include "image/draw.h"
#include "image/file_check.h"
#include "image/image_size.h"
#include "image/jpeg_segments.h"
#include "tests/image_bytes.h"
#include "tests/image_samples.h"

namespace darknet {
namespace {
namespace fs = std::filesystem;
using namespace testing_images;

constexpr int kJpegTolerance = 3;  // of 255, between decoders

TEST(Decode, PngIsExactInEveryShape) {
  for (const auto& [w, h] : std::vector<std::pair<int, int>>{
           {1, 1}, {2, 3}, {37, 19}, {20000, 1}, {1, 20000}, {640, 480}}) {
    const Image image = noise(w, h, 3);
    const Image back = decode_image(encode(image, ".png"), "x.png");
    ASSERT_EQ(back.width, w);
    ASSERT_EQ(back.height, h);
    EXPECT_EQ(back.channels, 3);
    EXPECT_EQ(back.pixels, image.pixels) << w << " x " << h;
  }
}

TEST(Decode, BmpIsExact) {
  const Image image = noise(13, 7, 3);
  EXPECT_EQ(decode_image(encode(image, ".bmp"), "x.bmp").pixels, image.pixels);
}

TEST(Decode, JpegRoundTripOfASmoothImageStaysNear) {
  const Image image = ramp(64, 48);
  const Image back = decode_image(encode(image, ".jpg"), "x.jpg");
  ASSERT_EQ(back.pixels.size(), image.pixels.size());
  EXPECT_LE(largest_difference(back, image), 6);
}

TEST(Decode, JpegEqualsLibjpegWithinThree) {
  Image expected(20, 12, 3);
  const std::string rgb = from_hex(kDecoded);
  std::copy(rgb.begin(), rgb.end(), expected.pixels.begin());
  for (const char* hex : {kBaseline, kProgressive}) {
    const Image got = decode_image(from_hex(hex), "x.jpg");
    ASSERT_EQ(got.width, 20);
    ASSERT_EQ(got.height, 12);
    EXPECT_LE(largest_difference(got, expected), kJpegTolerance);
  }
}

TEST(Decode, CmykBecomesRgb) {
  const Image got = decode_image(from_hex(kCmyk), "x.jpg");
  ASSERT_EQ(got.width, 8);
  ASSERT_EQ(got.channels, 3);
  for (int y = 0; y < 8; ++y)
    for (int x = 0; x < 8; ++x) {
      EXPECT_NEAR(got.at(x, y)[0], (x < 4 ? 255 : 40) * 200 / 255, kJpegTolerance);
      EXPECT_NEAR(got.at(x, y)[1], (y < 4 ? 255 : 80) * 200 / 255, kJpegTolerance);
      EXPECT_NEAR(got.at(x, y)[2], 200, kJpegTolerance);
    }
}

TEST(Decode, GreyImagesAndGreyNetworks) {
  const Image grey = noise(9, 5, 1);
  const std::string bytes = encode(grey, ".png");
  const Image rgb = decode_image(bytes, "x.png");
  ASSERT_EQ(rgb.channels, 3);
  EXPECT_EQ(decode_image(bytes, "x.png", 1).pixels, grey.pixels);
  for (int i = 0; i < 9; ++i)
    for (int c = 0; c < 3; ++c) EXPECT_EQ(rgb.at(i, 2)[c], *grey.at(i, 2));

  Image colour(1, 1, 3);
  colour.pixels = {200, 100, 50};
  const Image one = decode_image(encode(colour, ".png"), "x.png", 1);
  ASSERT_EQ(one.channels, 1);
  EXPECT_NEAR(one.pixels.at(0), .299 * 200 + .587 * 100 + .114 * 50, 1);
}

TEST(Decode, SixteenBitsAreCutToEightAndAlphaIsDropped) {
  const std::string deep("\x12\x34\xAB\xCD\xFF\x00\x00\xFF\x80\x7F\x01\x02", 12);
  const Image cut = decode_image(png(2, 1, 16, kPngRgb, deep), "x.png");
  EXPECT_EQ(cut.pixels, (std::vector<std::uint8_t>{0x12, 0xAB, 0xFF, 0x00, 0x80, 0x01}));
  const std::string rgba("\x01\x02\x03\x00\xF1\xF2\xF3\x80", 8);
  const Image opaque = decode_image(png(2, 1, 8, kPngRgba, rgba), "x.png");
  EXPECT_EQ(opaque.pixels, (std::vector<std::uint8_t>{1, 2, 3, 0xF1, 0xF2, 0xF3}));
  const std::string grey_alpha("\x40\x00\xC0\xFF", 4);
  const Image grey = decode_image(png(2, 1, 8, kPngGreyAlpha, grey_alpha), "x.png");
  EXPECT_EQ(grey.pixels, (std::vector<std::uint8_t>{0x40, 0x40, 0x40, 0xC0, 0xC0, 0xC0}));
}

// Exif 2.3: which side of the upright image the stored first row and first column are.
struct Sides {
  const char *row, *column;
};
constexpr Sides kSides[] = {{"top", "left"},     {"top", "right"},  {"bottom", "right"},
                            {"bottom", "left"},  {"left", "top"},   {"right", "top"},
                            {"right", "bottom"}, {"left", "bottom"}};

// Moves (x, y) to where something `far` from a side lies in an image of w x h.
void lay(const std::string& side, std::int64_t far, std::int64_t w, std::int64_t h, std::int64_t& x,
         std::int64_t& y) {
  if (side == "left") x = far;
  if (side == "right") x = w - 1 - far;
  if (side == "top") y = far;
  if (side == "bottom") y = h - 1 - far;
}

TEST(Decode, EveryExifOrientationStandsUpright) {
  const Image stored = decode_image(encode(ramp(48, 32), ".jpg"), "x.jpg");
  for (const bool little : {true, false})
    for (int code = 1; code <= 8; ++code) {
      const std::string bytes = with_exif(encode(ramp(48, 32), ".jpg"), code, little);
      ASSERT_EQ(exif_orientation(bytes), code);
      const Image image = decode_image(bytes, "x.jpg");
      ASSERT_EQ(image.width, code < 5 ? 48 : 32);
      ASSERT_EQ(image.height, code < 5 ? 32 : 48);
      for (std::int64_t row = 0; row < 32; ++row)
        for (std::int64_t column = 0; column < 48; ++column) {
          std::int64_t x = -1, y = -1;
          lay(kSides[code - 1].row, row, image.width, image.height, x, y);
          lay(kSides[code - 1].column, column, image.width, image.height, x, y);
          ASSERT_TRUE(std::equal(image.at(x, y), image.at(x, y) + 3, stored.at(column, row)))
              << "orientation " << code << " at " << column << ", " << row;
        }
    }
}

std::string why_refused(const std::string& bytes) {
  try {
    decode_image(bytes, "x.jpg");
    return "";
  } catch (const Error& e) {
    return e.what();
  }
}

TEST(Decode, ACutJpegIsRefusedWhereverItIsCut) {
  // The preview in the EXIF segment has an end marker of its own.
  const std::string bytes = with_segment(encode(noise(40, 30, 3), ".jpg"), 0xE1,
                                         exif(6, true) + encode(noise(8, 8, 3), ".jpg"));
  ASSERT_EQ(why_refused(bytes), "");
  for (std::size_t n = 1; n < bytes.size() - 2; ++n)  // the last two are the end marker
    ASSERT_NE(why_refused(bytes.substr(0, n)), "") << n << " of " << bytes.size();
  EXPECT_EQ(why_refused(bytes.substr(0, bytes.size() - 3)),
            "x.jpg: truncated image (no end marker)");
  EXPECT_EQ(why_refused(bytes + "trailing bytes"), "");
}

// Damaged and whole: what a library is called for directly is what OpenCV makes of it.
int decoded_as_by_opencv(const std::vector<std::string>& files,
                         const std::function<std::optional<Image>(const std::string&)>& decode) {
  Rng rng(5);
  int decoded = 0;
  testing::internal::CaptureStderr();  // the decoders complain
  for (const std::string& whole : files)
    for (int trial = 0; trial < 200; ++trial) {
      std::string bytes = whole;
      for (int k = 0; k < trial % 4; ++k)
        bytes[to_size(rng.below(std::ssize(bytes)))] = static_cast<char>(rng.below(256));
      if (image_size(bytes).width > 1000 || image_size(bytes).height > 1000) continue;
      const auto direct = decode(bytes);
      if (!direct) continue;
      const Image other = decode_rgb(bytes);
      EXPECT_EQ(direct->width, other.width) << trial;
      EXPECT_TRUE(direct->pixels == other.pixels) << trial;
      decoded += direct->width > 0;
    }
  testing::internal::GetCapturedStderr();
  return decoded;
}

TEST(DecodeJpeg, EqualsOpenCv) {
  if (!reduces_jpeg() || image_library() == "stb") GTEST_SKIP() << "there is one decoder";
  const int decoded = decoded_as_by_opencv(
      {from_hex(kBaseline), from_hex(kProgressive), encode(noise(70, 50, 3), ".jpg"),
       encode(ramp(64, 48), ".jpg"), encode(noise(33, 9, 1), ".jpg")},
      [](const std::string& bytes) { return decode_jpeg(bytes); });
  EXPECT_GT(decoded, 500);
}

// Sound JPEGs of one scan it decodes itself; of what is damaged it makes what libjpeg makes.
TEST(DecodeJpeg, OwnHuffmanDecoderChangesNoPixel) {
  if (!decodes_huffman_codes()) GTEST_SKIP() << "libjpeg decodes all of them";
  testing::internal::CaptureStderr();  // libjpeg complains
  Rng rng(6);
  for (const std::string& whole : {from_hex(kBaseline), from_hex(kRestarts), from_hex(kHalfWidth),
                                   encode(noise(70, 50, 3), ".jpg"), encode(ramp(64, 48), ".jpg"),
                                   encode(noise(33, 9, 1), ".jpg")})
    for (const int reduction : {1, 2, 4, 8}) {
      const auto by_libjpeg = decode_jpeg(whole, reduction, HuffmanBy::libjpeg);
      const auto own = decode_jpeg(whole, reduction, HuffmanBy::own);
      ASSERT_GT(own->width, 0);
      ASSERT_TRUE(own->pixels == by_libjpeg->pixels) << own->width << ", 1/" << reduction;
      for (int trial = 0; trial < 100; ++trial) {
        std::string bytes = whole;
        for (int k = 0; k <= trial % 3; ++k)
          bytes[to_size(rng.below(std::ssize(bytes)))] = static_cast<char>(rng.below(256));
        if (image_size(bytes).width > 1000 || image_size(bytes).height > 1000) continue;
        const auto expected = decode_jpeg(bytes, reduction, HuffmanBy::libjpeg);
        const auto got = decode_jpeg(bytes, reduction);
        ASSERT_EQ(got.has_value(), expected.has_value());
        if (!got) continue;
        ASSERT_TRUE(got->pixels == expected->pixels) << trial;
      }
    }
  EXPECT_EQ(decode_jpeg(from_hex(kProgressive), 1, HuffmanBy::own)->width, 0);
  testing::internal::GetCapturedStderr();
}

TEST(DecodeJpeg, ATableWithoutCodesIsLeftToLibjpeg) {
  if (!decodes_huffman_codes()) GTEST_SKIP() << "libjpeg decodes all of them";
  std::string bytes = encode(noise(33, 20, 1), ".jpg");
  const auto at = bytes.find(std::string("\xFF\xC4\0\xB5\x10", 5));  // of AC coefficients
  ASSERT_NE(at, bytes.npos);
  bytes.replace(at, 2 + 0xB5, std::string("\xFF\xC4\0\x13\x10", 5) + std::string(16, '\0'));
  testing::internal::CaptureStderr();  // libjpeg complains
  EXPECT_EQ(decode_jpeg(bytes, 1, HuffmanBy::own)->width, 0);
  const auto by_libjpeg = decode_jpeg(bytes, 1, HuffmanBy::libjpeg);
  EXPECT_TRUE(decode_jpeg(bytes)->pixels == by_libjpeg->pixels);
  testing::internal::GetCapturedStderr();
}

// Which libjpeg-turbo decodes from version 3 on, without a look at AC tables.
TEST(DecodeJpeg, ALosslessScanIsLeftToLibjpeg) {
  if (!decodes_huffman_codes()) GTEST_SKIP() << "libjpeg decodes all of them";
  std::string bytes = encode(noise(33, 20, 1), ".jpg");
  const auto ac = bytes.find(std::string("\xFF\xC4\0\xB5\x10", 5)), frame = bytes.find("\xFF\xC0");
  ASSERT_NE(ac, bytes.npos);
  ASSERT_NE(frame, bytes.npos);
  bytes[frame + 1] = '\xC3';  // SOF3
  bytes.erase(ac, 2 + 0xB5);
  const auto scan = bytes.find("\xFF\xDA");
  ASSERT_NE(scan, bytes.npos);
  bytes[scan + 7] = '\1', bytes[scan + 8] = '\0';  // Ss: the predictor; Se
  testing::internal::CaptureStderr();              // libjpeg complains
  EXPECT_EQ(decode_jpeg(bytes, 1, HuffmanBy::own)->width, 0);
  const auto by_libjpeg = decode_jpeg(bytes, 1, HuffmanBy::libjpeg);
  EXPECT_TRUE(decode_jpeg(bytes)->pixels == by_libjpeg->pixels);
  testing::internal::GetCapturedStderr();
}

TEST(DecodePng, EqualsOpenCv) {
  if (!encode_png(noise(1, 1, 3)) || image_library() == "stb")
    GTEST_SKIP() << "there is one decoder";
  std::vector<std::string> files = {encode(noise(40, 30, 3), ".png"),
                                    encode(noise(33, 9, 1), ".png")};
  const auto bytes = [](std::size_t n) {
    std::string values(n, '\0');
    for (std::size_t i = 0; i < n; ++i) values[i] = static_cast<char>(37 * i + i / 7);
    return values;
  };
  constexpr int kGrey = 0, kPalette = 3;
  for (const int bits : {8, 16})
    for (const auto& [type, channels] :
         {std::pair{kGrey, 1}, {kPngGreyAlpha, 2}, {kPngRgb, 3}, {kPngRgba, 4}})
      files.push_back(png(9, 5, bits, type, bytes(to_size(9 * 5 * channels * bits / 8))));
  files.push_back(png(16, 5, 1, kGrey, bytes(2 * 5)));
  files.push_back(png_with_chunk(png(9, 5, 8, kPngRgb, bytes(9 * 5 * 3)), "tRNS", bytes(6)));
  const std::string indices = png(16, 5, 4, kPalette, bytes(8 * 5));
  files.push_back(png_with_chunk(indices, "PLTE", bytes(3 * 16)));
  files.push_back(png_with_chunk(png_with_chunk(indices, "tRNS", bytes(9)), "PLTE", bytes(3 * 16)));
  files.push_back(png_with_chunk(png(9, 5, 8, kGrey, bytes(9 * 5)), "tRNS", bytes(2)));
  files.push_back(interlaced_png());
  EXPECT_GT(decoded_as_by_opencv(files, decode_png), 700);
}

// libpng would inflate a text of megabytes and keep it. One that is damaged is an error only to
// whoever inflates it.
TEST(DecodePng, ReadsNoTexts) {
  if (!encode_png(noise(1, 1, 3))) GTEST_SKIP() << "built without libpng";
  const std::string bytes =
      png_with_chunk(*encode_png(noise(4, 4, 3)), "zTXt", std::string("key\0\0damaged", 12));
  testing::internal::CaptureStderr();
  EXPECT_EQ(decode_png(bytes)->width, 4);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

TEST(Encode, IsWhatOpenCvWrites) {
  if (image_library() == "stb") GTEST_SKIP() << "built without OpenCV";
  for (const Image& image : {noise(70, 50, 3), ramp(64, 48), noise(33, 9, 1)}) {
    const auto jpeg = encode_jpeg(image), png = encode_png(image);
    EXPECT_TRUE(!jpeg || *jpeg == encode_by_opencv_or_stb(image, ".jpg"));
    EXPECT_TRUE(!png || *png == encode_by_opencv_or_stb(image, ".png"));
  }
}

TEST(DecodeJpeg, LeavesOtherColoursToOtherDecoders) {
  EXPECT_FALSE(decode_jpeg(from_hex(kCmyk)));
  EXPECT_FALSE(can_reduce(encode(noise(9, 5, 3), ".png")));
  EXPECT_EQ(decode_image(encode(noise(9, 5, 3), ".png"), "x.png", 3, 4).width, 9);
}

TEST(DecodeJpeg, ReducedPixelsAreMeans) {
  if (!reduces_jpeg()) GTEST_SKIP() << "built without libjpeg";
  const auto smooth = [](int w, int h) {
    Image image(w, h, 3);
    for (int y = 0; y < h; ++y)
      for (int x = 0; x < w; ++x) {
        const int colours[] = {40 + 2 * x, 200 - 3 * y, 60 + x + y};
        std::copy_n(colours, 3, image.at(x, y));
      }
    return encode(image, ".jpg");
  };
  for (const std::string& bytes :
       {smooth(75, 41), with_exif(smooth(72, 40), 6, true), with_exif(smooth(72, 40), 3, true)})
    for (const int reduction : {1, 2, 4, 8}) {
      ASSERT_TRUE(can_reduce(bytes));
      const Image whole = decode_image(bytes, "x.jpg");
      const Image reduced = decode_image(bytes, "x.jpg", 3, reduction);
      ASSERT_EQ(reduced.width, (whole.width + reduction - 1) / reduction);
      ASSERT_EQ(reduced.height, (whole.height + reduction - 1) / reduction);
      const std::int64_t columns = whole.width / reduction, rows = whole.height / reduction;
      for (std::int64_t y = 0; y < rows; ++y)
        for (std::int64_t x = 0; x < columns; ++x)
          for (int c = 0; c < 3; ++c) {
            double sum = 0;
            for (int k = 0; k < reduction * reduction; ++k)
              sum += whole.at(x * reduction + k % reduction, y * reduction + k / reduction)[c];
            ASSERT_NEAR(reduced.at(x, y)[c], sum / (reduction * reduction), 5)
                << "1/" << reduction << " at " << x << ", " << y;
          }
    }
  const std::string turned = with_exif(smooth(76, 41), 6, true);  // 41 is no multiple
  EXPECT_EQ(decode_image(turned, "x.jpg", 3, 4).height, 76);
}

TEST(JpegSegments, AScanNeedsItsTables) {
  const std::string colour = encode(noise(40, 30, 3), ".jpg");
  EXPECT_TRUE(jpeg::scans_have_tables(colour));
  EXPECT_TRUE(jpeg::scans_have_tables(encode(noise(40, 30, 1), ".jpg")));
  int tables = 0;
  jpeg::Segment segment{0, 0, jpeg::start_of(colour)};
  while (jpeg::next_segment(colour, segment.end, segment) && segment.marker != jpeg::kEndOfImage) {
    if (segment.marker != jpeg::kHuffmanTables) continue;
    std::string changed = colour;
    changed[segment.begin] ^= 2;  // its number: 0 and 1 become 2 and 3
    EXPECT_FALSE(jpeg::scans_have_tables(changed)) << "table " << tables;
    ++tables;
  }
  EXPECT_GE(tables, 1);
}

TEST(Decode, ACutPngIsRefusedWhereverItIsCut) {
  const std::string bytes = encode(noise(20, 10, 3), ".png");
  for (std::size_t n = 1; n < bytes.size(); ++n)
    ASSERT_NE(why_refused(bytes.substr(0, n)), "") << n << " of " << bytes.size();
}

TEST(Decode, WhatIsNoImageIsRefusedByName) {
  EXPECT_EQ(why_refused(""), "x.jpg: empty file (0 bytes)");
  EXPECT_EQ(why_refused("hello"),
            "x.jpg: cannot decode image: this is no JPEG, PNG, BMP, GIF, WebP, TIFF, JPEG 2000, "
            "PNM, Radiance HDR or NPY file");
  Rng rng(3);
  for (int trial = 0; trial < 300; ++trial) {
    std::string bytes(to_size(1 + rng.below(400)), '\0');
    for (char& c : bytes) c = static_cast<char>(rng.below(256));
    EXPECT_NE(why_refused(bytes), "");
  }
  EXPECT_THROW(read_image("/nowhere/x.jpg"), Error);
  EXPECT_THROW(read_image(fs::temp_directory_path()), Error);
}

TEST(Decode, AnImmenseImageIsRefusedBeforeItIsDecoded) {
  EXPECT_EQ(why_refused(png(60000, 60000, 8, kPngRgb, "")),
            "x.jpg: this image has 60000 x 60000 pixels, more than 268435456");
  EXPECT_EQ(why_refused(png(20000, 20000, 8, kPngRgb, "")),
            "x.jpg: this image has 20000 x 20000 pixels, more than 268435456");
  std::string jpeg = from_hex(kBaseline);
  const auto frame = jpeg.find("\xFF\xC0");
  ASSERT_NE(frame, jpeg.npos);
  jpeg.replace(frame + 5, 4, "\xFF\xFF\xFF\xFE");
  EXPECT_EQ(why_refused(jpeg), "x.jpg: this image has 65534 x 65535 pixels, more than 268435456");
}

TEST(Encode, WhatCannotBeWrittenIsAnError) {
  const fs::path folder = fs::temp_directory_path();
  EXPECT_THROW(write_image(folder / "dn-x.gif", noise(2, 2, 3)), Error);
  EXPECT_THROW(write_image(folder / "dn-x.jpg", noise(65536, 1, 3)), Error);  // JPEG has 16 bits
  EXPECT_THROW(write_image(folder / "dn-x.png", Image{}), Error);
  EXPECT_THROW(write_image(folder / "dn-no-folder" / "x.png", noise(2, 2, 3)), Error);
  const Image image = noise(5, 4, 3);
  write_image(folder / "dn-x.PNG", image);
  EXPECT_EQ(read_image(folder / "dn-x.PNG").pixels, image.pixels);
  fs::remove(folder / "dn-x.PNG");
}

TEST(FileCheck, OrientationOfMalformedHeadersIsOne) {
  const std::string jpeg = encode(noise(8, 8, 3), ".jpg");
  EXPECT_EQ(exif_orientation(""), 1);
  EXPECT_EQ(exif_orientation(jpeg), 1);
  EXPECT_EQ(exif_orientation(with_exif(jpeg, 0, true)), 1);
  EXPECT_EQ(exif_orientation(with_exif(jpeg, 9, true)), 1);
  EXPECT_EQ(exif_orientation(with_exif(jpeg, 6, true)), 6);
  for (const std::string& offset :
       {std::string("\xFF\xFF\xFF\xFF"), std::string("\x20\0\0\0", 4)}) {
    std::string far = exif(6, true);
    far.replace(10, 4, offset);  // of the first directory
    EXPECT_EQ(exif_orientation(with_segment(jpeg, 0xE1, far)), 1);
  }
  std::string many = exif(6, true);
  many.replace(14, 2, "\xFF\xFF");  // entries, most beyond the segment
  many[16] = 0;                     // and the first of another tag
  EXPECT_EQ(exif_orientation(with_segment(jpeg, 0xE1, many)), 1);
}

TEST(FileCheck, EveryPrefixAndEveryDamagedByteIsReadSafely) {
  const std::string bytes = with_exif(encode(noise(8, 8, 3), ".jpg"), 6, false);
  for (std::size_t n = 0; n < bytes.size(); ++n) {
    const std::string cut(bytes, 0, n);  // of its own memory, so that a sanitizer sees overreads
    EXPECT_GE(exif_orientation(cut), 1);
    EXPECT_EQ(soundness(cut).complete, n < 2) << n;  // below 2 bytes it is no JPEG yet
    for (const char byte : {'\0', '\x7F', '\xFF', '\xD9'}) {
      std::string damaged = bytes;
      damaged[n] = byte;
      const int code = exif_orientation(damaged);
      EXPECT_TRUE(code >= 1 && code <= 8);
      soundness(damaged);
    }
  }
}

// Found under the sanitizers: stb_image 2.27 writes beyond its table of code sizes.
TEST(FileCheck, HuffmanTablesWithTooManyCodesAreRefused) {
  std::string jpeg = encode(noise(16, 16, 3), ".jpg");
  EXPECT_TRUE(soundness(jpeg).sound_tables);
  const std::size_t table = jpeg.find("\xFF\xC4");
  ASSERT_NE(table, jpeg.npos);
  jpeg[table + 4 + 1 + 15] = '\xFF';  // marker, length, class; codes of 16 bits
  jpeg[table + 4 + 1 + 14] = '\xFF';
  EXPECT_FALSE(soundness(jpeg).sound_tables);
  EXPECT_THROW(decode_image(jpeg, "x.jpg"), Error);
  EXPECT_TRUE(soundness(encode(noise(16, 16, 3), ".png")).sound_tables);
}

// A scan without data takes as long as one with them.
TEST(FileCheck, JpegsOfManyScansAreRefused) {
  const std::string jpeg = from_hex(kProgressive);
  const std::size_t scan = jpeg.find("\xFF\xDA");
  ASSERT_NE(scan, jpeg.npos);
  const std::size_t head =
      2 + static_cast<unsigned char>(jpeg[scan + 3]);  // its length is below 256
  const auto with = [&](int scans) {
    std::string more;
    for (int i = 0; i < scans; ++i) more += jpeg.substr(scan, head);
    return jpeg.substr(0, scan) + more + jpeg.substr(scan);
  };
  const std::int64_t own = soundness(jpeg).scans;
  EXPECT_GT(own, 1);
  EXPECT_EQ(soundness(with(5)).scans, own + 5);
  try {
    decode_image(with(200), "x.jpg");
    ADD_FAILURE() << "it was decoded";
  } catch (const Error& e) {
    EXPECT_EQ(e.what(), cat("x.jpg: this JPEG has ", own + 200,
                            " scans, more than 100; write it again as a baseline JPEG (jpegtran "
                            "without -progressive)"));
  }
}

TEST(FileCheck, FillBytesAndRestartsDoNotEndAJpeg) {
  EXPECT_TRUE(soundness(std::string("\xFF\xD8\xFF\xFF\xE0\0\2\xFF\xD9", 9)).complete);
  EXPECT_TRUE(soundness(std::string("\xFF\xD8\xFF\xDA\0\2ab\xFF\0\xFF\xD0z\xFF\xD9", 15)).complete);
  EXPECT_FALSE(soundness(std::string("\xFF\xD8\xFF\xDA\0\2ab\xFF\0\xFF\xD0z\xFF", 14)).complete);
  EXPECT_FALSE(
      soundness(std::string("\xFF\xD8\xFF\xE0\0\1\xFF\xD9", 8)).complete);  // a length below 2
  EXPECT_FALSE(soundness(std::string("\xFF\xD8\xFF\xE0\0\x40\xFF\xD9", 8)).complete);
  EXPECT_TRUE(soundness("BM").complete);  // other kinds have no end marker
}

}  // namespace
}  // namespace darknet
