// Anchors by k-means, against the plain one; and what labels say about a network's anchors.
#include "train/anchors.h"
#include "core/index.h"

#include <gtest/gtest.h>

#include <cmath>
#include <sstream>

#include "cfg/parse.h"
#include "cli_harness.h"
#include "core/rng.h"
#include "eval/imbalance.h"

namespace darknet::test {
namespace {

// Sizes in some clouds of unequal weight, as real objects have.
std::vector<AnchorShape> synthetic_sizes(std::uint64_t seed) {
  Rng rng(seed);
  std::vector<AnchorShape> sizes;
  for (int cloud = 0; cloud < 7; ++cloud) {
    const float w = std::exp(rng.uniform(2, 5.5f)), h = std::exp(rng.uniform(2, 5.5f));
    for (std::int64_t i = 20 + rng.below(200); i > 0; --i)
      sizes.push_back({w * std::exp(rng.uniform(-.4f, .4f)), h * std::exp(rng.uniform(-.4f, .4f))});
  }
  return sizes;
}

// Lloyd from random objects, once: what the other Darknet forks do.
double plain_k_means(std::span<const AnchorShape> objects, std::int64_t count, std::uint64_t seed) {
  Rng rng(seed, 99);
  std::vector<AnchorShape> anchors;
  for (std::int64_t k = 0; k < count; ++k)
    anchors.push_back(objects[to_size(rng.below(std::ssize(objects)))]);
  AnchorResult r = assign_anchors(objects, anchors);
  for (int round = 0; round < 1000; ++round) {
    for (std::size_t k = 0; k < anchors.size(); ++k) {
      double w = 0, h = 0, n = 0;
      for (std::size_t i = 0; i < objects.size(); ++i)
        if (r.assigned[i] == static_cast<std::int64_t>(k))
          w += static_cast<double>(objects[i].width), h += static_cast<double>(objects[i].height),
              ++n;
      if (n > 0) anchors[k] = {static_cast<float>(w / n), static_cast<float>(h / n)};
    }
    AnchorResult next = assign_anchors(objects, anchors);
    const bool settled = next.assigned == r.assigned;
    r = std::move(next);
    if (settled) break;
  }
  return r.mean_iou;
}

TEST(Anchors, AreAtLeastAsGoodAsPlainKMeansInTenOfTenSeeds) {
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    const auto sizes = synthetic_sizes(seed);
    const AnchorResult r = calc_anchors(sizes, {.anchors = 6, .seed = seed});
    EXPECT_GE(r.mean_iou, plain_k_means(sizes, 6, seed) - 1e-9) << seed;
  }
}

TEST(Anchors, NoneIsBetterALittleToTheSide) {
  const auto sizes = synthetic_sizes(4);
  const AnchorResult r = calc_anchors(sizes, {.anchors = 6, .restarts = 3});
  for (std::size_t k = 0; k < 6; ++k)
    for (const float factor : {.98f, 1.02f}) {
      auto wider = r.anchors, higher = r.anchors;
      wider[k].width *= factor, higher[k].height *= factor;
      EXPECT_LE(assign_anchors(sizes, wider).mean_iou, r.mean_iou + 1e-5) << k;
      EXPECT_LE(assign_anchors(sizes, higher).mean_iou, r.mean_iou + 1e-5) << k;
    }
}

TEST(Anchors, AreFoundWhereTheyAreObvious) {
  std::vector<AnchorShape> sizes;
  for (int i = 0; i < 50; ++i) sizes.push_back({10, 20}), sizes.push_back({100, 50});
  const AnchorResult r = calc_anchors(sizes, {.anchors = 2});
  EXPECT_FLOAT_EQ(r.anchors[0].width, 10);
  EXPECT_FLOAT_EQ(r.anchors[1].height, 50);
  EXPECT_EQ(r.objects, (std::vector<std::int64_t>{50, 50}));
  EXPECT_NEAR(r.mean_iou, 1, 1e-6);
  EXPECT_THROW(calc_anchors(sizes, {.anchors = 3}), Error);
}

TEST(Anchors, TheSameSeedGivesTheSame) {
  const auto sizes = synthetic_sizes(3);
  const auto a = calc_anchors(sizes, {.anchors = 5, .seed = 8}),
             b = calc_anchors(sizes, {.anchors = 5, .seed = 8});
  for (std::size_t k = 0; k < 5; ++k) EXPECT_EQ(a.anchors[k].width, b.anchors[k].width);
}

TEST(Imbalance, CountsWhatCanBeCountedByHand) {
  // 64 x 64 input, stride 8: 8 x 8 cells, two anchors.
  std::istringstream cfg(
      "[net]\nwidth=64\nheight=64\n[convolutional]\nfilters=12\nsize=8\nstride=8\nactivation="
      "linear\n"
      "[yolo]\nclasses=1\nnum=2\nmask=0,1\nanchors=8,8, 32,32\n");
  const Network net(parse_cfg(cfg, "x.cfg"), {});
  const auto object = [](float x, float side) { return Truth{{x, .5f, side / 64, side / 64}, 0}; };
  const GroundTruths truths{
      {object(.5f, 8), object(.505f, 8), object(.2f, 32)}, {object(.1f, 1)}, {}};
  const ImbalanceReport r = imbalance(net, truths);
  EXPECT_EQ(r.truths, 4);
  ASSERT_EQ(r.heads.size(), 1u);
  EXPECT_EQ(r.heads[0].candidates, 3 * 128);
  EXPECT_EQ(r.heads[0].positives, 3);  // the first two share an anchor
  EXPECT_EQ(r.without_an_anchor, 1);
  EXPECT_EQ(r.tiny, 1);
  EXPECT_EQ(r.fit_none, 1);  // 1 x 1 in 8 x 8
  EXPECT_NEAR(r.mean_fit, (1 + 1 + 1 + 1. / 64) / 4, 1e-6);
  EXPECT_NEAR(r.heads[0].negatives_per_positive(), (384. - 3) / 3, 1e-9);
  ASSERT_EQ(r.anchors.size(), 2u);
  EXPECT_EQ(r.anchors[0].truths, 3);
}

class AnchorsCommand : public CliTest {};

TEST_F(AnchorsCommand, PrintsALineToPaste) {
  const CommandResult ran = work_.darknet({"detector", "calc_anchors", "x.data", "-num_of_clusters",
                                           "1", "-width", "64", "-height", "64", "-out", "a"});
  ASSERT_EQ(ran.exit_code, 0) << ran.all();
  EXPECT_NE(ran.out.find("anchors= "), std::string::npos) << ran.out;
  EXPECT_TRUE(work_.has("a.png"));
  expect_refused(work_.darknet({"detector", "calc_anchors", "x.data", "-num_of_clusters", "900"}),
                 "too few for 900");
}

TEST_F(AnchorsCommand, CheckHoldsTheLabelsAgainstTheAnchors) {
  const CommandResult ran = work_.darknet({"detector", "check", "x.data", "x.cfg"});
  EXPECT_EQ(ran.exit_code, 0) << ran.all();
  EXPECT_NE(ran.out.find("negatives to 1"), std::string::npos) << ran.out;
}

}  // namespace
}  // namespace darknet::test
