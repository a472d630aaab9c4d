// Identities and smoothing, on boxes that move as set.
#include "video/track.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "core/error.h"
#include "dataset/moving_scene.h"
#include "detect/associate.h"
#include "detect/overlap.h"
#include "detect/smooth.h"

namespace darknet {
namespace {

constexpr float kSure = .5f;

Detection at(float x, float y = .5f, float p = .9f, std::int32_t class_id = 0) {
  return {{x, y, .1f, .2f}, class_id, p, p};
}

using Frame = std::vector<Detection>;

std::vector<std::int64_t> ids(const std::vector<TrackedDetection>& found) {
  std::vector<std::int64_t> out;
  for (const TrackedDetection& t : found) out.push_back(t.id);
  return out;
}

using Ids = std::vector<std::int64_t>;

TEST(Associate, PairsBoxesOfOneClassEachOnce) {
  const Frame known{at(.3f), at(.36f)}, found{at(.35f), at(.31f), at(.8f)};
  EXPECT_EQ(associate(found, known, .3f), (std::vector<std::size_t>{1, 0, kUnmatched}));
  EXPECT_EQ(associate(found, {}, .3f), (std::vector<std::size_t>(3, kUnmatched)));
  const Frame other{at(.3f, .5f, .9f, 1)};
  EXPECT_EQ(associate(other, known, .3f), (std::vector<std::size_t>{kUnmatched}));
}

// The first detection overlaps both boxes, the second only one of them, and that one less.
TEST(Associate, TheSumOfOverlapsCountsNotTheBestPair) {
  const Frame known{at(.300f), at(.354f)}, found{at(.325f), at(.267f)};
  EXPECT_GT(iou(found[0].box, known[0].box), iou(found[0].box, known[1].box));
  EXPECT_EQ(associate(found, known, .3f), (std::vector<std::size_t>{1, 0}));
}

TEST(Associate, NoOtherAssignmentOverlapsMore) {
  Rng rng(7);
  for (int round = 0; round < 300; ++round) {
    Frame found, known;
    for (auto* boxes : {&found, &known})
      for (auto n = 1 + rng.below(5); n > 0; --n)
        boxes->push_back(at(rng.uniform(.4f, .6f), rng.uniform(.4f, .6f)));
    const auto value = [&](std::size_t f, std::size_t k) {
      if (f >= found.size() || k >= known.size()) return 0.f;
      const float overlap = iou(found[f].box, known[k].box);
      return overlap >= .3f ? overlap : 0;
    };
    std::vector<std::size_t> order(std::max(found.size(), known.size()));
    std::iota(order.begin(), order.end(), 0);
    float best = 0;
    do {
      float sum = 0;
      for (std::size_t f = 0; f < order.size(); ++f) sum += value(f, order[f]);
      best = std::max(best, sum);
    } while (std::next_permutation(order.begin(), order.end()));
    const auto match = associate(found, known, .3f);
    float sum = 0;
    for (std::size_t f = 0; f < found.size(); ++f) sum += value(f, match[f]);
    EXPECT_NEAR(sum, best, 1e-5f) << round;
  }
}

#if defined(DARKNET_OPENCV)
TEST(BoxMotion, ExpectsWhatMovesSteadily) {
  Rng rng(3);
  const auto motion = box_motion({.2f, .5f, .1f, .2f});
  for (int i = 1; i <= 20; ++i) {  // a detector that trembles by 2 % of the box
    motion->predict();
    motion->correct({.2f + .01f * static_cast<float>(i) + rng.uniform(-.002f, .002f),
                     .5f - .005f * static_cast<float>(i) + rng.uniform(-.004f, .004f), .1f, .2f});
  }
  Box expected;
  for (int i = 0; i < 10; ++i) expected = motion->predict();  // hidden for ten frames
  EXPECT_NEAR(expected.x, .2f + .30f, .01f);
  EXPECT_NEAR(expected.y, .5f - .15f, .02f);
  EXPECT_NEAR(expected.w, .1f, .002f);
  EXPECT_NEAR(expected.h, .2f, .002f);
}

TEST(Tracker, AnObjectIsNumberedAfterFiveFramesAndKeepsItsNumberWhileItMoves) {
  Tracker tracker({});
  int frame = 0;
  for (float x = .1f; x < .9f; x += .02f) {
    EXPECT_EQ(ids(tracker.next(Frame{at(x)}, kSure)), Ids{++frame < 5 ? 0 : 1}) << frame;
    EXPECT_EQ(tracker.counts().size(), frame < 5 ? 0u : 1u);
  }
  EXPECT_EQ(tracker.counts().at(0), 1);
}

TEST(Tracker, WhatIsSeenInFewerFramesIsNoObject) {
  Tracker tracker({});
  for (int i = 0; i < 200; ++i)  // four frames, then a pause of two
    tracker.next(i % 6 < 4 ? Frame{at(.5f)} : Frame{}, kSure);
  EXPECT_TRUE(tracker.counts().empty());
  Tracker flickering({});
  for (int i = 0; i < 9; ++i)  // every other frame
    flickering.next(i % 2 == 0 ? Frame{at(.5f)} : Frame{}, kSure);
  EXPECT_EQ(flickering.counts().at(0), 1);
}

TEST(Tracker, CrossingObjectsKeepTheirNumbersBySpeed) {
  Tracker tracker({.frames_to_number = 1});
  for (int i = 0; i <= 30; ++i) {
    const float x = .2f + .02f * static_cast<float>(i);
    // The rightward one is reported first in every frame.
    const auto found = tracker.next(Frame{at(x, .5f), at(1 - x, .53f)}, kSure);
    EXPECT_EQ(ids(found), (Ids{1, 2})) << i;
  }
}

TEST(Tracker, AHiddenObjectGetsItsNumberBackAndALongGoneOneANewOne) {
  Tracker tracker({.frames_to_keep = 5, .frames_to_number = 1});
  for (int i = 0; i < 5; ++i) tracker.next(Frame{at(.5f)}, kSure);
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(tracker.next(Frame{}, kSure).empty());
  EXPECT_EQ(ids(tracker.next(Frame{at(.5f)}, kSure)), Ids{1});
  for (int i = 0; i < 6; ++i) tracker.next(Frame{}, kSure);
  EXPECT_EQ(ids(tracker.next(Frame{at(.5f)}, kSure)), Ids{2});
  EXPECT_EQ(tracker.counts().at(0), 2);
}

TEST(Tracker, DetectionsBelowTheThresholdContinueATrackBeginNoneAndAreNotReturned) {
  Tracker tracker({.frames_to_keep = 1, .frames_to_number = 1});
  EXPECT_TRUE(tracker.next(Frame{at(.5f, .5f, .2f)}, kSure).empty());
  EXPECT_EQ(ids(tracker.next(Frame{at(.5f)}, kSure)), Ids{1});
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(tracker.next(Frame{at(.51f, .5f, .2f)}, kSure).empty());
  EXPECT_EQ(ids(tracker.next(Frame{at(.51f)}, kSure)), Ids{1});
  EXPECT_TRUE(tracker.next(Frame{at(.9f, .5f, .2f)}, kSure).empty());
  EXPECT_EQ(tracker.counts().at(0), 1);
}

TEST(Tracker, ClassesAreCountedApart) {
  Tracker tracker({.frames_to_number = 1});
  tracker.next(Frame{at(.2f, .5f, .9f, 3), at(.2f, .5f, .9f, 7), at(.6f, .5f, .9f, 7)}, kSure);
  EXPECT_EQ(tracker.counts(), (std::map<std::int32_t, std::int64_t>{{3, 1}, {7, 2}}));
}

// A detector that misses one object in ten, trembles by 3 % of a box, and now and then sees what
// is not there.
Frame detected(const std::vector<MovingObject>& objects, Rng& rng) {
  Frame found;
  const auto tremble = [&](float size) { return rng.uniform(-.03f, .03f) * size; };
  for (const MovingObject& o : objects) {
    const Box b = o.truth.box;
    if (rng.uniform() < .1f) continue;
    found.push_back(
        {{b.x + tremble(b.w), b.y + tremble(b.h), b.w + tremble(b.w), b.h + tremble(b.h)},
         o.truth.class_id,
         .8f,
         .8f});
  }
  if (rng.uniform() < .3f)
    found.push_back(at(rng.uniform(.1f, .9f), rng.uniform(.1f, .9f), .7f,
                       static_cast<std::int32_t>(rng.below(3))));
  return found;
}

TEST(Tracker, CountsTheObjectsOfASceneOfCrossingsAndFlicker) {
  constexpr int kFrames = 1500;
  SceneSettings settings{.width = 320, .height = 240, .classes = 2, .max_objects = 8};
  for (const std::uint64_t seed : {1, 2, 3}) {
    settings.seed = seed;
    const MovingScene scene(settings, 25);
    Rng rng(seed);
    Tracker tracker({.frames_to_keep = 25});
    std::map<std::int64_t, int> frames_of;  // by object
    int crossings = 0;                      // frames in which two objects of a class meet
    for (int k = 0; k < kFrames; ++k) {
      const auto objects = scene.objects(k);
      for (const MovingObject& a : objects) {
        ++frames_of[a.id];
        for (const MovingObject& b : objects)
          crossings += a.id < b.id && a.truth.class_id == b.truth.class_id &&
                       iou(a.truth.box, b.truth.box) > .2f;
      }
      tracker.next(detected(objects, rng), kSure);
    }
    std::int64_t objects = 0, counted = 0;
    for (const auto& [id, frames] : frames_of) objects += frames >= 8;
    for (const auto& [class_id, count] : tracker.counts()) counted += count;
    EXPECT_GT(objects, 60);
    EXPECT_GT(crossings, 50);
    EXPECT_NEAR(static_cast<double>(counted), static_cast<double>(objects), 1) << seed;
  }
}
#else
TEST(Tracker, SaysWhatItNeeds) { EXPECT_THROW(Tracker({}), Error); }
#endif

TEST(Smoother, OneFrameChangesNothing) {
  Smoother smoother(1);
  const auto found = smoother.next(Frame{at(.5f, .5f, .1f)}, .25f);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_FLOAT_EQ(found[0].probability, .1f);
}

TEST(Smoother, ProbabilityIsTheMeanAndTheBoxIsTheWeightedMean) {
  Smoother smoother(2);
  smoother.next(Frame{at(.50f, .5f, .9f)}, .25f);
  const auto found = smoother.next(Frame{at(.52f, .5f, .3f)}, .25f);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_FLOAT_EQ(found[0].probability, .6f);
  EXPECT_FLOAT_EQ(found[0].box.x, .505f);
  EXPECT_FLOAT_EQ(found[0].box.w, .1f);
}

TEST(Smoother, AFlickerIsBridgedAndAGhostIsNot) {
  Smoother smoother(3);
  for (int i = 0; i < 3; ++i) smoother.next(Frame{at(.5f)}, .4f);
  const auto bridged = smoother.next(Frame{at(.1f, .5f, .9f)}, .4f);  // a ghost, nothing at .5
  ASSERT_EQ(bridged.size(), 1u);
  EXPECT_FLOAT_EQ(bridged[0].box.x, .5f);
  EXPECT_FLOAT_EQ(bridged[0].probability, .6f);
  EXPECT_TRUE(smoother.next(Frame{}, .4f).empty());
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(smoother.next(Frame{}, 0).size() <= 2) << i;
  EXPECT_TRUE(smoother.next(Frame{}, 0).empty());  // forgotten
}

TEST(Smoother, StandingBoxesTrembleLess) {
  Smoother smoother(5);
  float largest = 0, before = .5f;
  for (int i = 0; i < 40; ++i) {
    const auto found = smoother.next(Frame{at(i % 2 == 0 ? .49f : .51f)}, .25f);
    ASSERT_EQ(found.size(), 1u);
    if (i >= 5) largest = std::max(largest, std::abs(found[0].box.x - before));
    before = found[0].box.x;
  }
  EXPECT_LT(largest, .005f);  // of .02
}

}  // namespace
}  // namespace darknet
