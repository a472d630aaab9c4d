// What is checked before a file reaches a decoder: its kind, its size, its end; and what is kept of
// a decoder's complaints. Of every kind of image.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <iostream>
#include <thread>
#include <vector>

#include "core/error.h"
#include "core/log.h"
#include "core/rng.h"
#include "dataset/image_sizes.h"
#include "image/codec.h"
#include "image/decoder_messages.h"
#include "image/file_check.h"
#include "image/image.h"
#include "image/image_size.h"
#include "image/image_warnings.h"
#include "image/jpeg_segments.h"
#include "tests/image_bytes.h"
#include "tests/image_samples.h"
#include "tests/temporary_folder.h"

namespace darknet {
namespace {
using namespace testing_images;
using testing_files::error_of;

std::string refusal_of(const std::string& bytes) {
  return error_of([&] { decode_image(bytes, "x"); });
}

std::string bytes_of(const char* text, std::size_t size) { return {text, size}; }

// A header that says w x h, of every kind.
struct Header {
  const char* name;
  std::string (*bytes)(std::uint32_t w, std::uint32_t h);
};

std::string jpeg2000(std::uint32_t w, std::uint32_t h) {
  const auto n = [](std::uint32_t v, int bytes) { return number(v, bytes, false); };
  return "\xFF\x4F\xFF\x51" + n(47, 2) + n(0, 2) + n(w + 5, 4) + n(h + 7, 4) + n(5, 4) + n(7, 4) +
         n(w, 4) + n(h, 4) + n(0, 4) + n(0, 4) + n(3, 2) + std::string(9, '\1');
}

const Header kHeaders[] = {
    {"jpeg",
     [](std::uint32_t w, std::uint32_t h) {
       return "\xFF\xD8\xFF\xC0" + number(11, 2, false) + "\x08" + number(h, 2, false) +
              number(w, 2, false) + "\x01\x01\x11" + bytes_of("\0\xFF\xD9", 3);
     }},
    {"png", [](std::uint32_t w, std::uint32_t h) { return png(w, h, 8, kPngRgb, ""); }},
    {"bmp",
     [](std::uint32_t w, std::uint32_t h) {
       return "BM" + std::string(12, '\0') + number(40, 4, true) + number(w, 4, true) +
              number(0 - h, 4, true) + std::string(28, '\0');
     }},
    {"bmp_of_os2",
     [](std::uint32_t w, std::uint32_t h) {
       return "BM" + std::string(12, '\0') + number(12, 4, true) + number(w, 2, true) +
              number(h, 2, true) + bytes_of("\1\0\x18\0", 4);
     }},
    {"gif", [](std::uint32_t w, std::uint32_t h) { return gif(w, h, {"\1"}); }},
    {"tiff_little", [](std::uint32_t w, std::uint32_t h) { return tiff(w, h, "", true); }},
    {"tiff_big", [](std::uint32_t w, std::uint32_t h) { return tiff(w, h, "", false); }},
    {"bigtiff",
     [](std::uint32_t w, std::uint32_t h) {
       const auto n = [](std::uint32_t v, int bytes) { return number(v, bytes, true); };
       const auto entry = [&](std::uint32_t tag, std::uint32_t v) {
         return n(tag, 2) + n(4, 2) + n(1, 4) + n(0, 4) + n(v, 4) + n(0, 4);
       };
       return "II" + n(43, 2) + n(8, 2) + n(0, 2) + n(16, 4) + n(0, 4) + n(2, 4) + n(0, 4) +
              entry(256, w) + entry(257, h) + n(0, 4) + n(0, 4);
     }},
    {"jpeg2000_codestream", jpeg2000},
    {"jpeg2000_boxes",
     [](std::uint32_t w, std::uint32_t h) {
       return bytes_of(
                  "\0\0\0\x0CjP  \r\n\x87\n\0\0\0\x14"
                  "ftypjp2 \0\0\0\0jp2 \0\0\0\0jp2c",
                  40) +
              jpeg2000(w, h);
     }},
    {"pnm",
     [](std::uint32_t w, std::uint32_t h) {
       return "P6\n# by hand 7\n" + std::to_string(w) + "\t" + std::to_string(h) + "\n255\n";
     }},
    {"hdr",
     [](std::uint32_t w, std::uint32_t h) {
       return "#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y " + std::to_string(h) + " +X " +
              std::to_string(w) + "\n";
     }},
    {"webp_extended",
     [](std::uint32_t w, std::uint32_t h) {
       return webp_with_exif(std::string(12, '\0'), w, h, exif(1, true));
     }},
};

TEST(ImageSize, IsReadFromTheHeaderOfEveryKind) {
  for (const Header& header : kHeaders) {
    const std::string bytes = header.bytes(1234, 567);
    EXPECT_NE(file_kind(bytes), FileKind::unknown) << header.name;
    const ImageSize size = image_size(bytes);
    EXPECT_EQ(size.width, 1234) << header.name;
    EXPECT_EQ(size.height, 567) << header.name;
    for (std::size_t n = 0; n < bytes.size(); ++n) image_size(bytes.substr(0, n));
  }
  EXPECT_EQ(image_size(from_hex(kBaseline)).width, 20);
  EXPECT_EQ(image_size(from_hex(kProgressive)).height, 12);
  EXPECT_EQ(image_size("hello").width, 0);
}

// 65535 x 65535 are 2^32 pixels; a decoder would have to hold 12 GB.
TEST(ImageSize, AnImmenseImageOfEveryKindIsRefusedBeforeItIsDecoded) {
  for (const Header& header : kHeaders)
    EXPECT_EQ(refusal_of(header.bytes(65535, 65535)),
              "x: this image has 65535 x 65535 pixels, more than 268435456")
        << header.name;
}

TEST(ImageSize, WhatCannotBeMeasuredIsRefused) {
  for (const std::string& bytes :
       {std::string("8BPS\0\1\0\0\0\0\0\0\0\3\0\0\0\1\0\0\0\1\0\x08\0\3", 26),  // Photoshop
        std::string("\x59\xA6\x6A\x95\0\0\0\1\0\0\0\1\0\0\0\x18", 16),          // Sun raster
        std::string("v/1\1\2\0\0\0", 8), std::string("NITF02.10"), std::string("P7\nWIDTH 1\n"),
        tiff(0, 1, "abc", true), kHeaders[0].bytes(5, 0)})
    EXPECT_EQ(refusal_of(bytes).find("x: cannot decode image: this "), 0) << bytes;
  std::string components = jpeg2000(5, 5);
  components[41] = '\x40';  // of 64 components each is as large as the image
  EXPECT_EQ(image_size(components).width, 0);
}

TEST(ImageSize, OfARepeatedTagTheLargestCounts) {
  std::string bytes = tiff(9, 9, "", true);
  bytes.replace(8 + 2 + 3 * 12, 12, bytes.substr(8 + 2, 12));  // the fourth entry: a width too
  bytes.replace(8 + 2 + 3 * 12 + 8, 4, number(70000, 4, true));
  EXPECT_EQ(image_size(bytes).width, 70000);
}

TEST(Kinds, ADamagedFileIsRefusedByItsKind) {
  for (const auto& [bytes, kind] :
       {std::pair(std::string("BM") + std::string(12, '\0') + number(40, 4, true) +
                      number(9, 4, true) + number(9, 4, true) + std::string(28, '\7'),
                  "BMP"),
        std::pair(jpeg2000(9, 9), "JPEG 2000"),
        std::pair(webp_with_exif(std::string(12, '\0'), 9, 9, exif(1, true)), "WebP")})
    EXPECT_EQ(refusal_of(bytes), cat("x: cannot decode image: this ", kind,
                                     " file is damaged, cut short or of a variant that ",
                                     image_library(), " does not read"));
}

// The canvas of a small file of a small image has to be decodable as before.
TEST(Kinds, GifsFirstFrameIsRead) {
  std::string first, second;
  for (int i = 0; i < 15 * 11; ++i) first += static_cast<char>(i % 128), second += '\7';
  for (const auto& frames : {std::vector{first}, std::vector{first, second}}) {
    const Image image = decode_image(gif(15, 11, frames), "x.gif");
    ASSERT_EQ(image.width, 15);
    ASSERT_EQ(image.height, 11);
    ASSERT_EQ(image.channels, 3);
    for (std::size_t i = 0; i < first.size(); ++i)
      for (std::size_t c = 0; c < 3; ++c) ASSERT_EQ(image.pixels[3 * i + c], 2 * first[i]);
  }
}

TEST(Kinds, ACutGifIsRefusedWhereverItIsCut) {
  const std::string bytes = gif(20, 20, {std::string(400, '\5')});
  ASSERT_EQ(refusal_of(bytes), "");
  EXPECT_EQ(refusal_of(bytes.substr(0, bytes.size() - 1)), "");  // the trailer says nothing
  for (std::size_t n = 1; n + 1 < bytes.size(); ++n)
    ASSERT_NE(refusal_of(bytes.substr(0, n)), "") << n;
}

TEST(Kinds, TiffIsReadWhereOpenCvIs) {
  if (image_library() == "stb") GTEST_SKIP() << "stb has no TIFF";
  for (const bool little : {true, false}) {
    const Image image = decode_image(tiff(2, 1, "abcdef", little), "x.tif");
    EXPECT_EQ(std::string(image.pixels.begin(), image.pixels.end()), "abcdef");
  }
}

// Where pixel (0, 0) of the stored image comes to lie (Exif 2.3, 4.6.4): right or not, below or
// not.
constexpr bool kCorner[8][2] = {{false, false}, {true, false}, {true, true}, {false, true},
                                {false, false}, {true, false}, {true, true}, {false, true}};

void expect_upright(const std::string& bytes, int code) {
  ASSERT_EQ(exif_orientation(bytes), code);
  const Image image = decode_image(bytes, "x");
  ASSERT_EQ(image.width, code < 5 ? 3 : 2);
  ASSERT_EQ(image.height, code < 5 ? 2 : 3);
  const bool* const corner = kCorner[code - 1];
  EXPECT_EQ(image.at(corner[0] ? image.width - 1 : 0, corner[1] ? image.height - 1 : 0)[0], 255)
      << code;
}

Image marked() {
  Image image(3, 2, 3);
  image.pixels[0] = 255;
  return image;
}

TEST(Orientation, HoldsForPng) {
  const std::string plain = encode(marked(), ".png");
  for (const bool little : {true, false})
    for (const bool at_the_end : {true, false})
      for (int code = 1; code <= 8; ++code) {
        const std::string tiff = exif(code, little).substr(6);
        expect_upright(png_with_chunk(plain, "eXIf", tiff, at_the_end), code);
      }
  expect_upright(png_with_chunk(plain, "eXIf", exif(6, true)), 6);  // as some programs write it
  std::string bytes = png_with_chunk(plain, "eXIf", exif(6, true).substr(6));
  bytes[33] = '\x7F';  // a length beyond the end
  EXPECT_EQ(exif_orientation(bytes), 1);
}

TEST(Orientation, HoldsForWebp) {
  const std::string plain = encode(marked(), ".webp");
  if (image_library() == "stb") GTEST_SKIP() << "stb has no WebP";
  for (int code = 1; code <= 8; ++code) {
    expect_upright(webp_with_exif(plain, 3, 2, exif(code, true).substr(6)), code);
    expect_upright(webp_with_exif(plain, 3, 2, exif(code, false)), code);
  }
}

class Sizes : public testing_files::InFolder {};

// Beyond the 64 KiB in which most files report everything.
TEST_F(Sizes, KnowTheOrientationBehindThePixels) {
  const std::string turned = exif(6, true).substr(6);
  const std::string large = encode(noise(200, 150, 3), ".png");
  ASSERT_GT(large.size(), 65536u);
  ImageSize size = image_size_of(file("a.png", png_with_chunk(large, "eXIf", turned, true)));
  EXPECT_EQ(size.width, 150);
  EXPECT_EQ(size.height, 200);
  EXPECT_EQ(image_size_of(file("b.png", large)).width, 200);
  EXPECT_EQ(image_size_of(file("c.gif", gif(15, 1, {std::string(15, '\1')}))).width, 15);
  if (image_library() == "stb") return;
  const std::string webp = encode(noise(200, 150, 3), ".webp");
  ASSERT_GT(webp.size(), 65536u);
  size = image_size_of(file("a.webp", webp_with_exif(webp, 200, 150, turned)));
  EXPECT_EQ(size.width, 150);
}

// The end marker is all that is missing, or half of it.
TEST(EndMarker, IsNotNeededWhereEverythingElseIsThere) {
  for (const std::string& bytes :
       {from_hex(kBaseline), from_hex(kProgressive), encode(noise(40, 30, 3), ".jpg"),
        encode(ramp(64, 48), ".jpg"), from_hex(kCmyk), encode(noise(7, 9, 1), ".jpg")}) {
    ASSERT_TRUE(bytes.ends_with("\xFF\xD9"));
    const Image whole = decode_image(bytes, "x.jpg");
    for (const std::size_t missing : {1u, 2u})
      EXPECT_EQ(decode_image(bytes.substr(0, bytes.size() - missing), "x.jpg").pixels,
                whole.pixels);
    for (std::size_t n = 1; n < bytes.size() - 2; ++n)
      ASSERT_NE(refusal_of(bytes.substr(0, n)), "") << n << " of " << bytes.size();
  }
}

TEST(EndMarker, AProgressiveJpegThatEndsBetweenScansIsCut) {
  const std::string bytes = from_hex(kProgressive);
  EXPECT_TRUE(jpeg::scans_are_all_there(bytes));
  const std::size_t last = bytes.rfind("\xFF\xDA");
  const std::string cut = bytes.substr(0, last);
  EXPECT_FALSE(jpeg::scans_are_all_there(cut));
  EXPECT_NE(refusal_of(cut), "");
}

// ISO 10918-1, B.1.1.2: any number of fill bytes may stand before a marker.
TEST(FillBytes, BeforeTheFirstMarkerChangeNothing) {
  const std::string jpeg = encode(noise(16, 16, 3), ".jpg");
  const Image plain = decode_image(jpeg, "x.jpg");
  for (const std::size_t fill : {1u, 2u, 5u}) {
    std::string bytes = std::string(fill, '\xFF') + jpeg;
    EXPECT_EQ(decode_image(bytes, "x.jpg").pixels, plain.pixels);
    EXPECT_TRUE(soundness(bytes).complete);
    EXPECT_EQ(image_size(bytes).width, 16);
    EXPECT_EQ(exif_orientation(std::string(fill, '\xFF') + with_exif(jpeg, 6, true)), 6);
    const std::size_t table = bytes.find("\xFF\xC4");
    ASSERT_NE(table, bytes.npos);
    bytes[table + 4 + 1 + 15] = bytes[table + 4 + 1 + 14] = '\xFF';  // counts of long codes
    EXPECT_FALSE(soundness(bytes).sound_tables);
    EXPECT_EQ(refusal_of(bytes), "x: damaged image: invalid Huffman tables");
  }
}

TEST(FillBytes, TablesThatTheFileEndsInAreUnsound) {
  const std::string jpeg = encode(noise(16, 16, 3), ".jpg");
  const std::size_t table = jpeg.find("\xFF\xC4");
  for (const std::size_t n : {2u, 3u, 4u, 10u, 21u})
    EXPECT_FALSE(soundness(jpeg.substr(0, table + n)).sound_tables) << n;
}

TEST(DecoderMessages, AreKeptByThread) {
  const DecoderMessageStreams streams;
  testing::internal::CaptureStderr();
  {
    const DecoderMessages messages;
    std::fprintf(stderr, "lib%s warning: %d\n", "png", 7);
    std::cerr << "also " << 8 << "\n";
    {
      const DecoderMessages inner;
      std::fprintf(stderr, "inner\n");
      EXPECT_EQ(inner.text(), "inner\n");
    }
    EXPECT_EQ(messages.text(), "libpng warning: 7\nalso 8\n");
  }
  std::fprintf(stderr, "after");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "after");
}

// For the thread sanitizer: decoders begin and end while others print, and log.
TEST(DecoderMessages, DecodersAndOtherThreadsPrintAtOnce) {
  constexpr int kThreads = 4, kTimes = 200;
  const DecoderMessageStreams streams;
  testing::internal::CaptureStderr();
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t)
    threads.emplace_back([&wrong, t] {
      for (int i = 0; i < kTimes; ++i) {
        const DecoderMessages messages;
        std::fprintf(stderr, "decoder %d\n", t);
        wrong += messages.text() != cat("decoder ", t, "\n");
      }
    });
  for (int i = 0; i < kTimes; ++i) {
    std::fprintf(stderr, "printed\n");
    log::warn("logged");
  }
  for (std::thread& t : threads) t.join();
  const std::string seen = testing::internal::GetCapturedStderr();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(seen.find("decoder"), seen.npos);
  const auto count = [&](std::string_view text) {
    int found = 0;
    for (auto at = seen.find(text); at != seen.npos; at = seen.find(text, at + 1)) ++found;
    return found;
  };
  EXPECT_EQ(count("printed\n"), kTimes);
  EXPECT_EQ(count("logged\n"), kTimes);
}

