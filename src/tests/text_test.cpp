// Text in any script: names that are no UTF-8, shaping, marks, direction, fonts, threads.
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <thread>

#include "core/utf8.h"
#include "image/canvas.h"

namespace darknet {
namespace {

constexpr Colour kWhite{255, 255, 255};
const std::string kReplacement = "\xEF\xBF\xBD";

TEST(Utf8, WhatIsNoLetterIsReplaced) {
  EXPECT_EQ(printable_utf8("Gr\xC3\xB6\xC3\x9F"
                           "e"),
            "Gr\xC3\xB6\xC3\x9F"
            "e");
  EXPECT_EQ(printable_utf8("a\xFF"
                           "b"),
            "a" + kReplacement + "b");
  EXPECT_EQ(printable_utf8("\xE4\xBA"), kReplacement + kReplacement);  // cut short
  EXPECT_EQ(printable_utf8("\xC0\xAF"), kReplacement + kReplacement);  // overlong
  EXPECT_EQ(printable_utf8("\xED\xA0\x80"), kReplacement + kReplacement + kReplacement);
  EXPECT_EQ(printable_utf8("\xF4\x90\x80\x80").size(), 4 * kReplacement.size());  // no letter
  EXPECT_EQ(printable_utf8("a\tb\nc\x1b[0m"), "a b c" + kReplacement + "[0m");
  EXPECT_EQ(printable_utf8("\x7F\xC2\x9B\xEF\xBF\xBF").find('\x7F'), std::string::npos);
  EXPECT_EQ(printable_utf8("\xF0\x9F\x9A\xB2"), "\xF0\x9F\x9A\xB2");
}

TEST(Utf8, EveryPairOfBytesGivesValidText) {
  for (int a = 0; a < 256; ++a)
    for (int b = 0; b < 256; ++b) {
      const std::string once =
          printable_utf8(std::string{static_cast<char>(a), static_cast<char>(b), 'x'});
      ASSERT_EQ(printable_utf8(once), once) << a << " " << b;
      ASSERT_EQ(once.back(), 'x');
    }
}

TEST(Utf8, MarkupIsEscaped) {
  EXPECT_EQ(escaped_markup("<a href='x' title=\"y\">&\xFF"),
            "&lt;a href=&#39;x&#39; title=&quot;y&quot;&gt;&amp;" + kReplacement);
}

class DrawnText : public testing::Test {
 protected:
  void SetUp() override {
    if (!has_canvas()) GTEST_SKIP() << text_library();
  }
};

struct Ink {
  std::int64_t pixels = 0, left = 1000, right = -1, top = 1000, bottom = -1;
};
Ink ink_of(const std::string& text, TextStyle style = {30, kWhite}) {
  Image image(600, 120, 3);
  draw_text(image, text, 60, 50, style);
  Ink ink;
  for (std::int64_t y = 0; y < image.height; ++y)
    for (std::int64_t x = 0; x < image.width; ++x)
      if (*image.at(x, y) > 128)
        ++ink.pixels, ink.left = std::min(ink.left, x), ink.right = std::max(ink.right, x),
                      ink.top = std::min(ink.top, y), ink.bottom = std::max(ink.bottom, y);
  return ink;
}

TEST_F(DrawnText, ACapitalLetterHasTheHeightThatWasAskedFor) {
  for (const std::int64_t height : {9, 12, 20, 40}) {
    const Ink ink = ink_of("H", {height, kWhite});
    EXPECT_NEAR(static_cast<double>(ink.bottom - ink.top + 1), static_cast<double>(height), 1.5);
    EXPECT_NEAR(static_cast<double>(ink.top), 50, 1.5) << height;
  }
}

TEST_F(DrawnText, LettersOfAScriptAreNotAllTheSameBox) {
  // Scripts that DejaVu Sans holds: Greek, Cyrillic, Armenian, Arabic, Hebrew is not asked for.
  for (const auto& [a, b] : {std::pair{"\xCE\xA9", "\xCE\x99"},
                             {"\xD0\x96", "\xD0\x93"},
                             {"\xD4\xB2", "\xD5\x8F"},
                             {"\xD8\xB3", "\xD8\xA7"}})
    EXPECT_GT(std::abs(ink_of(a).pixels - ink_of(b).pixels), 20) << a << " " << b;
}

TEST_F(DrawnText, ArabicLettersAreJoinedAndReadFromTheRight) {
  // Three letters beh: joined they are narrower than apart (with a zero-width non-joiner between).
  const std::string beh = "\xD8\xA8", apart = "\xE2\x80\x8C";
  EXPECT_LT(2 * text_size(beh + beh + beh, {30}).width,
            text_size(beh + apart + beh + apart + beh, {30}).width * 3 / 2);
  // Alef, a tall stroke, then seen, a wide letter that does not join it: the stroke is to the
  // right.
  Image image(200, 100, 1);
  draw_text(image, "\xD8\xA7\xD8\xB3", 20, 30, {30, kWhite});
  std::int64_t tall_at = 0, tallest = 0;
  for (std::int64_t x = 0; x < 200; ++x) {
    std::int64_t ink = 0;
    for (std::int64_t y = 0; y < 100; ++y) ink += *image.at(x, y) > 128;
    if (ink > tallest) tallest = ink, tall_at = x;
  }
  EXPECT_GT(tall_at, 20 + text_size("\xD8\xA7\xD8\xB3", {30}).width / 2);
}

TEST_F(DrawnText, CombiningMarksStandAboveTheirLetter) {
  const std::string e = "e", acute = "\xCC\x81";
  EXPECT_EQ(text_size(e + acute, {30}).width, text_size(e, {30}).width);
  EXPECT_GT(ink_of(e + acute).pixels, ink_of(e).pixels);
  EXPECT_LT(ink_of(e + acute).top, ink_of(e).top);
  EXPECT_GT(text_size("\xC3\x89", {30}).above, 2);  // E with an accent, above capital letters
  std::string pile = e;
  for (int k = 0; k < 300; ++k) pile += acute;
  EXPECT_LE(text_size(pile, {30}).above, 30);
}

TEST_F(DrawnText, BytesThatAreNoLettersAreDrawnAsSuch) {
  EXPECT_EQ(ink_of("a\xFF"
                   "b")
                .pixels,
            ink_of("a" + kReplacement + "b").pixels);
  EXPECT_GT(ink_of("\xFF").pixels, 50);
}

// "a long name ... 87%": the score of a detection stays, as does what ends names that begin alike.
TEST_F(DrawnText, TextWithoutRoomKeepsItsEnd) {
  const std::string name(60, 'o');
  const TextStyle narrow{14, kWhite, 200};
  EXPECT_LE(text_size(name + " 87%", narrow).width, 200);
  const auto drawn = [&](const std::string& text) {
    Image image(300, 40, 1);
    draw_text(image, text, 10, 10, narrow);
    return image.pixels;
  };
  EXPECT_NE(drawn(name + " 87%"), drawn(name + " 12%"));
  EXPECT_EQ(drawn(name + "o 87%"), drawn(name + "oo 87%"));
}

TEST_F(DrawnText, ANameOfAnotherDirectionLeavesTheOrderOfItsLine) {
  // "NAME 87%": the percent sign ends the line.
  const std::string name = "\xD8\xB3\xD8\xB3";
  Image with(400, 100, 1), without(400, 100, 1);
  const std::string line = isolated(name) + " 87%";
  draw_text(with, line, 20, 30, {30, kWhite});
  const std::int64_t percent = text_size("87%", {30}).width,
                     left = 20 + text_size(line, {30}).width - percent;
  draw_text(without, "87%", left, 30, {30, kWhite});
  std::int64_t same = 0, ink = 0;
  for (std::int64_t y = 0; y < 100; ++y)
    for (std::int64_t x = left - 2; x < 400; ++x)
      ink += *without.at(x, y) > 200, same += *without.at(x, y) > 200 && *with.at(x, y) > 100;
  EXPECT_GT(same, ink * 8 / 10);
  EXPECT_EQ(isolated("plain"), "plain");
}

TEST_F(DrawnText, LongTextIsCutToItsWidth) {
  const std::string text(200, 'W');
  const TextSize whole = text_size(text, {12}), cut = text_size(text, {12, kWhite, 100});
  EXPECT_GT(whole.width, 1000);
  EXPECT_LE(cut.width, 101);
  EXPECT_GT(cut.width, 70);
  EXPECT_EQ(text_size("W", {12, kWhite, 100}).width, text_size("W", {12}).width);
}

TEST_F(DrawnText, TurnedTextIsTheSameTextTurned) {
  Image flat(100, 100, 1), turned(100, 100, 1);
  const std::int64_t width = text_size("HT", {20}).width;
  draw_text(flat, "HT", 30, 40, {20, kWhite});
  draw_text(turned, "HT", 40, 30, {20, kWhite, 0, true});
  std::int64_t apart = 0;
  for (std::int64_t y = 0; y < 20; ++y)
    for (std::int64_t x = 0; x < width; ++x)
      apart += std::abs(*flat.at(30 + x, 40 + y) - *turned.at(40 + y, 30 + width - 1 - x)) > 160;
  EXPECT_LT(apart, 40);
}

TEST_F(DrawnText, SeveralThreadsDrawTheSame) {
  Image expected(300, 60, 3);
  draw_text(expected, "person 87 %", 5, 20, {14, kWhite});
  std::atomic<int> different = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (int k = 0; k < 50; ++k) {
        Image image(300, 60, 3);
        draw_text(image, "person 87 %", 5, 20, {14, kWhite});
        different += image.pixels != expected.pixels;
        text_size("another " + std::to_string(100 * t + k), {14});
      }
    });
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(different, 0);
}

TEST_F(DrawnText, AGreyImageTakesTheLuminance) {
  Image image(60, 60, 1);
  fill_rectangle(image, 0, 0, 60, 60, {0, 255, 0});
  EXPECT_EQ(*image.at(5, 5), luma_of({0, 255, 0}));
  draw_disc(image, {30, 30}, 10, {255, 0, 0});
  EXPECT_NEAR(*image.at(30, 30), luma_of({255, 0, 0}), 1);
}

}  // namespace
}  // namespace darknet
