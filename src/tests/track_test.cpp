// Identities and smoothing, on boxes that move as told.
#include "detect/track.h"

#include <gtest/gtest.h>

#include "detect/associate.h"
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

TEST(Associate, TheBestPairsAreMadeFirstAndEachOnce) {
  const Frame known{at(.3f), at(.36f)}, found{at(.35f), at(.31f), at(.8f)};
  EXPECT_EQ(associate(found, known, .3f), (std::vector<std::size_t>{1, 0, kUnmatched}));
  EXPECT_EQ(associate(found, {}, .3f), (std::vector<std::size_t>(3, kUnmatched)));
  const Frame other{at(.3f, .5f, .9f, 1)};
  EXPECT_EQ(associate(other, known, .3f), (std::vector<std::size_t>{kUnmatched}));
}

TEST(Tracker, AnObjectKeepsItsNumberWhileItMoves) {
  Tracker tracker({});
  EXPECT_EQ(ids(tracker.next(Frame{at(.1f)}, kSure)), Ids{0});  // believed from the second on
  for (float x = .12f; x < .9f; x += .02f)
    EXPECT_EQ(ids(tracker.next(Frame{at(x)}, kSure)), Ids{1});
  EXPECT_EQ(tracker.counts().at(0), 1);
}

TEST(Tracker, CrossingObjectsKeepTheirNumbersBySpeed) {
  Tracker tracker({.frames_to_believe = 1});
  for (int i = 0; i <= 30; ++i) {
    const float x = .2f + .02f * static_cast<float>(i);
    // The rightward one is told first in every frame.
    const auto found = tracker.next(Frame{at(x, .5f), at(1 - x, .53f)}, kSure);
    EXPECT_EQ(ids(found), (Ids{1, 2})) << i;
  }
}

TEST(Tracker, AHiddenObjectGetsItsNumberBackAndALongGoneOneANewOne) {
  Tracker tracker({.frames_to_keep = 5, .frames_to_believe = 1});
  for (int i = 0; i < 5; ++i) tracker.next(Frame{at(.5f)}, kSure);
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(tracker.next(Frame{}, kSure).empty());
  EXPECT_EQ(ids(tracker.next(Frame{at(.5f)}, kSure)), Ids{1});
  for (int i = 0; i < 6; ++i) tracker.next(Frame{}, kSure);
  EXPECT_EQ(ids(tracker.next(Frame{at(.5f)}, kSure)), Ids{2});
  EXPECT_EQ(tracker.counts().at(0), 2);
}

TEST(Tracker, UnsureDetectionsContinueATrackAndBeginNone) {
  Tracker tracker({.frames_to_believe = 1});
  EXPECT_TRUE(tracker.next(Frame{at(.5f, .5f, .2f)}, kSure).empty());
  EXPECT_EQ(ids(tracker.next(Frame{at(.5f)}, kSure)), Ids{1});
  EXPECT_EQ(ids(tracker.next(Frame{at(.51f, .5f, .2f)}, kSure)), Ids{1});
  EXPECT_TRUE(tracker.next(Frame{at(.9f, .5f, .2f)}, kSure).empty());
}

TEST(Tracker, ClassesAreCountedApart) {
  Tracker tracker({.frames_to_believe = 1});
  tracker.next(Frame{at(.2f, .5f, .9f, 3), at(.2f, .5f, .9f, 7), at(.6f, .5f, .9f, 7)}, kSure);
  EXPECT_EQ(tracker.counts(), (std::map<std::int32_t, std::int64_t>{{3, 1}, {7, 2}}));
}

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