// A message from inside of a decoder's call belongs to the log all the same.
TEST(DecoderMessages, HoldNothingThatIsLogged) {
  const DecoderMessageStreams streams;
  testing::internal::CaptureStderr();
  {
    const DecoderMessages messages;
    log::warn("logged");
    EXPECT_EQ(messages.text(), "");
  }
  EXPECT_NE(testing::internal::GetCapturedStderr().find("logged"), std::string::npos);
}

// stb reads beyond its buffer where grey samples have 16 bits, and beyond the file where some are
// missing; found by fuzzing.
TEST(Pnm, SamplesAreAllThereAndOfEightOrSixteenBits) {
  using Bytes = std::vector<std::uint8_t>;
  EXPECT_EQ(decode_image("P5 2 1 65535\n\x12\x34\xAB\xCD", "x").pixels,
            (Bytes{0x12, 0x12, 0x12, 0xAB, 0xAB, 0xAB}));
  EXPECT_EQ(decode_image("P6 1 1 65535\n\x12\x34\xAB\xCD\x56\x78", "x").pixels,
            (Bytes{0x12, 0xAB, 0x56}));
  EXPECT_EQ(decode_image("P5 2 1 255\nab", "x").pixels, (Bytes{'a', 'a', 'a', 'b', 'b', 'b'}));
  for (const char* bytes : {"P5 2 1 70000\nabcd", "P5 2 1 4444444444444444444444\nabcd",
                            "P5 2 1 0\nab", "P5 2 1 255\na", "P6 2 1 255\nabc"})
    EXPECT_NE(refusal_of(bytes), "") << bytes;
}

