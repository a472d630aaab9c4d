// Invalid labels: how far a box may reach out of its image, and -bad_labels in every
// command that reads labels.
#include <gtest/gtest.h>

#include "cli_harness.h"
#include "dataset/check.h"
#include "dataset/labels.h"
#include "image/codec.h"
#include "tests/image_samples.h"
#include "tests/temporary_folder.h"

namespace darknet::test {
namespace {

struct Parsed {
  Labels labels;
  std::vector<std::string> errors;
};

Parsed parse(const std::string& text, const ImageSize& size, BadLabels bad = BadLabels::stop) {
  Parsed p;
  const LabelRules rules{.classes = 3, .bad = bad, .size = [&] { return size; }};
  p.labels =
      parse_labels(text, rules, [&](int, const std::string& why) { p.errors.push_back(why); });
  return p;
}

// A pixel of 480 is .00208: more than a thousandth, less than two pixels.
TEST(Overhang, OfTwoPixelsIsClipped) {
  const std::string one_pixel_out = "0 .0979167 .5 .2 .5\n";  // left edge at -1 / 480
  Parsed p = parse(one_pixel_out, {480, 360});
  EXPECT_EQ(p.errors.size(), 0u);
  EXPECT_EQ(p.labels.clipped, 1);
  ASSERT_EQ(p.labels.truths.size(), 1u);
  EXPECT_NEAR(p.labels.truths[0].box.left(), 0, 1e-6);
  EXPECT_NEAR(p.labels.truths[0].box.right(), .1979167, 1e-6);
  EXPECT_EQ(parse(one_pixel_out, {}).errors.size(), 1u);                  // its size is not known
  EXPECT_EQ(parse(one_pixel_out, {4000, 360}).errors.size(), 1u);         // 8 pixels
  EXPECT_EQ(parse("0 .5 .5 .2 1.0108\n", {480, 360}).errors.size(), 0u);  // 1.94 pixels of 360
  EXPECT_EQ(parse("0 .5 .5 .2 1.0114\n", {480, 360}).errors.size(), 1u);  // 2.05
  EXPECT_EQ(parse("0 .5 .5 .2 1.0111111\n", {480, 360}).errors.size(), 0u);  // 2, six digits
  EXPECT_EQ(parse("0 .5 .5 1.0018 1\n", {10000, 10000}).errors.size(), 0u);  // a thousandth: 9
}

TEST(BadLabels, ClipKeepsWhatLiesInTheImage) {
  const Parsed p = parse(
      "1 .1 .5 .4 .5\n"    // from -.1 to .3
      "0 1.5 .5 .2 .2\n"   // outside altogether
      "0 208 208 50 50\n"  // pixels
      "0 .5 .5 .1\n"
      "2 .5 .5 3 .5\n",
      {480, 360}, BadLabels::clip);
  ASSERT_EQ(p.labels.truths.size(), 2u);
  EXPECT_NEAR(p.labels.truths[0].box.x, .15, 1e-6);
  EXPECT_NEAR(p.labels.truths[0].box.w, .3, 1e-6);
  EXPECT_NEAR(p.labels.truths[1].box.w, 1, 1e-6);
  EXPECT_EQ(p.errors.size(), 3u);
  ASSERT_EQ(p.labels.cut.size(), 2u);
  EXPECT_EQ(p.labels.cut[0].line, 1);
  EXPECT_EQ(p.labels.cut[1].line, 5);
}

class LabelFolder : public testing_files::InFolder {
 protected:
  std::filesystem::path image(const std::string& stem, std::int64_t width, std::int64_t height) {
    return file(stem + ".png", encode(testing_images::noise(width, height, 3), ".png"));
  }
};

// In the file 480 x 20 pixels, turned by its orientation: 20 wide.
TEST_F(LabelFolder, TheSizeIsTheUprightImages) {
  const auto turned = file(
      "a.png", testing_images::png_with_chunk(encode(testing_images::noise(480, 20, 3), ".png"),
                                              "eXIf", testing_images::exif(6, true).substr(6)));
  file("a.txt", "0 .5 .5 1.15 .5\n");  // 1.5 pixels of 20, 36 of 480
  EXPECT_EQ(read_labels(turned, 1).clipped, 1);
  file("a.txt", "0 .5 .5 .5 1.15\n");
  EXPECT_NE(testing_files::error_of([&] { read_labels(turned, 1); }), "");
}

TEST_F(LabelFolder, SkipLeavesOutAndCounts) {
  const ImagePaths images{image("a", 100, 100), image("b", 100, 100), image("c", 100, 100),
                          image("d", 100, 100)};
  file("a.txt", "0 .5 .5 .1 .1\nx\n0 .9 .5 .4 .1\n"), file("c.txt", ""),
      file("d.txt", "1 .5 .5 1 1");
  EXPECT_NE(testing_files::error_of([&] { read_all_labels(images, 2); }).find("-bad_labels skip"),
            std::string::npos);
  testing::internal::CaptureStderr();
  const LabelledImages all = read_all_labels(images, 2, BadLabels::skip);
  const std::string said = testing::internal::GetCapturedStderr();
  ASSERT_EQ(all.images.size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(all.images[i], images[i == 0 ? 0 : i + 1]);
  ASSERT_EQ(all.truths.size(), 3u);
  EXPECT_EQ(all.truths[0].size(), 1u);
  EXPECT_EQ(all.truths[2].size(), 1u);
  EXPECT_EQ(all.left_out, std::vector<std::size_t>{1});
  EXPECT_EQ(all.objects, 2);
  EXPECT_EQ(all.empty, 1);
  EXPECT_NE(said.find("-bad_labels skip:\n1 image without a label file left out:"), said.npos)
      << said;
  EXPECT_NE(said.find("2 label lines left out:"), said.npos) << said;
  EXPECT_NE(said.find("a.txt:2: "), said.npos) << said;
  EXPECT_NE(said.find("a.txt:3: "), said.npos) << said;
  EXPECT_NE(testing_files::error_of([&] {
              read_all_labels({images[1]}, 2, BadLabels::skip);
            }).find("no image of the list has a label file"),
            std::string::npos);
}

TEST_F(LabelFolder, LongListsAreCutShort) {
  std::string text;
  for (int i = 0; i < 20; ++i) text += "x\n";
  const auto a = image("a", 9, 9);
  file("a.txt", text);
  testing::internal::CaptureStderr();
  read_all_labels({a}, 2, BadLabels::skip);
  const std::string said = testing::internal::GetCapturedStderr();
  EXPECT_NE(said.find("20 label lines"), said.npos) << said;
  EXPECT_NE(said.find("a.txt:5: "), said.npos) << said;
  EXPECT_EQ(said.find("a.txt:6: "), said.npos) << said;
}

TEST_F(LabelFolder, CheckCountsByTheSameRule) {
  image("a", 100, 100), image("b", 100, 100);
  file("a.txt", "0 .5 .5 .1 .1\nx\n0 .9 .5 .4 .1\n0 .9 .5 .22 .1\n");
  const auto list = file("list.txt", "a.png\nb.png\n");
  const auto check = [&](BadLabels bad) {
    return check_list(list, {.classes = 2, .bad_labels = bad}, [](Finding, const std::string&) {});
  };
  EXPECT_EQ(check(BadLabels::stop).errors(), 3);
  EXPECT_EQ(check(BadLabels::clip).errors(), 2);
  EXPECT_EQ(check(BadLabels::clip).cut, 1);
  EXPECT_EQ(check(BadLabels::clip).objects, 3);
  EXPECT_EQ(check(BadLabels::skip).errors(), 0);
  EXPECT_EQ(check(BadLabels::skip).bad_lines, 2);
  EXPECT_EQ(check(BadLabels::skip).objects, 2);
}

class BadLabelsTest : public CliTest {
 protected:
  BadLabelsTest() { put_tiny_weights(work_, "x.weights"); }
  // Every command that reads labels.
  std::vector<CommandResult> all(const std::vector<std::string>& more) const {
    const std::vector<std::vector<std::string>> commands{
        {"train", "x.data", "x.cfg", "-max_batches", "2", "-map", "-backup", "b"},
        {"map", "x.data", "x.cfg", "x.weights"},
        {"recall", "x.data", "x.cfg", "x.weights"},
        {"check", "x.data", "x.cfg"},
        {"calc_anchors", "x.data", "-cfg", "x.cfg", "-num_of_clusters", "1"},
        {"compare", "x.data", "x.cfg", "-max_batches", "2", "-images", "0"}};
    std::vector<CommandResult> results;
    for (std::vector<std::string> words : commands) {
      words.insert(words.begin(), "detector");
      words.insert(words.end(), more.begin(), more.end());
      results.push_back(work_.darknet(words));
    }
    return results;
  }
};

TEST_F(BadLabelsTest, HoldsInEveryCommand) {
  work_.put("images/0.txt", "0 .9 .5 .4 .4\n1 .5 .5 .3 .3\n");  // 6 pixels of 64 outside
  for (const CommandResult& ran : all({})) {
    expect_refused(ran, "images/0.txt:1: the box reaches out of the image");
    EXPECT_NE(ran.all().find("-bad_labels"), std::string::npos) << ran.all();
  }
  for (const char* bad : {"clip", "skip"})
    for (const CommandResult& ran : all({"-bad_labels", bad})) {
      EXPECT_EQ(ran.exit_code, 0) << ran.all();
      EXPECT_NE(ran.err.find("images/0.txt:1: "), std::string::npos) << ran.all();
      work_.remove("b"), work_.remove("runs");
    }
  work_.put("images/1.txt", "1 .5 .5 .3\n");
  work_.remove("images/2.txt");
  for (const CommandResult& ran : all({"-bad_labels", "clip"}))
    expect_refused(ran, "images/1.txt:1");
  for (const CommandResult& ran : all({"-bad_labels", "skip"})) {
    EXPECT_EQ(ran.exit_code, 0) << ran.all();
    for (const char* place : {"images/0.txt:1: ", "images/1.txt:1: ", "images/2.txt: "})
      EXPECT_NE(ran.err.find(place), std::string::npos) << ran.all();
    work_.remove("b"), work_.remove("runs");
  }
  expect_refused(
      work_.darknet({"detector", "map", "x.data", "x.cfg", "x.weights", "-bad_labels", "drop"}),
      "bad_labels", 2);
}

// The difficult objects of the images that are left.
TEST_F(BadLabelsTest, DifficultListsFollow) {
  std::string list;
  for (int i = 0; i < kTinyImages; ++i) {
    work_.put(cat("difficult/images/", i, ".png"), Image(64, 64, 3));
    work_.put(cat("difficult/images/", i, ".txt"), i == 3 ? "0 .5 .5 .9 .9\n" : "");
    list += cat("difficult/images/", i, ".png\n");
  }
  work_.put("difficult.txt", list);
  work_.put("x.data", work_.get("x.data") + "difficult = difficult.txt\n");
  const auto map = [&] {
    return work_.darknet(
        {"detector", "map", "x.data", "x.cfg", "x.weights", "-bad_labels", "skip"});
  };
  EXPECT_EQ(map().exit_code, 0);
  work_.remove("images/2.txt");
  const CommandResult ran = map();
  EXPECT_EQ(ran.exit_code, 0) << ran.all();
  EXPECT_NE(ran.out.find("7 images in"), std::string::npos) << ran.all();
}

}  // namespace
}  // namespace darknet::test
