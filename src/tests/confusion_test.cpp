// The confusion matrix as an image: counts, shades, any number of classes.
#include "report/confusion.h"
#include "core/index.h"
#include "image/canvas.h"

#include <gtest/gtest.h>

#include <fmt/format.h>

#include <set>

namespace darknet {
namespace {

DetectionErrors errors_of(std::int64_t classes) {
  DetectionErrors e{.classes = classes};
  e.confusion.resize(to_size((classes + 1) * (classes + 1)));
  return e;
}
std::int64_t& cell(DetectionErrors& e, std::int64_t truth, std::int64_t detected) {
  return e.confusion[to_size(truth * (e.classes + 1) + detected)];
}
std::vector<std::string> names_of(std::int64_t classes) {
  std::vector<std::string> names;
  for (std::int64_t k = 0; k < classes; ++k) names.push_back(fmt::format("class {}", k));
  return names;
}

// Bluish or orange pixels, dark enough to be a large share.
std::int64_t strong(const Image& image, bool blue) {
  std::int64_t n = 0;
  for (std::int64_t y = 0; y < image.height; ++y)
    for (std::int64_t x = 0; x < image.width; ++x) {
      const std::uint8_t* p = image.at(x, y);
      n += blue ? p[2] > p[0] + 100 : p[0] > p[2] + 100;
    }
  return n;
}

TEST(ConfusionImage, RightAndWrongAreDistinguishedByColour) {
  DetectionErrors e = errors_of(3);
  for (std::int64_t k = 0; k < 3; ++k) cell(e, k, k) = 10;
  const Image right = confusion_image(e, names_of(3), "t");
  DetectionErrors f = errors_of(3);
  for (std::int64_t k = 0; k < 3; ++k) cell(f, k, 3) = 10;
  const Image wrong = confusion_image(f, names_of(3), "t");
  constexpr std::int64_t kCells =
      std::int64_t{3} * 63 * 63;  // of 64 pixels with a line between, some with text
  EXPECT_GT(strong(right, true), kCells * 8 / 10);
  EXPECT_GT(strong(wrong, false), kCells * 8 / 10);
  EXPECT_LT(strong(right, false), kCells / 4);  // the scale alone
  EXPECT_LT(strong(wrong, true), kCells / 4);
}

TEST(ConfusionImage, LongNamesLeaveRoomForTheWholeScale) {
  if (!has_canvas()) GTEST_SKIP() << "without text";
  DetectionErrors e = errors_of(1);
  cell(e, 0, 0) = 1;
  const Image short_name = confusion_image(e, {"a"}, "t");
  const Image long_name = confusion_image(e, {std::string(40, 'a')}, "t");
  EXPECT_GT(long_name.width, short_name.width + 50);
}

TEST(ConfusionImage, IsDrawnForAnyNumberOfClasses) {
  for (const std::int64_t classes : {1, 2, 13, 80, 200, 1000, 2500}) {
    DetectionErrors e = errors_of(classes);
    for (std::int64_t k = 0; k < classes; ++k) cell(e, k, k) = 5;
    cell(e, 0, classes) = 5, cell(e, classes, 0) = 2;
    const Image image = confusion_image(e, names_of(classes), "t");
    EXPECT_LE(image.width, 2100) << classes;
    EXPECT_LE(image.height, 2500) << classes;
    EXPECT_GT(strong(image, true), std::min<std::int64_t>(classes, 500)) << classes;
  }
}

TEST(ConfusionImage, OneConfusionAmongThousandClassesIsSeen) {
  DetectionErrors e = errors_of(2500);
  cell(e, 100, 100) = 1;
  const std::int64_t before = strong(confusion_image(e, names_of(2500), "t"), false);
  cell(e, 1200, 700) = 4;  // all of its row
  EXPECT_GT(strong(confusion_image(e, names_of(2500), "t"), false), before);
}

TEST(ConfusionImage, NothingFoundAndHostileNamesAreDrawnToo) {
  const DetectionErrors e = errors_of(2);
  const Image image = confusion_image(e, {"\xFF\xFE", std::string(500, 'W')}, "\x1b");
  EXPECT_LT(image.width, 700);
}

}  // namespace
}  // namespace darknet
