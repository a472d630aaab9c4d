// Findings before a training run, from small cases worked out by hand; images that two lists share.
#include "train/advice.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "cfg/parse.h"
#include "cli_harness.h"
#include "image/codec.h"
#include "image/perceptual_hash.h"
#include "temporary_folder.h"

namespace darknet::test {
namespace {
using testing_files::holds;

template <class F>
std::string only_finding(const F& advise) {
  Findings to;
  advise(to);
  EXPECT_LE(to.size(), 1u);
  return to.empty() ? "" : to.front();
}

TEST(Advice, MoreThanAThousandEpochs) {
  const auto said = [](std::int64_t iterations) {
    return only_finding([&](Findings& to) { advise_length(to, iterations, 16, 32); });
  };
  EXPECT_EQ(said(2000), "");  // 1000 epochs
  EXPECT_TRUE(holds(said(2002), "1001 epochs"));
  EXPECT_TRUE(holds(said(2002), "-epochs"));
}

TEST(Advice, AnchorsOnTheWrongStride) {
  const auto said = [](const std::vector<AnchorShape>& coarse,
                       const std::vector<AnchorShape>& fine) {
    const std::vector<HeadAnchors> heads{{"layer 16 [yolo]", 32, coarse},
                                         {"layer 23 [yolo]", 16, fine}};
    return only_finding([&](Findings& to) { advise_anchors(to, heads); });
  };
  // The stock yolov4-tiny: the border between its strides is 64 pixels, half or double is fine.
  EXPECT_EQ(said({{81, 82}, {135, 169}, {344, 319}}, {{23, 27}, {37, 58}, {81, 82}}), "");
  EXPECT_EQ(said({{32, 32}}, {{128, 128}}), "");
  const std::string swapped = said({{10, 14}, {200, 200}}, {{135, 169}, {23, 27}});
  EXPECT_TRUE(holds(swapped, "10x14 at stride 32 (layer 16 [yolo])")) << swapped;
  EXPECT_TRUE(holds(swapped, "135x169 at stride 16 (layer 23 [yolo])")) << swapped;
  EXPECT_FALSE(holds(swapped, "200x200") || holds(swapped, "23x27")) << swapped;
  const std::vector<HeadAnchors> alone{{"layer 3 [yolo]", 8, {{2, 2}, {300, 300}}}};
  EXPECT_EQ(only_finding([&](Findings& to) { advise_anchors(to, alone); }), "");
}

Network network(const std::string& cfg) {
  std::istringstream in(cfg);
  return Network(parse_cfg(in, "x.cfg"), {.mode = Mode::training, .batch = 1});
}

// One object in 32x32 input, grid 8x8 with 3 anchors: 191 negatives to 1; in 64x64: 767 to 1.
TEST(Advice, ImbalanceWithoutAPrior) {
  const std::string large =
      replaced(replaced(kTinyCfg, "width=32", "width=64"), "height=32", "height=64");
  const GroundTruths truths{{{{.5f, .5f, .2f, .2f}, 0}}};
  const auto said = [&](const std::string& cfg, std::int64_t loaded) {
    const Network net = network(cfg);
    const ImbalanceReport report = imbalance(net, truths);
    return only_finding([&](Findings& to) { advise_imbalance(to, net, report, loaded); });
  };
  EXPECT_EQ(said(kTinyCfg, 0), "");
  EXPECT_TRUE(holds(said(large, 0), "767 negatives to a positive")) << said(large, 0);
  EXPECT_TRUE(holds(said(large, 0), "obj_prior=auto"));
  EXPECT_TRUE(holds(said(large, 2), "767")) << "a backbone below the head's convolution";
  EXPECT_EQ(said(large, 3), "") << "the convolution below the head was loaded";
  EXPECT_EQ(said(large + "obj_prior=auto\n", 0), "");
}

TEST(Advice, ObjectsBelowEightPixels) {
  const Network net = network(kTinyCfg);  // 32 x 32
  const auto said = [&](int small) {
    std::vector<Truth> truths;
    for (int i = 0; i < 20; ++i) {
      const float side = i < small ? .24f : .26f;  // 7.7 and 8.3 pixels
      truths.push_back({{.5f, .5f, side, side}, 0});
    }
    return only_finding([&](Findings& to) {
      advise_small_objects(to, imbalance(net, GroundTruths{truths}), net.input_shape());
    });
  };
  EXPECT_EQ(said(1), "");  // 5 %
  EXPECT_TRUE(holds(said(2), "10 % of the objects")) << said(2);
  EXPECT_TRUE(holds(said(2), "32x32"));
}

TEST(Advice, RareAndUntestedClasses) {
  const std::vector<std::string> names{"many", "few", "none"};
  const std::vector<std::int64_t> train{10, 9, 0}, valid{0, 3, 0};
  Findings to;
  advise_classes(to, names, train, valid);
  ASSERT_EQ(to.size(), 2u);
  EXPECT_TRUE(holds(to[0], "few (9), none (0)")) << to[0];
  EXPECT_TRUE(holds(to[1], "many, none")) << to[1];
  to.clear();
  advise_classes(to, names, train, {});
  EXPECT_EQ(to.size(), 1u);
  to.clear();
  advise_classes(to, names, std::vector<std::int64_t>(3), valid);
  EXPECT_TRUE(to.empty()) << "no objects at all is another finding";
}

TEST(Advice, RepeatedLabelLinesAndNoObjects) {
  LabelledImages labelled{{.images = {"a.jpg", "b.jpg"}, .truths = {{}, {}}}};
  Findings to;
  advise_labels(to, labelled, "train=");
  ASSERT_EQ(to.size(), 1u);
  EXPECT_TRUE(holds(to[0], "no objects at all"));
  const Truth one{{.5f, .5f, .1f, .1f}, 0}, other{{.5f, .5f, .1f, .1f}, 1};
  labelled.truths = {{}, {one, other, one, one}};
  to.clear();
  advise_labels(to, labelled, "train=");
  ASSERT_EQ(to.size(), 1u);
  EXPECT_TRUE(holds(to[0], "2 label lines") && holds(to[0], "b.jpg")) << to[0];
}

TEST(Advice, ALossThatGrowsAHundredfold) {
  DivergenceWatch watch;
  for (int i = 1; i <= 12; ++i)
    EXPECT_EQ(watch.look(i, i < 5 ? .001 : 2), "");  // before it settles
  EXPECT_EQ(watch.look(13, 200), "");
  const std::string said = watch.look(14, 201);
  for (const char* part : {"iteration 14", "learning_rate", "box_gradient", "clip"})
    EXPECT_TRUE(holds(said, part)) << said;
  EXPECT_EQ(watch.look(15, 500), "") << "once";
  DivergenceWatch far;
  for (int i = 1; i <= 10; ++i) far.look(i, 1);
  EXPECT_TRUE(holds(far.look(11, 1e30), "1e+30 times"));
}

// A gradient with a disc of `tone` at (x, y).
Image scene(std::int64_t side, double x, double y, int tone) {
  Image image(side, side, 3);
  for (std::int64_t v = 0; v < side; ++v)
    for (std::int64_t u = 0; u < side; ++u) {
      const double a = (static_cast<double>(u) + .5) / static_cast<double>(side);
      const double b = (static_cast<double>(v) + .5) / static_cast<double>(side);
      const bool inside = (a - x) * (a - x) + (b - y) * (b - y) < .04;
      for (int c = 0; c < 3; ++c)
        image.at(u, v)[c] = static_cast<std::uint8_t>(inside ? tone : 40 + 80 * a + 60 * b + 9 * c);
    }
  return image;
}

TEST(PerceptualHash, KnowsAnImageInAnotherSizeAndFormat) {
  const Image image = scene(128, .4, .6, 250);
  const ImagePrint print = print_of(image);
  EXPECT_TRUE(nearly_same(print, print_of(scene(96, .4, .6, 250))));
  EXPECT_TRUE(nearly_same(print, print_of(decode_image(encode(image, ".jpg"), "x.jpg"))));
  EXPECT_FALSE(nearly_same(print, print_of(scene(128, .6, .3, 250))));
  // Two even tones have the same hash, but are not the same.
  Image dark(32, 32, 3), light(32, 32, 1);
  for (auto& v : light.pixels) v = 200;
  EXPECT_EQ(print_of(dark).hash, print_of(light).hash);
  EXPECT_FALSE(nearly_same(print_of(dark), print_of(light)));
}

// detector check has counted them already, in its table.
TEST(Advice, TakesTheImbalanceThatIsKnown) {
  std::istringstream in(kTinyCfg);
  Network net(parse_cfg(in, "x.cfg"), {.mode = Mode::training, .batch = 1});
  LabelledImages train;
  train.images = {std::filesystem::path("a.png")};
  train.truths.push_back(std::vector<Truth>{{{.5f, .5f, .5f, .5f}, 0}});
  const std::vector<std::string> names{"red", "green", "blue"};
  ImbalanceReport known = imbalance(net, train);
  const auto small = [&] {
    const Findings all =
        advise({.net = &net, .names = names, .train = &train, .imbalance = &known});
    return std::count_if(all.begin(), all.end(), [](const std::string& finding) {
      return holds(finding, "of the objects are smaller than");
    });
  };
  EXPECT_EQ(small(), 0);
  known.small = known.truths;
  EXPECT_EQ(small(), 1);
}

// The hash by hand: brightness rises to the right in the upper half, falls in the lower.
TEST(PerceptualHash, HasABitForEachRise) {
  Image image(9, 8, 1);
  for (std::int64_t y = 0; y < 8; ++y)
    for (std::int64_t x = 0; x < 9; ++x)
      *image.at(x, y) = static_cast<std::uint8_t>(y < 4 ? 10 * x : 90 - 10 * x);
  EXPECT_EQ(print_of(image).hash, 0xFFFFFFFF00000000u);
}

class OverlapOfLists : public testing_files::InFolder {
 protected:
  std::filesystem::path put(const std::string& name, const Image& image) const {
    return file(name, encode(image, std::filesystem::path(name).extension()));
  }
};

TEST_F(OverlapOfLists, IsFoundByPathContentAndLook) {
  const Image a = scene(64, .3, .3, 250), b = scene(64, .7, .4, 10), c = scene(64, .5, .8, 200);
  const ImagePaths train{put("t/a.png", a), put("t/b.png", b), put("t/c.png", c),
                         folder_ / "missing.png"};
  const ImagePaths valid{folder_ / "t" / ".." / "t" / "a.png", put("v/b.png", b), put("v/c.jpg", c),
                         put("v/d.png", scene(64, .2, .8, 250)), folder_ / "none.png"};
  const ListOverlap o = find_overlap(train, valid, 60);
  EXPECT_EQ(o.same_path, 1);
  EXPECT_EQ(o.same_bytes, 1);
  EXPECT_EQ(o.nearly_same, 1);
  EXPECT_EQ(o.images, 5);
  EXPECT_EQ(o.first_partner, train[0].string());
  const std::string said = only_finding([&](Findings& to) { advise_overlap(to, o); });
  EXPECT_TRUE(holds(said, "3 of 5 images")) << said;
  EXPECT_EQ(only_finding([&](Findings& to) {
              advise_overlap(to, find_overlap({train[0]}, {valid[3]}, 60));
            }),
            "");
}

}  // namespace
}  // namespace darknet::test
