// Synthetic scenes: the same bytes from the same seed, tight boxes, counts as asked, and a set that
// the program itself finds sound.
#include "dataset/scenes.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <csignal>

#include "cli_harness.h"
#include "core/lock_file.h"
#include "dataset/scene_set.h"
#include "dataset/scene_shapes.h"

namespace darknet::test {
namespace {

SceneSettings small() {
  return {.width = 96, .height = 80, .min_size = 10, .max_size = 20, .seed = 5};
}

TEST(Scenes, TheSameSeedDrawsTheSameBytes) {
  const Scene a = make_scene(small(), 3), b = make_scene(small(), 3);
  EXPECT_EQ(a.image.pixels, b.image.pixels);
  SceneSettings other = small();
  other.seed = 6;
  EXPECT_NE(a.image.pixels, make_scene(other, 3).image.pixels);
  EXPECT_NE(a.image.pixels, make_scene(small(), 4).image.pixels);
}

TEST(Scenes, TruthsAreThoseOfTheImageWithinItAndApart) {
  SceneSettings s = small();
  s.min_objects = 2, s.max_objects = 4;
  for (std::int64_t k = 0; k < 50; ++k) {
    const std::vector<Truth> truths = scene_truths(s, k);
    ASSERT_GE(truths.size(), 2u);
    ASSERT_LE(truths.size(), 4u);
    for (const Truth& t : truths) {
      EXPECT_GE(t.box.left(), 0);
      EXPECT_GE(t.box.top(), 0);
      EXPECT_LE(t.box.right(), 1);
      EXPECT_LE(t.box.bottom(), 1);
      const float side = std::max(t.box.w * 96, t.box.h * 80);
      EXPECT_GE(side, 9.99f);
      EXPECT_LE(side, 20.01f);
      for (const Truth& u : truths)
        EXPECT_TRUE(&u == &t || t.box.right() < u.box.left() || u.box.right() < t.box.left() ||
                    t.box.bottom() < u.box.top() || u.box.bottom() < t.box.top());
    }
  }
  const Scene scene = make_scene(s, 7);
  const std::vector<Truth> truths = scene_truths(s, 7);
  ASSERT_EQ(scene.truths.size(), truths.size());
  for (std::size_t i = 0; i < truths.size(); ++i) EXPECT_EQ(scene.truths[i].box.x, truths[i].box.x);
}

// Pixels that differ between the scene with its objects and without must be where the boxes are.
TEST(Scenes, BoxesAreTightAroundWhatIsDrawn) {
  for (std::int64_t k = 0; k < 20; ++k) {
    SceneSettings with = small();
    with.width = with.height = 128, with.classes = 10, with.clutter = 0;
    with.min_objects = with.max_objects = 1, with.min_size = 24, with.max_size = 40;
    SceneSettings without = with;
    without.min_objects = without.max_objects = 0;
    const Scene scene = make_scene(with, k);
    const Image ground = make_scene(without, k).image;
    const Box box = scene.truths.at(0).box;
    std::int64_t left = 128, right = -1, top = 128, bottom = -1;
    for (std::int64_t y = 0; y < 128; ++y)
      for (std::int64_t x = 0; x < 128; ++x) {
        const std::uint8_t *a = scene.image.at(x, y), *b = ground.at(x, y);
        if (std::abs(a[0] - b[0]) + std::abs(a[1] - b[1]) + std::abs(a[2] - b[2]) < 8) continue;
        left = std::min(left, x), right = std::max(right, x + 1);
        top = std::min(top, y), bottom = std::max(bottom, y + 1);
      }
    // Edges fade over up to 2.6 pixels, sharp corners before their end.
    EXPECT_NEAR(static_cast<float>(left), box.left() * 128, 2.6f) << k;
    EXPECT_NEAR(static_cast<float>(right), box.right() * 128, 2.6f) << k;
    EXPECT_NEAR(static_cast<float>(top), box.top() * 128, 2.6f) << k;
    EXPECT_NEAR(static_cast<float>(bottom), box.bottom() * 128, 2.6f) << k;
  }
}

TEST(SceneShapes, SignedDistanceOfADiscAndARing) {
  const SceneShape disc = placed(scene_class_shape(0), {10, 10}, 10, .3f);
  EXPECT_NEAR(signed_distance(disc, {10, 10}), -9, .1f);
  EXPECT_NEAR(signed_distance(disc, {22, 10}), 3, .1f);
  const SceneShape ring = placed(scene_class_shape(3), {0, 0}, 100, 0);
  EXPECT_GT(signed_distance(ring, {0, 0}), 50);  // the hole
  EXPECT_NEAR(signed_distance(ring, {75, 0}), -20, 1);
}

TEST(SceneShapes, EveryClassFitsTheUnitCircle) {
  for (std::size_t i = 0; i < kSceneClasses.size(); ++i)
    for (const ScenePoint& p : scene_class_shape(static_cast<std::int64_t>(i)).outer)
      EXPECT_LE(std::hypot(p.x, p.y), 1.17f) << kSceneClasses[i];
}

TEST(SceneSet, HasTheSameBytesWhateverTheThreads) {
  const Workspace work;
  SceneSetSettings s{.scenes = small(), .count = 9, .test = 2, .threads = 1};
  write_scene_set(work.path("a"), s);
  s.threads = 3;
  write_scene_set(work.path("b"), s);
  for (int k = 0; k < 9; ++k) {
    const std::string stem = cat("scene-00000", k);
    EXPECT_EQ(work.get("a/images/" + stem + ".jpg"), work.get("b/images/" + stem + ".jpg"));
    EXPECT_EQ(work.get("a/labels/" + stem + ".txt"), work.get("b/labels/" + stem + ".txt"));
  }
}

TEST(SceneSet, ReplacesItsOwnAndNothingElse) {
  const Workspace work;
  SceneSetSettings s{.scenes = small(), .count = 4, .test = 1};
  write_scene_set(work.path("a"), s);
  work.put("a/images/mine.jpg", "x");
  s.count = 2;
  write_scene_set(work.path("a"), s);
  EXPECT_TRUE(work.has("a/images/mine.jpg"));
  EXPECT_FALSE(work.has("a/images/scene-000003.jpg"));
  work.put("b/other.txt", "x");
  EXPECT_THROW(write_scene_set(work.path("b"), s), Error);
}

TEST(SceneSet, AFailureLeavesNothing) {
  const Workspace work;
  SceneSetSettings crowded{.scenes = small(), .count = 4, .test = 1};
  crowded.scenes.min_objects = crowded.scenes.max_objects = 1000;
  EXPECT_THROW(write_scene_set(work.path("a"), crowded), Error);
  EXPECT_TRUE(std::filesystem::is_empty(work.path("a")));
  const SceneSetSettings sound{.scenes = small(), .count = 4, .test = 1};
  write_scene_set(work.path("a"), sound);
  work.put("a/backup/x.weights", "of a training");  // the folder can be taken again all the same
  EXPECT_THROW(write_scene_set(work.path("a"), crowded), Error);
  EXPECT_FALSE(work.has("a/images"));
  write_scene_set(work.path("a"), sound);
  EXPECT_TRUE(work.has("a/scenes.data") && work.has("a/backup/x.weights"));
}

// No room for the objects of a scene, a full disk, a kill.
TEST(SceneSet, WhatWasBegunOnlyCanBeReplaced) {
  const Workspace work;
  SceneSetSettings crowded{.scenes = small(), .count = 4, .test = 1};
  crowded.scenes.min_objects = crowded.scenes.max_objects = 1000;
  EXPECT_THROW(write_scene_set(work.path("a"), crowded), Error);
  EXPECT_FALSE(work.has("a/scenes.data"));
  const SceneSetSettings sound{.scenes = small(), .count = 4, .test = 1};
  write_scene_set(work.path("a"), sound);
  EXPECT_TRUE(work.has("a/scenes.data"));
  EXPECT_THROW(write_scene_set(work.path("a"), crowded), Error);
  EXPECT_FALSE(work.has("a/scenes.data"));  // of images that are gone
}

TEST(SceneSet, OneProcessAtATimeDrawsIntoAFolder) {
  const Workspace work;
  const SceneSetSettings s{.scenes = small(), .count = 4, .test = 1};
  write_scene_set(work.path("a"), s);
  EXPECT_FALSE(work.has("a/scenes.lock"));
  const auto before = work.tree("a");
  std::filesystem::create_directory(work.path("new"));
  for (const char* folder : {"a", "new"}) {
    const LockFile other(work.path(folder) / "scenes.lock", "a test");
    expect_refused(
        work.darknet({"synth", folder, "-n", "2"}),
        cat(folder, "/scenes.lock: darknet synth already runs in this folder: process "));
  }
  EXPECT_EQ(work.tree("a"), before);
  // killed before the first of its files was there
  work.put("new/scenes.lock", "process 1\nhost none\n");
  EXPECT_EQ(write_scene_set(work.path("new"), s), 4);
}

TEST(SceneSet, StoppedHasNoLists) {
  const Workspace work;
  SceneSetSettings s{.scenes = small(), .count = 9, .test = 2, .threads = 2};
  EXPECT_EQ(write_scene_set(work.path("a"), s), 9);
  std::atomic<int> asked = 0;
  s.stop = [&] { return ++asked > 4; };
  EXPECT_EQ(write_scene_set(work.path("a"), s), 4);
  for (const char* list : {"a/scenes.data", "a/train.txt", "a/test.txt"})
    EXPECT_FALSE(work.has(list)) << list;
}

TEST_F(CliTest, AnInterruptedSceneSetReportsWhatIsThere) {
  const CommandResult ran = work_.darknet({"synth", "a", "-n", "1000000"},
                                          {.signal_when = "for tests", .signal = SIGINT});
  EXPECT_EQ(ran.exit_code, 128 + SIGINT) << ran.all();
  EXPECT_NE(ran.out.find(" of 1000000; a holds them without lists; the same command begins again"),
            std::string::npos)
      << ran.all();
  EXPECT_TRUE(work_.has("a/images"));
  EXPECT_FALSE(work_.has("a/scenes.data"));
}

// With so small objects the least ratio asks for hundreds of them.
TEST_F(CliTest, AnInterruptedSearchForABackgroundReportsThatNothingIsDrawn) {
  const CommandResult ran =
      work_.darknet({"synth", "a", "-cfg", "x.cfg", "-background", "1", "-size", "2000x2000",
                     "-object_size", "4..5"},
                    {.signal_when = "looking for the number of objects", .signal = SIGINT});
  EXPECT_EQ(ran.exit_code, 128 + SIGINT) << ran.all();
  EXPECT_NE(ran.out.find("interrupted while scenes of "), std::string::npos) << ran.all();
  EXPECT_NE(ran.out.find(" tried; nothing was drawn\n"), std::string::npos) << ran.all();
  EXPECT_FALSE(work_.has("a/images"));
}

TEST(SceneSet, AFileIsNoFolder) {
  const Workspace work;
  work.put("a", "x");
  try {
    write_scene_set(work.path("a"), {.scenes = small()});
    FAIL();
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("this is not a folder"), std::string::npos) << e.what();
  }
}

class SynthTest : public CliTest {};

TEST_F(SynthTest, MakesASetThatCheckFindsSound) {
  const CommandResult made =
      work_.darknet({"synth", "s", "-n", "10", "-size", "96x64", "-object_size", "8..16", "-format",
                     "png", "-classes", "10"});
  ASSERT_EQ(made.exit_code, 0) << made.all();
  EXPECT_TRUE(work_.has("s/images/scene-000009.png"));
  const CommandResult checked = work_.darknet({"detector", "check", "s/scenes.data"});
  EXPECT_EQ(checked.exit_code, 0) << checked.all();
  EXPECT_NE(checked.out.find("train: 8 images"), std::string::npos) << checked.out;
  EXPECT_NE(checked.out.find("valid: 2 images"), std::string::npos) << checked.out;
}

TEST_F(SynthTest, DrawsAsMuchBackgroundAsAskedFor) {
  // x.cfg: 64 x 64 pixels; the ratio that is printed is that of the labels, counted here by check.
  const std::vector<std::string> flags{"-n",           "40",      "-test",      "0",
                                       "-size",        "128x128", "-cfg",       "x.cfg",
                                       "-object_size", "8..10",   "-background"};
  const auto ratio = [&](const char* asked) {
    std::vector<std::string> words{"synth", "b"};
    words.insert(words.end(), flags.begin(), flags.end());
    words.emplace_back(asked);
    const CommandResult made = work_.darknet(words);
    EXPECT_EQ(made.exit_code, 0) << made.all();
    const std::string mark = " of them positive: ";
    const auto at = made.out.find(mark);
    return at == std::string::npos ? 0 : std::stod(made.out.substr(at + mark.size()));
  };
  const double few = ratio("30"), many = ratio("60");
  EXPECT_NEAR(few, 30, 10);
  EXPECT_NEAR(many, 60, 20);
  const CommandResult checked = work_.darknet({"detector", "check", "b/scenes.data", "x.cfg"});
  EXPECT_NE(checked.out.find(cat(std::llround(many), " negatives to 1")), std::string::npos)
      << checked.out;
  std::vector<std::string> words{"synth", "c"};
  words.insert(words.end(), flags.begin(), flags.end());
  words.emplace_back("1000000");
  expect_refused(work_.darknet(words), "is the most");
}

TEST_F(SynthTest, CountsObjectsInWords) {
  const auto synth = [&](const char* objects) {
    return work_.darknet({"synth", "s", "-n", "2", "-size", "64x64", "-objects", objects});
  };
  EXPECT_TRUE(said(synth("1..1"), ", 1 object of ")) << synth("1..1").all();
  EXPECT_TRUE(said(synth("0..2"), ", 0 to 2 objects of "));
}

struct Error {
  const char* name;
  std::vector<std::string> flags;
  int exit_code;
  const char* says;
};
class SynthErrors : public CliTest, public testing::WithParamInterface<Error> {};

TEST_P(SynthErrors, AreReported) {
  std::vector<std::string> words{"synth", "s"};
  words.insert(words.end(), GetParam().flags.begin(), GetParam().flags.end());
  const CommandResult ran = work_.darknet(words);
  EXPECT_EQ(ran.exit_code, GetParam().exit_code) << ran.all();
  EXPECT_NE(ran.err.find(GetParam().says), std::string::npos) << ran.err;
  EXPECT_TRUE(work_.tree("s").empty());
}

INSTANTIATE_TEST_SUITE_P(
    All, SynthErrors,
    testing::Values(
        Error{"Size", {"-size", "8x9"}, 2, "sides of 16 to 8192"},
        Error{"SizeText", {"-size", "axb"}, 2, "two as in 3x7"},
        Error{"Objects", {"-objects", "6..1"}, 2, "the smaller number first"},
        Error{"Room", {"-size", "64x64", "-objects", "90", "-object_size", "20"}, 1, "no room"},
        Error{"ObjectSize", {"-object_size", "nan..3"}, 2, "4 <= A <= B <= 414"},
        Error{"Classes", {"-classes", "11"}, 2, "1 to 10 kinds"},
        Error{"Tests", {"-n", "3", "-test", "4"}, 2, "no more tests"},
        Error{"Seed", {"-seed", "-1"}, 2, "'-1': expected an integer from 0"},
        Error{"SeedText", {"-seed", "1.5"}, 2, "'1.5': expected an integer"},
        Error{"Background", {"-background", "100"}, 2, "needs -cfg"}),
    [](const auto& error) { return error.param.name; });

}  // namespace
}  // namespace darknet::test
