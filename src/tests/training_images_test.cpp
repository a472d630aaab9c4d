// Augmented training images as files: `detector check -draw` and `detector train -show_imgs`.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "cfg/parse.h"
#include "cli_harness.h"
#include "dataset/batches.h"
#include "image/image.h"
#include "report/training_images.h"
#include "train/training_batches.h"

namespace darknet::test {
namespace {

class AugmentedTest : public CliTest {
 protected:
  CommandResult check(std::vector<std::string> more) const {
    more.insert(more.begin(), {"detector", "check", "x.data", "x.cfg"});
    return work_.darknet(more);
  }
  std::vector<std::string> plain_keys() const {
    std::vector<std::string> words;
    for (const char* key : {"net.0.flip=0", "net.0.hue=0", "net.0.saturation=1", "net.0.exposure=1",
                            "yolo.0.jitter=0", "net.0.width=64", "net.0.height=64"})
      words.insert(words.end(), {"-set", key});
    return words;
  }
};

int differing_pixels(const Image& a, const Image& b) {
  int differing = 0;
  for (std::int64_t y = 0; y < a.height; ++y)
    for (std::int64_t x = 0; x < a.width; ++x)
      differing += !std::equal(a.at(x, y), a.at(x, y) + 3, b.at(x, y),
                               [](int p, int q) { return std::abs(p - q) <= 1; });
  return differing;
}

TEST_F(AugmentedTest, WithoutAugmentationTheyAreTheImagesWithTheirBoxes) {
  std::vector<std::string> words{"-draw", "8", "out/"};
  const auto keys = plain_keys();
  words.insert(words.end(), keys.begin(), keys.end());
  const CommandResult ran = check(words);
  EXPECT_EQ(ran.exit_code, 0) << ran.all();
  EXPECT_NE(ran.out.find("-> out/augmented-sheet-1.png"), std::string::npos) << ran.all();
  // Every image once, in an order of its own; what differs is the outline of its box and the name.
  for (int i = 0; i < kTinyImages; ++i) {
    const Image source = read_image(work_.path(cat("images/", i, ".png")));
    int least = 1 << 20;
    for (int k = 1; k <= kTinyImages; ++k) {
      const Image drawn = read_image(work_.path(cat("out/augmented-000", k, ".png")));
      ASSERT_EQ(drawn.width, 64);
      ASSERT_GE(drawn.height, 64);
      least = std::min(least, differing_pixels(source, drawn));
    }
    EXPECT_GT(least, 20) << i;
    EXPECT_LT(least, 64 * 64 * 2 / 3) << i;
  }
}

TEST_F(AugmentedTest, SheetsHaveTwentyImages) {
  const CommandResult ran = check({"-draw", "21"});
  EXPECT_EQ(ran.exit_code, 0) << ran.all();
  EXPECT_TRUE(work_.has("augmented/augmented-0021.png"));
  const Image first = read_image(work_.path("augmented/augmented-sheet-1.png")),
              second = read_image(work_.path("augmented/augmented-sheet-2.png"));
  EXPECT_GT(first.width, 4 * second.width);
  EXPECT_GT(first.height, 3 * second.height);
}

TEST_F(AugmentedTest, PicturesOfAnEarlierRunGo) {
  EXPECT_EQ(check({"-draw", "21", "out/"}).exit_code, 0);
  work_.put("out/augmented-0030.png", read_image(work_.path("images/0.png")));  // of somebody else
  work_.put("out/notes.txt", std::string("mine\n"));
  const CommandResult ran = check({"-draw", "2", "out/"});
  EXPECT_EQ(ran.exit_code, 0) << ran.all();
  EXPECT_TRUE(said(ran, "20 files of an earlier run removed")) << ran.all();
  EXPECT_TRUE(work_.has("out/augmented-0002.png") && work_.has("out/augmented-sheet-1.png"));
  EXPECT_FALSE(work_.has("out/augmented-0003.png") || work_.has("out/augmented-sheet-2.png"));
  EXPECT_TRUE(work_.has("out/augmented-0030.png") && work_.has("out/notes.txt"));
}

TEST_F(AugmentedTest, TheFolderOfTheDataSetIsRefused) {
  expect_refused(check({"-draw", "1", "images"}), "images: images of train.txt lie in this folder");
  work_.put("x.data", replaced(work_.get("x.data"), "train = train.txt", "train = images"));
  expect_refused(check({"-draw", "1", "images/out/"}), "images/out/: images of images lie in this");
  EXPECT_FALSE(work_.has("images/augmented-0001.png"));
}

TEST(Augmented, CaptionsNameTheImages) {
  const ImagePaths paths(
      std::vector<std::filesystem::path>{"d/a.png", "d/b.png", "c.png", "e.png"});
  EXPECT_EQ(caption_of({1}, paths), "b.png");
  EXPECT_EQ(caption_of({1, 0}, paths), "b.png and a.png");  // mixup=1
  EXPECT_EQ(caption_of({2, 0, 1, 3}, paths), "c.png and others");
}

// What mixup=1 mixes is what its captions name.
TEST_F(AugmentedTest, BatchesOfMixupSayWhichImagesTheyShow) {
  const Network net(read_cfg(work_.path("x.cfg")), {.mode = Mode::training});
  LabelledImages images;
  for (int i = 0; i < kTinyImages; ++i) {
    images.images.push_back(work_.path(cat("images/", i, ".png")));
    images.truths.push_back({});
  }
  BatchSettings settings = training_batches(net, images, 1);
  settings.augmentation->image.mixup = 1;
  const Batches batches(settings);
  bool one = false, two = false;
  for (int k = 0; k < 4; ++k)
    for (const auto& shown : batches.make(k).shown) {
      one |= shown.size() == 1, two |= shown.size() == 2;
      if (shown.size() != 2) continue;
      EXPECT_NE(caption_of(shown, images.images).find(".png and "), std::string::npos);
    }
  EXPECT_TRUE(one && two);
}

TEST_F(AugmentedTest, WrongUseIsReported) {
  expect_refused(check({"out/"}), "out needs -draw", 2);
  expect_refused(work_.darknet({"detector", "check", "x.data", "-draw", "4"}), "-draw", 2);
  expect_refused(check({"out/"}), "-draw", 2);
  work_.put("out/augmented-0001.png", read_image(work_.path("images/0.png")));
  expect_refused(check({"-draw", "1", "out/"}), "out/augmented-0001.png");
}

TEST_F(AugmentedTest, ATrainingShowsTheImagesOfItsFirstIterations) {
  const CommandResult ran = train({"-show_imgs", "-max_batches", "1"});
  EXPECT_EQ(ran.exit_code, 0) << ran.all();
  EXPECT_NE(
      ran.out.find("augmented images with their boxes: backup/x_augmented/augmented-sheet-1.png"),
      std::string::npos)
      << ran.all();
  // Those of the same seed are the same.
  EXPECT_EQ(check({"-draw", "20"}).exit_code, 0);
  for (const char* name : {"augmented-0001.png", "augmented-0020.png", "augmented-sheet-1.png"})
    EXPECT_EQ(work_.get(std::filesystem::path("backup/x_augmented") / name),
              work_.get(std::filesystem::path("augmented") / name))
        << name;
}

}  // namespace
}  // namespace darknet::test
