#include "image/draw.h"
#include "core/index.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/rng.h"
#include "image/canvas.h"
#include "image/caption_places.h"

namespace darknet {
namespace {

constexpr Colour kRed{255, 0, 0}, kGreen{0, 200, 0}, kWhite{255, 255, 255}, kEdge{20, 20, 20};

bool is(const Image& image, std::int64_t x, std::int64_t y, const Colour& c) {
  return std::equal(image.at(x, y), image.at(x, y) + image.channels, c.begin());
}

TEST(Draw, ABoxIsItsOutlineAThinLineAroundItAndNothingElse) {
  Image image(100, 50, 3);
  draw_box(image, {.5f, .5f, .4f, .6f}, kGreen);  // x 30..70, y 10..40, line 1
  for (std::int64_t y = 0; y < 50; ++y)
    for (std::int64_t x = 0; x < 100; ++x) {
      const bool inside = x >= 30 && x < 70 && y >= 10 && y < 40;
      const bool edge = x == 30 || x == 69 || y == 10 || y == 39;
      const bool around = x >= 29 && x < 71 && y >= 9 && y < 41 && !inside;
      const Colour expected = inside && edge ? kGreen : around ? kEdge : Colour{};
      ASSERT_TRUE(is(image, x, y, expected)) << x << " " << y;
    }
}

TEST(Draw, ABoxPartlyOutsideShowsItsVisibleSidesOnly) {
  Image image(40, 40, 3);
  draw_box(image, {0, .5f, 1, .5f}, kGreen);  // x -20..20, y 10..30
  for (std::int64_t y = 0; y < 40; ++y)
    for (std::int64_t x = 0; x < 40; ++x) {
      const bool edge = (x < 20 && (y == 10 || y == 29)) || (x == 19 && y >= 10 && y < 30);
      ASSERT_EQ(is(image, x, y, kGreen), edge) << x << " " << y;
    }
}

TEST(Draw, TheOutlineOfASmallObjectLiesOutsideOfIt) {
  Image image(480, 480, 3);  // lines of 2 pixels
  std::fill(image.pixels.begin(), image.pixels.end(), 90);
  const Image before = image;
  draw_boxes(image, std::vector<CaptionedBox>{
                        {{240.f / 480, 240.f / 480, 8.f / 480, 8.f / 480}, kGreen, "x 50%", "x"}});
  for (std::int64_t y = 236; y < 244; ++y)
    for (std::int64_t x = 236; x < 244; ++x)
      ASSERT_TRUE(is(image, x, y, {90, 90, 90})) << x << " " << y;
  EXPECT_TRUE(is(image, 235, 240, kGreen) && is(image, 244, 240, kGreen));
  EXPECT_TRUE(is(image, 240, 235, kGreen) && is(image, 240, 244, kGreen));
}

TEST(Draw, AnOutlineReadsOnAGroundOfItsOwnColour) {
  for (int k = 0; k < 21; ++k) {
    const Colour colour = class_colour(k);
    Image image(60, 60, 3);
    for (std::int64_t y = 0; y < 60; ++y)
      for (std::int64_t x = 0; x < 60; ++x) std::copy(colour.begin(), colour.end(), image.at(x, y));
    draw_box(image, {.5f, .5f, .5f, .5f}, colour);
    EXPECT_GT(std::abs(luma_of(colour) -
                       luma_of({*image.at(14, 30), image.at(14, 30)[1], image.at(14, 30)[2]})),
              45)
        << k;
  }
}

TEST(Draw, WildBoxesAndCaptionsStayInside) {  // where they do not, a sanitizer tells
  const float wild[] = {
      0, .5f, 1, -3, 1e30f, -1e30f, std::numeric_limits<float>::infinity(), std::nanf("")};
  for (const auto& [w, h, c] :
       {std::array<std::int64_t, 3>{1, 1, 3}, {7, 300, 3}, {300, 7, 1}, {40, 30, 3}})
    for (const float x : wild)
      for (const float size : wild) {
        Image image(w, h, c);
        const std::vector<CaptionedBox> boxes{
            {{x, x, size, size}, kRed, "person 99 %", "person"},
            {{x, .5f, size, .1f}, kRed, std::string(300, 'W'), ""}};
        draw_boxes(image, boxes, {Crowded::key});
        ASSERT_EQ(image.pixels.size(), to_size(w * h * c));
        draw_boxes(image, boxes, {Crowded::legend});
        ASSERT_EQ(image.pixels.size(), to_size(image.width * image.height * image.channels));
      }
}

TEST(Draw, TextOverAnEdgeIsTheVisiblePartOfWholeText) {
  const std::int64_t margin = 60, side = 50, border = 2;  // OpenCV smooths clipped lines anew
  for (const auto& [x, y] : {std::pair{-20, 10}, {30, -4}, {5, 45}, {48, 48}, {-55, -55}}) {
    Image whole(side + 2 * margin, side + 2 * margin, 3), part(side, side, 3);
    draw_text(whole, "Wg|_1", x + margin, y + margin, {14, kWhite});
    draw_text(part, "Wg|_1", x, y, {14, kWhite});
    for (std::int64_t py = border; py < side - border; ++py)
      for (std::int64_t px = border; px < side - border; ++px)
        ASSERT_EQ(*part.at(px, py), *whole.at(px + margin, py + margin))
            << px << " " << py << " of text at " << x << " " << y;
  }
}

TEST(Draw, TextFillsAboutTheRequestedSize) {
  if (!has_canvas()) GTEST_SKIP() << text_library();
  const TextSize size = text_size("HXM", {20});
  Image image(size.width + 40, size.height + 40, 3);
  draw_text(image, "HXM", 20, 20, {20, kWhite});
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
    draw_text(image, text, 5, 5, {14, kWhite});
    draw_boxes(image, std::vector<CaptionedBox>{{{.5f, .8f, .5f, .2f}, kRed, text, text}});
    const TextSize size = text_size(text, {14});
    EXPECT_GE(size.width, 0);
    EXPECT_LE(size.width, 2 + 60 * std::ssize(text)) << text;
  }
}

// Boxes of every size, many of them on top of each other; the caption of each is its colour's.
std::vector<CaptionedBox> crowd(int count, float largest) {
  std::vector<CaptionedBox> boxes;
  Rng rng(5, 1);
  for (int k = 0; k < count; ++k) {
    const float w = .012f + largest * rng.uniform() * rng.uniform(), h = w * 1.2f;
    boxes.push_back({{rng.uniform(), rng.uniform(), w, h},
                     {static_cast<std::uint8_t>(k), 250, static_cast<std::uint8_t>(255 - k)},
                     "person 87%",
                     "person"});
  }
  return boxes;
}

TEST(Draw, AllCaptionsOfACrowdAreNumbersInALegendBelow) {
  for (const int count : {60, 200}) {
    Image image(640, 480, 3);
    const auto boxes = crowd(count, .3f);
    draw_boxes(image, boxes);
    EXPECT_EQ(image.width, 640);
    ASSERT_GT(image.height, 480) << count;
    int listed = 0;
    for (const CaptionedBox& b : boxes) {
      bool found = false;
      for (std::int64_t y = 480; y < image.height && !found; ++y)
        for (std::int64_t x = 0; x < image.width && !found; ++x) found = is(image, x, y, b.colour);
      listed += found;
    }
    EXPECT_GT(listed, count == 200 ? 199 : 0) << count;
  }
}

TEST(Draw, AVideosFrameKeepsItsSizeHoweverCrowdedItIs) {
  Image image(640, 480, 3);
  draw_boxes(image, crowd(200, .3f), {Crowded::key});
  EXPECT_EQ(image.height, 480);
  EXPECT_EQ(image.width, 640);
}

TEST(Draw, CaptionsKeepOffThePanelOfFigures) {
  const std::vector<std::string> lines{"25.0 frames a second", "12 objects"};
  Image image(320, 240, 3);
  const PixelArea panel = panel_area(image, lines);
  ASSERT_GT(panel.width, 0);
  std::vector<CaptionedBox> boxes(8, {{.2f, .2f, .05f, .05f}, kGreen, "person 87%", "person"});
  draw_boxes(image, boxes, {Crowded::key, panel});
  for (std::int64_t y = 0; y < panel.height; ++y)
    for (std::int64_t x = 0; x < std::min<std::int64_t>(panel.width, 50); ++x)
      ASSERT_TRUE(is(image, x, y, {})) << x << " " << y;
}

// The same random crowds as images of 1 to 200 objects have.
TEST(CaptionPlaces, CoverNeitherCaptionsNorSmallObjectsNorLeaders) {
  Rng rng(9, 2);
  const PixelArea image{0, 0, 640, 480}, reserved{0, 0, 200, 50};
  int placed = 0, led = 0;
  for (const int count : {1, 10, 60, 200}) {
    std::vector<PixelArea> objects;
    for (int k = 0; k < count; ++k) {
      const std::int64_t size = 4 + rng.below(k % 2 ? 8 : 120);
      objects.push_back({rng.below(640), rng.below(480), size, size});
    }
    CaptionPlaces places(image, objects, {reserved});
    std::vector<CaptionPlace> taken;
    for (std::size_t k = 0; k < objects.size(); ++k)
      if (const auto place = places.take(k, 70, 17, 100)) taken.push_back(*place);
    placed += static_cast<int>(taken.size());
    for (std::size_t i = 0; i < taken.size(); ++i) {
      const PixelArea& a = taken[i].area;
      led += taken[i].leader.has_value();
      EXPECT_EQ(a.common(reserved), 0);
      EXPECT_EQ(a.common(image), 70 * 17);
      for (const PixelArea& o : objects) EXPECT_LE(5 * a.common(o), o.width * o.height);
      for (std::size_t k = 0; k < taken.size(); ++k) {
        if (k == i) continue;
        EXPECT_EQ(a.common(taken[k].area), 0);
        const auto& leader = taken[k].leader;
        EXPECT_FALSE(leader && crosses(leader->first, leader->second, a));
      }
    }
  }
  EXPECT_GT(placed, 80);
  EXPECT_GT(led, 5);
}

TEST(CaptionPlaces, ALoneObjectHasItsCaptionOnTopOfIt) {
  CaptionPlaces places({0, 0, 640, 480}, {{300, 200, 40, 30}}, {});
  const auto place = places.take(0, 70, 17, 100);
  ASSERT_TRUE(place);
  EXPECT_FALSE(place->leader);
  EXPECT_EQ(place->area.x, 300);
  EXPECT_EQ(place->area.bottom(), 200);
}

TEST(CaptionPlaces, ALeaderEndsAtItsObject) {
  // The object sits between others that leave no room next to it.
  std::vector<PixelArea> objects{{300, 200, 10, 10}};
  for (std::int64_t x = 270; x <= 330; x += 12)
    for (std::int64_t y = 170; y <= 230; y += 12)
      if (x != 306 || y != 206) objects.push_back({x, y, 9, 9});
  CaptionPlaces places({0, 0, 640, 480}, objects, {});
  const auto place = places.take(0, 70, 17, 200);
  ASSERT_TRUE(place && place->leader);
  const CanvasPoint end = place->leader->second;
  EXPECT_TRUE(end.x >= 300 && end.x <= 310 && end.y >= 200 && end.y <= 210);
}

TEST(CaptionPlaces, ThereIsNoneInAImageThatIsTooSmall) {
  CaptionPlaces places({0, 0, 40, 40}, {{10, 10, 5, 5}}, {});
  EXPECT_FALSE(places.take(0, 70, 17, 100));
}

TEST(Crosses, SaysWhetherALineMeetsAnArea) {
  const PixelArea area{10, 10, 20, 10};
  EXPECT_TRUE(crosses({0, 15}, {50, 15}, area));
  EXPECT_TRUE(crosses({15, 12}, {16, 13}, area));  // within
  EXPECT_TRUE(crosses({5, 5}, {40, 25}, area));
  EXPECT_FALSE(crosses({0, 15}, {9, 15}, area));
  EXPECT_FALSE(crosses({0, 0}, {50, 9}, area));
  EXPECT_FALSE(crosses({5, 18}, {15, 30}, area));
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