// libpng complains of a colour profile; the pixels are as before.
TEST(DecoderMessages, ArePrintedOncePerRun) {
  const std::string odd =
      png_with_chunk(encode(noise(5, 4, 3), ".png"), "iCCP", std::string("x\0\0damaged", 10));
  const DecoderMessageStreams streams;
  { const ImageWarningSummary of_tests_before; }  // which may have run in this process
  testing::internal::CaptureStderr();
  {
    const ImageWarningSummary at_the_end;
    for (int epoch = 0; epoch < 3; ++epoch)
      for (const char* name : {"a.png", "b.png", "c.png"})
        EXPECT_EQ(decode_image(odd, name).pixels, noise(5, 4, 3).pixels);
    const std::string jpeg = encode(noise(16, 16, 3), ".jpg");
    decode_image(jpeg.substr(0, jpeg.size() - 2), "d.jpg");
  }
  const std::string said = testing::internal::GetCapturedStderr();
  const auto times = [&](const std::string& text) {
    int n = 0;
    for (auto at = said.find(text); at != said.npos; at = said.find(text, at + 1)) ++n;
    return n;
  };
  EXPECT_EQ(times("d.jpg: the end marker is missing"), 1) << said;
  if (image_library() == "stb") return;  // it says nothing of profiles
  EXPECT_EQ(times("a.png: libpng warning: iCCP"), 1) << said;
  EXPECT_EQ(times("libpng warning"), 3) << said;
  EXPECT_EQ(times("4 images used in spite of small errors"), 1) << said;
}

}  // namespace
}  // namespace darknet
