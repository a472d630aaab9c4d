// Sliced inference: where tiles lie, how what they find is merged, and a network over tiles against
// the same network over pictures that were cut out beforehand.
#include "eval/tiles.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <vector>

#include "cfg/parse.h"
#include "cli_harness.h"
#include "core/error.h"
#include "core/index.h"
#include "core/json.h"
#include "detect/nms.h"
#include "detect/overlap.h"
#include "eval/open_network.h"
#include "eval/predict.h"

namespace darknet::test {
namespace {

constexpr ImageSize kImage{1000, 500};
constexpr float kNms = .45f;

Rect rect(std::int64_t x0, std::int64_t y0, std::int64_t x1, std::int64_t y1) {
  return {x0, y0, x1, y1};
}

TEST(Tiling, CoverTheImageAndTheLastOnesAreMovedBackToTheEdge) {
  const auto tiles = tiles_of({.width = 400, .height = 400, .overlap = .25f}, kImage);
  const std::vector<Rect> expected{rect(0, 0, 400, 400),     rect(300, 0, 700, 400),
                                   rect(600, 0, 1000, 400),  rect(0, 100, 400, 500),
                                   rect(300, 100, 700, 500), rect(600, 100, 1000, 500)};
  ASSERT_EQ(tiles.size(), expected.size());
  for (std::size_t i = 0; i < tiles.size(); ++i) EXPECT_TRUE(tiles[i] == expected[i]) << i;
  const auto uneven = tiles_of({.width = 333, .height = 600, .overlap = 0}, kImage);
  ASSERT_EQ(uneven.size(), 4u);
  EXPECT_TRUE(uneven[2] == rect(666, 0, 999, 500));
  EXPECT_TRUE(uneven[3] == rect(667, 0, 1000, 500));
}

TEST(Tiling, AnImageNoLargerThanOneIsNotCut) {
  EXPECT_TRUE(tiles_of({}, kImage).empty());
  EXPECT_TRUE(tiles_of({.width = 1000, .height = 500}, kImage).empty());
  EXPECT_EQ(tiles_of({.width = 999, .height = 500}, kImage).size(), 2u);
}

std::string refused(const Tiling& t) try {
  check(t);
  return "";
} catch (const Error& e) {
  return e.what();
}

TEST(Tiling, NonsenseIsRefusedWithTheReason) {
  EXPECT_EQ(refused({}), "");
  EXPECT_EQ(refused({.width = 416, .height = 416, .overlap = .9f}), "");
  EXPECT_NE(refused({.width = 416, .height = 416, .overlap = 1}).find("all lie in one place"),
            std::string::npos);
  EXPECT_NE(refused({.width = 416, .height = 416, .overlap = -.1f}).find("0 to 0.9"),
            std::string::npos);
  EXPECT_NE(refused({.width = 416, .height = 8}).find("16 to 65536 pixels"), std::string::npos);
  EXPECT_THROW(tiles_of({.width = 16, .height = 16, .overlap = .9f}, {4000, 4000}), Error);
}

// In pixels of kImage.
TileDetection found(std::size_t tile, const Rect& at, float probability,
                    std::int32_t class_id = 0) {
  const auto w = static_cast<float>(kImage.width), h = static_cast<float>(kImage.height);
  const auto x0 = static_cast<float>(at.x0), x1 = static_cast<float>(at.x1),
             y0 = static_cast<float>(at.y0), y1 = static_cast<float>(at.y1);
  return {{{(x0 + x1) / 2 / w, (y0 + y1) / 2 / h, (x1 - x0) / w, (y1 - y0) / h},
           class_id,
           probability,
           probability},
          tile};
}

class Merge : public testing::Test {
 protected:
  // Probabilities of what is left.
  std::vector<float> merged(const std::vector<TileDetection>& all, float nms = kNms) const {
    std::vector<float> left;
    for (const InputDetection& d : merge_tiles(all, tiles_, kImage, keys_, nms))
      left.push_back(d.probability);
    return left;
  }
  // Two tiles that share the columns 450 to 550, and the whole image.
  std::vector<Rect> tiles_{rect(0, 0, 550, 500), rect(450, 0, 1000, 500)};
  static constexpr std::size_t kWhole = 2;
  NmsKeys keys_;
};

TEST_F(Merge, AnObjectThatTwoTilesSeeIsFoundOnce) {
  EXPECT_EQ(merged({found(0, rect(480, 100, 520, 140), .8f), found(1, rect(481, 99, 521, 140), .9f),
                    found(kWhole, rect(479, 100, 520, 141), .5f)}),
            (std::vector<float>{.9f}));
  // Of another class, or elsewhere: another object.
  EXPECT_EQ(
      merged({found(0, rect(480, 100, 520, 140), .8f), found(1, rect(480, 100, 520, 140), .9f, 1),
              found(1, rect(480, 200, 520, 240), .7f)}),
      (std::vector<float>{.9f, .8f, .7f}));
}

TEST_F(Merge, APartGoesWhereAnotherTileShowsTheWhole) {
  // Half of an object that the second tile has: whatever is more probable, and with -nms 0 too.
  const auto part = found(0, rect(500, 100, 550, 200), .9f);
  const auto whole = found(1, rect(500, 100, 600, 200), .3f);
  EXPECT_EQ(merged({part, whole}), (std::vector<float>{.3f}));
  EXPECT_EQ(merged({part, whole}, 0), (std::vector<float>{.3f}));
  // Just inside the border it is a part as well: a network's boxes are not exact.
  EXPECT_EQ(merged({found(0, rect(500, 100, 547, 200), .9f), whole}), (std::vector<float>{.3f}));
  EXPECT_EQ(merged({found(0, rect(500, 100, 530, 200), .9f), whole}),
            (std::vector<float>{.9f, .3f}));
}

TEST_F(Merge, TheEdgeOfTheImageCutsNothing) {
  EXPECT_EQ(merged({found(0, rect(0, 0, 100, 100), .9f), found(1, rect(900, 400, 1000, 500), .8f)}),
            (std::vector<float>{.9f, .8f}));
}

TEST_F(Merge, AnObjectLargerThanTheOverlapIsFoundOnce) {
  // Both tiles have a part of 200 of its 300 columns; the whole image shows it all.
  const auto left = found(0, rect(350, 100, 550, 200), .9f);
  const auto right = found(1, rect(450, 100, 650, 200), .8f);
  EXPECT_EQ(merged({left, right, found(kWhole, rect(350, 100, 650, 200), .5f)}),
            (std::vector<float>{.5f}));
  // Where the whole image hardly shows it, the better part stays.
  EXPECT_EQ(merged({left, right, found(kWhole, rect(350, 100, 650, 200), .4f)}),
            (std::vector<float>{.9f}));
  EXPECT_EQ(merged({left, right}), (std::vector<float>{.9f}));
  EXPECT_EQ(merged({left, right}, 0), (std::vector<float>{.9f, .8f}));
}

TEST_F(Merge, ASmallObjectBeforeAPartOfALargeOneStays) {
  EXPECT_EQ(
      merged({found(0, rect(350, 100, 550, 300), .9f), found(0, rect(400, 150, 440, 190), .4f)}),
      (std::vector<float>{.9f, .4f}));
}

// Distances count in pixels, though this image is twice as wide as high: IoU .575, less .117 for
// the distance (it would be .143 in fractions of the image). Boxes stay where they are.
TEST_F(Merge, DistancesAreTheSameOnBothAxes) {
  keys_.nms_kind = NmsKind::greedy;
  const auto box = found(0, rect(100, 100, 200, 200), .9f);
  EXPECT_EQ(merged({box, found(0, rect(100, 127, 200, 227), .8f)}), (std::vector<float>{.9f}));
  EXPECT_EQ(merged({box, found(0, rect(127, 100, 227, 200), .8f)}), (std::vector<float>{.9f}));
  const Box kept = merge_tiles({box}, tiles_, kImage, keys_, kNms).at(0).box;
  EXPECT_FLOAT_EQ(kept.x, box.detection.box.x);
  EXPECT_FLOAT_EQ(kept.y, box.detection.box.y);
  EXPECT_FLOAT_EQ(kept.w, box.detection.box.w);
  EXPECT_FLOAT_EQ(kept.h, box.detection.box.h);
}

TEST_F(Merge, AtACornerTheTileThatCutsLeastDecides) {
  tiles_ = {rect(0, 0, 550, 300), rect(450, 0, 1000, 300), rect(0, 200, 550, 500),
            rect(450, 200, 1000, 500)};
  // The object lies in the last tile alone as a whole; the others have a quarter, and halves.
  const auto whole = found(3, rect(500, 250, 600, 350), .3f);
  EXPECT_EQ(
      merged({found(0, rect(500, 250, 550, 300), .9f), found(1, rect(500, 250, 600, 300), .8f),
              found(2, rect(500, 250, 550, 350), .7f), whole}),
      (std::vector<float>{.3f}));
  // Cut below by every tile: the first has it on one side less.
  EXPECT_EQ(
      merged({found(0, rect(500, 150, 550, 300), .9f), found(1, rect(500, 150, 600, 300), .3f)}),
      (std::vector<float>{.3f}));
}

// What the rules say, pair by pair.
std::vector<float> merged_pair_by_pair(const std::vector<TileDetection>& all, float threshold) {
  struct Ranked {
    Box box;
    float probability, rank;
    bool cut;
  };
  std::vector<Ranked> ranked;
  for (const TileDetection& d : all) {
    const bool cut = d.tile % 2 == 0;
    ranked.push_back({d.detection.box, d.detection.probability,
                      cut ? d.detection.probability / 2 : d.detection.probability, cut});
  }
  std::ranges::stable_sort(ranked, std::greater(), &Ranked::rank);
  std::vector<Ranked> kept;
  for (const Ranked& r : ranked) {
    const bool hidden = std::ranges::any_of(kept, [&](const Ranked& k) {
      if (!k.cut && !r.cut) return false;
      const float of =
          k.cut && r.cut ? std::min(k.box.area(), r.box.area()) : (k.cut ? k.box : r.box).area();
      return BoxPair<float>(k.box, r.box).intersection > threshold * of;
    });
    if (!hidden) kept.push_back(r);
  }
  std::vector<float> left;
  for (const Ranked& k : kept) left.push_back(k.probability);
  std::ranges::sort(left, std::greater());
  return left;
}

// Tiles of 100 x 100 side by side; in each one box in its middle and one that its right border
// cuts.
TEST(Tiling, ManyTilesAreMergedAsFewAre) {
  constexpr ImageSize kLarge{10'000, 10'000};
  const auto tiles = tiles_of({.width = 100, .height = 100, .overlap = 0}, kLarge);
  ASSERT_EQ(tiles.size(), 10'000u);
  const auto scene = [&](std::size_t count) {
    std::vector<TileDetection> all;
    for (std::size_t i = 0; i < count; ++i)
      for (std::size_t k = 0; k < 20; ++k) {
        const auto place = static_cast<float>(k) * .01f;
        const float p = .01f + .9f * static_cast<float>((i * 7919 + k * 104'729) % 9973) / 9973;
        const Box in_tile =
            k % 2 == 0 ? Box{.95f, .3f + place, .1f, .1f} : Box{.5f, .3f + 2 * place, .1f, .1f};
        all.push_back({{from_tile(in_tile, tiles[i], kLarge), 0, p, p}, i});
      }
    return all;
  };
  const auto merged_of = [&](const std::vector<TileDetection>& all) {
    std::vector<float> left;
    for (const InputDetection& d : merge_tiles(all, tiles, kLarge, {}, kNms))
      left.push_back(d.probability);
    return left;
  };
  const std::vector<float> all = merged_of(scene(tiles.size()));
  EXPECT_GT(all.size(), 20'000u);
  // Two rows of tiles, by the rules: boxes with an even k are cut, but for those at the edge.
  std::vector<TileDetection> few = scene(200);
  const std::vector<float> left = merged_of(few);
  std::vector<InputDetection> whole;
  std::vector<TileDetection> to_rank;
  for (std::size_t i = 0; i < few.size(); ++i)
    if (i % 2 == 0 && few[i].tile % 100 != 99)
      to_rank.push_back({few[i].detection, 0});
    else
      whole.push_back(few[i].detection);
  nms(whole, NmsKeys{}.nms_kind, kNms, NmsKeys{}.beta_nms);
  for (const InputDetection& d : whole) to_rank.push_back({d, 1});
  EXPECT_EQ(left, merged_pair_by_pair(to_rank, kNms));
}

TEST(Tiling, ABoxOfATileComesToLieInTheImage) {
  const Box b = from_tile({.5f, .25f, .5f, .1f}, rect(600, 100, 1000, 500), kImage);
  EXPECT_FLOAT_EQ(b.x, .8f);
  EXPECT_FLOAT_EQ(b.y, .4f);
  EXPECT_FLOAT_EQ(b.w, .2f);
  EXPECT_FLOAT_EQ(b.h, .08f);
}

class TiledNetwork : public CliTest {
 protected:
  TiledNetwork() { put_tiny_weights(work_, "x.weights"); }
  Network network(std::int64_t batch) const {
    return open_network(read_cfg(work_.path("x.cfg")), work_.path("x.weights"), {.batch = batch});
  }
  // Two columns and two rows of the tiny images.
  Image scene() const {
    Image all(128, 128, 3);
    for (std::int64_t i = 0; i < 4; ++i) {
      const Image one = read_image(work_.path(cat("images/", i, ".png")));
      for (std::int64_t y = 0; y < 64; ++y)
        std::copy_n(one.at(0, y), 3 * 64, all.at(i % 2 * 64, i / 2 * 64 + y));
    }
    return all;
  }
};

TEST_F(TiledNetwork, ATileIsDetectedLikeAnImageOfItsOwn) {
  Network net = network(1);
  const DetectionOptions all{.threshold = .01f, .nms = 0};
  std::vector<std::pair<float, float>> expected;  // probability, left side in the scene
  for (int i = 0; i < 4; ++i)
    for (const Detection& d : detect(net, read_image(work_.path(cat("images/", i, ".png"))), all)) {
      // None that touches an inner border: those may go.
      const float x0 = d.box.left() * 64, x1 = d.box.right() * 64, y0 = d.box.top() * 64,
                  y1 = d.box.bottom() * 64;
      const bool touches =
          (i % 2 ? x0 <= .64f : x1 >= 63.36f) || (i / 2 ? y0 <= .64f : y1 >= 63.36f);
      if (!touches) expected.emplace_back(d.probability, x0 + static_cast<float>(i % 2 * 64));
    }
  ASSERT_GT(expected.size(), 3u);
  DetectionOptions tiled = all;
  tiled.tiling = {.width = 64, .height = 64, .overlap = 0, .whole = false};
  for (const std::int64_t batch : {1, 3}) {
    Network other = network(batch);
    const auto found = detect(other, scene(), tiled);
    for (const auto& [probability, left] : expected) {
      const auto is_there = [p = probability, x = left](const Detection& d) {
        return std::abs(d.probability - p) < 1e-5f && std::abs(d.box.left() * 128 - x) < 1e-3f;
      };
      const bool there = std::any_of(found.begin(), found.end(), is_there);
      EXPECT_TRUE(there) << batch << ": " << probability << " at " << left;
    }
  }
}

TEST_F(TiledNetwork, TheWholeImageIsDetectedAsWell) {
  Network net = network(1);
  const DetectionOptions plain{.threshold = .01f, .nms = 0};
  DetectionOptions tiled = plain;
  tiled.tiling = {.width = 64, .height = 64, .whole = false};
  const std::size_t parts = detect(net, scene(), tiled).size();
  tiled.tiling.whole = true;
  EXPECT_EQ(detect(net, scene(), tiled).size(), parts + detect(net, scene(), plain).size());
}

// In whichever view of whichever pass: only the second tile has values that damage the outputs.
TEST_F(TiledNetwork, OutputsThatAreNotFiniteAreAnErrorInEveryView) {
  Image all(128, 128, 3, 4);
  std::fill(all.pixels.begin(), all.pixels.end(), std::uint8_t{0});
  const float infinite = std::numeric_limits<float>::infinity();
  for (std::int64_t y = 0; y < 64; ++y)
    for (std::int64_t x = 64; x < 128; ++x)
      for (std::int64_t c = 0; c < 3; ++c)
        std::memcpy(all.at(x, y) + 4 * c, &infinite, sizeof infinite);
  DetectionOptions tiled;
  tiled.tiling = {.width = 64, .height = 64, .overlap = 0, .whole = false};
  for (const std::int64_t batch : {1, 3}) {
    Network net = network(batch);
    EXPECT_THROW(detect(net, all, tiled), Error) << batch;
  }
}

TEST_F(TiledNetwork, AllCommandsFindTheSame) {
  for (int i = 0; i < kTinyImages; ++i) work_.put(cat("images/", i, ".png"), scene());
  const auto run = [&](std::vector<std::string> words) {
    words.insert(words.end(), {"-tile", "64x64", "-overlap", ".25", "-nogpu"});
    CommandResult ran = work_.darknet(words);
    EXPECT_EQ(ran.exit_code, 0) << ran.all();
    return ran;
  };
  const std::vector<std::string> thresholds{"-thresh", ".1", "-nms", ".45"};
  const auto with = [&](std::vector<std::string> words) {
    words.insert(words.end(), thresholds.begin(), thresholds.end());
    return words;
  };
  work_.put("one.txt", "images/0.png\n");
  run(with({"detector", "test", "x.data", "x.cfg", "x.weights", "one.txt", "-dont_show", "-out",
            "test.json", "-format", "coco"}));
  run(with({"detect", "x.cfg", "x.weights", "one.txt", "-dont_show", "-out", "detect.json",
            "-format", "coco"}));
  EXPECT_EQ(work_.get("test.json"), work_.get("detect.json"));
  const auto boxes = parse_json(work_.get("test.json"));
  ASSERT_GT(boxes.size(), 1u);
  run(with({"detector", "valid", "x.data", "x.cfg", "x.weights", "-format", "coco", "-out", "v"}));
  std::size_t first = 0;
  for (const auto& d : parse_json(work_.get("results/v.json")))
    if (d["image_id"] == 0) ++first;
  EXPECT_EQ(first, boxes.size());
  run(with({"detector", "demo", "x.data", "x.cfg", "x.weights", "one.txt", "-dont_show",
            "-json_file_output", "demo.json"}));
  EXPECT_EQ(parse_json(work_.get("demo.json"))[0]["objects"].size(), boxes.size());
  const CommandResult map = run({"detector", "map", "x.data", "x.cfg", "x.weights"});
  EXPECT_NE(map.out.find("-tile 64x64 -overlap 0.25"), std::string::npos) << map.all();
}

TEST_F(TiledNetwork, RecallAndCalibrationOfTiles) {
  for (int i = 0; i < kTinyImages; ++i) work_.put(cat("images/", i, ".png"), scene());
  for (const char* command : {"recall", "calibrate"}) {
    std::vector<std::string> words{"detector", command, "x.data", "x.cfg", "x.weights", "-nogpu"};
    const CommandResult plain = work_.darknet(words);
    words.insert(words.end(), {"-tile", "64x64"});
    const CommandResult tiled = work_.darknet(words);
    EXPECT_EQ(tiled.exit_code, 0) << tiled.all();
    EXPECT_NE(tiled.out, plain.out) << "the same boxes as without tiles";
  }
}

TEST_F(TiledNetwork, TrainingSaysWhyItHasNoTiles) {
  expect_refused(train({"-map", "-tile", "64x64"}), "-tile is not there: a network is trained on",
                 2);
  EXPECT_EQ(work_.darknet({"detector", "train", "--help"}).out.find("-tile"), std::string::npos);
}

TEST_F(TiledNetwork, WrongUseIsReported) {
  const auto test = [&](std::vector<std::string> more) {
    more.insert(more.begin(),
                {"detector", "test", "x.data", "x.cfg", "x.weights", "images/0.png", "-dont_show"});
    return work_.darknet(more);
  };
  expect_refused(test({"-tile", "64x64", "-overlap", "1"}), "all lie in one place", 2);
  expect_refused(test({"-tile", "64x"}), "'64x': expected the size of a tile in pixels", 2);
  expect_refused(test({"-tile", "8"}), "16 to 65536 pixels", 2);
  expect_refused(test({"-overlap", ".3"}), "-tile", 2);
  const CommandResult small = test({"-tile", "64"});
  EXPECT_EQ(small.exit_code, 0) << small.all();
  EXPECT_NE(small.err.find("images/0.png: not cut: its 64 x 64 pixels are no more than a tile"),
            std::string::npos)
      << small.all();
  const CommandResult map =
      work_.darknet({"detector", "map", "x.data", "x.cfg", "x.weights", "-tile", "64"});
  EXPECT_NE(map.err.find("8 of 8 images were not cut"), std::string::npos) << map.all();
  expect_refused(work_.darknet({"detector", "demo", "x.data", "x.cfg", "x.weights",
                                "synth:64x64?frames=2", "-dont_show", "-tile", "64"}),
                 "no larger than a tile");
}

}  // namespace
}  // namespace darknet::test
