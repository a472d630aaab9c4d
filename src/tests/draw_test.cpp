#include "image/draw.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace darknet {
namespace {

constexpr Colour kRed{255, 0, 0}, kWhite{255, 255, 255};

bool is(const Image& image, std::int64_t x, std::int64_t y, const Colour& c) {
  return std::equal(image.at(x, y), image.at(x, y) + image.channels, c.begin());
}

TEST(Draw, ABoxIsItsOutlineAndNothingElse) {
  Image image(100, 50, 3);
  draw_box(image, {.5f, .5f, .4f, .6f}, kRed, "");  // x 30..70, y 10..40, line 1
  for (std::int64_t y = 0; y < 50; ++y)
    for (std::int64_t x = 0; x < 100; ++x) {
      const bool inside = x >= 30 && x < 70 && y >= 10 && y < 40;
      const bool edge = x == 30 || x == 69 || y == 10 || y == 39;
      ASSERT_TRUE(is(image, x, y, inside && edge ? kRed : Colour{})) << x << " " << y;
    }
}

TEST(Draw, ABoxPartlyOutsideShowsItsVisibleSidesOnly) {
  Image image(40, 40, 3);
  draw_box(image, {0, .5f, 1, .5f}, kRed, "");  // x -20..20, y 10..30
  for (std::int64_t y = 0; y < 40; ++y)
    for (std::int64_t x = 0; x < 40; ++x) {
      const bool edge = (x < 20 && (y == 10 || y == 29)) || (x == 19 && y >= 10 && y < 30);
      ASSERT_TRUE(is(image, x, y, edge ? kRed : Colour{})) << x << " " << y;
    }
}

TEST(Draw, WildBoxesAndCaptionsStayInside) {  // where they do not, a sanitizer tells
  const float wild[] = {
      0, .5f, 1, -3, 1e30f, -1e30f, std::numeric_limits<float>::infinity(), std::nanf("")};
  for (const auto& [w, h, c] : {std::array{1, 1, 3}, {7, 300, 3}, {300, 7, 1}, {40, 30, 3}})
    for (const float x : wild)
      for (const float size : wild) {
        Image image(w, h, c);
        draw_box(image, {x, x, size, size}, kRed, "person 99 %");
        draw_box(image, {x, .5f, size, .1f}, kRed, std::string(300, 'W'));
        ASSERT_EQ(image.pixels.size(), static_cast<std::size_t>(w * h * c));
      }
}

TEST(Draw, TextOverAnEdgeIsTheVisiblePartOfWholeText) {
  constexpr std::int64_t margin = 60, side = 50, border = 2;  // OpenCV smooths clipped lines anew
  for (const auto& [x, y] : {std::pair{-20, 10}, {30, -4}, {5, 45}, {48, 48}, {-55, -55}}) {
    Image whole(side + 2 * margin, side + 2 * margin, 3), part(side, side, 3);
    draw_text(whole, "Wg|_1", x + margin, y + margin, 14, kWhite);
    draw_text(part, "Wg|_1", x, y, 14, kWhite);
    for (std::int64_t py = border; py < side - border; ++py)
      for (std::int64_t px = border; px < side - border; ++px)
        ASSERT_EQ(*part.at(px, py), *whole.at(px + margin, py + margin))
            << px << " " << py << " of text at " << x << " " << y;
  }
}

TEST(Draw, TextFillsAboutTheSizeToldForIt) {
  const TextSize size = text_size("HXM", 20);
  Image image(size.width + 40, size.height + 40, 3);
  draw_text(image, "HXM", 20, 20, 20, kWhite);
  std::int64_t left = 1000, right = -1, top = 1000, bottom = -1;
  for (std::int64_t y = 0; y < image.height; ++y)
    for (std::int64_t x = 0; x < image.width; ++x)
      if (*image.at(x, y) > 128)
        left = std::min(left, x), right = std::max(right, x), top = std::min(top, y),
        bottom = std::max(bottom, y);
  EXPECT_GE(left, 19);
  EXPECT_GE(top, 19);
  EXPECT_LE(right, 21 + size.width);
  EXPECT_LE(bottom, 21 + size.height);
  EXPECT_GT(right - left, size.width / 2);
  EXPECT_GT(bottom - top, 10);
}

TEST(Draw, NamesInAnyLanguageAreSafe) {
  for (const std::string text : {"Größe", "\xE4\xBA\xBA 90 %", "\x7F\x80\xFF", "a\tb\nc\r", ""}) {
    Image image(200, 40, 3);
    draw_text(image, text, 5, 5, 14, kWhite);
    draw_box(image, {.5f, .8f, .5f, .2f}, kRed, text);
    const TextSize size = text_size(text, 14);
    EXPECT_GE(size.width, 0);
    EXPECT_LE(size.width, 2 + 60 * static_cast<std::int64_t>(text.size())) << text;
  }
}

TEST(Draw, CaptionsOfCrowdedBoxesDoNotCoverEachOther) {
  std::vector<CaptionedBox> boxes;
  for (std::uint8_t k = 0; k < 7; ++k)
    boxes.push_back({{.5f, .5f, .4f, .4f}, {static_cast<std::uint8_t>(200 + k), 10, k}, "ii"});
  Image image(400, 300, 3);
  draw_boxes(image, boxes);
  std::vector<std::int64_t> visible(boxes.size());
  for (std::int64_t y = 0; y < image.height; ++y)
    for (std::int64_t x = 0; x < image.width; ++x)
      for (std::size_t k = 0; k < boxes.size(); ++k) visible[k] += is(image, x, y, boxes[k].colour);
  for (std::size_t k = 1; k < boxes.size(); ++k) EXPECT_GT(2 * visible[k], visible[0]) << k;
}

TEST(Draw, NeighbouringClassesHaveDifferentColours) {
  for (int k = 0; k < 80; ++k) {
    const Colour a = class_colour(k), b = class_colour(k + 1);
    int difference = 0;
    for (std::size_t c = 0; c < 3; ++c) difference += std::abs(int{a[c]} - b[c]);
    EXPECT_GT(difference, 100) << k;
  }
}

}  // namespace
}  // namespace darknet
