// A synthetic scene in motion, a test card for video: objects cross a cluttered image, leave it
// and are followed by others. Frame k is a pure function of the settings and k.
#pragma once
#include <cstdint>
#include <vector>

#include "dataset/scene_paint.h"
#include "dataset/scenes.h"

namespace darknet {

struct MovingObject {
  Truth truth;
  std::int64_t id = 0;  // the same in every frame that shows the object, and of no other one
};

class MovingScene {
 public:
  // Of the settings `max_objects` is how many are on their way at a time. Throws as check() does.
  MovingScene(const SceneSettings&, double fps);
  Image frame(std::int64_t k) const;  // from 0
  // What it shows at least half of; boxes end at the border.
  std::vector<MovingObject> objects(std::int64_t k) const;

 private:
  struct Crossing;
  Crossing crossing_of(std::int64_t slot, std::int64_t k) const;
  SceneSettings settings_;
  double fps_;
  SceneCanvas background_;
  float ground_, softness_;  // mean grey level, 0..255; of edges, pixels
};

}  // namespace darknet
