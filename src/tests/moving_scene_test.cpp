// Moving synthetic scenes: the same bytes for a frame whatever came before, boxes where something
// is drawn, objects that cross the image and are followed by others.
#include "dataset/moving_scene.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

#include "core/error.h"

namespace darknet {
namespace {

constexpr double kFps = 25;

SceneSettings small() {
  return {.width = 160, .height = 120, .max_objects = 4, .min_size = 16, .max_size = 30, .seed = 5};
}

TEST(MovingScene, AFrameIsAFunctionOfSettingsAndNumber) {
  const MovingScene a(small(), kFps), b(small(), kFps);
  const Image late = a.frame(1000);
  a.frame(3);
  EXPECT_EQ(b.frame(3).pixels, a.frame(3).pixels);
  EXPECT_EQ(b.frame(1000).pixels, late.pixels);
  EXPECT_NE(a.frame(4).pixels, a.frame(3).pixels);
  SceneSettings other = small();
  other.seed = 6;
  EXPECT_NE(MovingScene(other, kFps).frame(3).pixels, a.frame(3).pixels);
  other.width = 8;
  EXPECT_THROW(MovingScene(other, kFps), Error);
}

// Without objects the same frame has the same background and noise: what differs is objects.
TEST(MovingScene, WhatMovesLiesInTheBoxes) {
  SceneSettings none = small();
  none.min_objects = none.max_objects = 0;
  const MovingScene with(small(), kFps), without(none, kFps);
  std::int64_t changed = 0, outside = 0, objects = 0;
  for (std::int64_t k = 0; k < 400; k += 10) {
    const Image a = with.frame(k), b = without.frame(k);
    const auto boxes = with.objects(k);
    objects += std::ssize(boxes);
    for (std::int64_t y = 0; y < a.height; ++y)
      for (std::int64_t x = 0; x < a.width; ++x) {
        if (std::abs(*a.at(x, y) - *b.at(x, y)) < 8) continue;
        ++changed;
        bool inside = false;
        for (const MovingObject& o : boxes) {
          const float u = (static_cast<float>(x) + .5f) / 160,
                      v = (static_cast<float>(y) + .5f) / 120;
          constexpr float kEdge = .02f;  // edges are soft
          inside |= std::abs(u - o.truth.box.x) < o.truth.box.w / 2 + kEdge &&
                    std::abs(v - o.truth.box.y) < o.truth.box.h / 2 + kEdge;
        }
        outside += !inside;
      }
  }
  EXPECT_GT(objects, 60);
  EXPECT_GT(changed, 100 * objects);
  // Of objects less than half of which is in the image.
  EXPECT_LT(outside, changed / 10);
}

TEST(MovingScene, ObjectsCrossSteadilyAndAreFollowedByOthers) {
  const MovingScene scene(small(), kFps);
  std::map<std::int64_t, MovingObject> before;
  std::map<std::int64_t, int> frames;
  for (std::int64_t k = 0; k < 1000; ++k) {
    std::map<std::int64_t, MovingObject> now;
    for (const MovingObject& o : scene.objects(k)) {
      EXPECT_TRUE(now.emplace(o.id, o).second) << "two objects have the number " << o.id;
      EXPECT_GE(o.truth.box.left(), -1e-6f);
      EXPECT_LE(o.truth.box.right(), 1 + 1e-6f);
      EXPECT_GE(o.truth.box.top(), -1e-6f);
      EXPECT_LE(o.truth.box.bottom(), 1 + 1e-6f);
      ++frames[o.id];
      const auto last = before.find(o.id);
      if (last == before.end()) continue;
      EXPECT_EQ(last->second.truth.class_id, o.truth.class_id);
      EXPECT_LT(std::hypot(o.truth.box.x - last->second.truth.box.x,
                           o.truth.box.y - last->second.truth.box.y),
                .05f);
    }
    before = std::move(now);
  }
  EXPECT_GT(frames.size(), 4u * 4);   // the shortest cross in 4 seconds, the longest in 9
  EXPECT_LT(frames.size(), 4u * 12);  // of 40 seconds
  std::set<int> lengths;
  for (const auto& [id, count] : frames) lengths.insert(count);
  EXPECT_GT(*lengths.rbegin(), 60);
}

}  // namespace
}  // namespace darknet
