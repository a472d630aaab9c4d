// Synthetic detection scenes: few small objects of several classes on textured clutter, among
// look-alikes that belong to no class. A scene is a pure function of its settings and number.
#pragma once
#include <cstdint>
#include <vector>

#include "detect/box.h"
#include "image/image.h"

namespace darknet {

struct SceneSettings {
  std::int64_t width = 416, height = 416;
  std::int64_t classes = 3;  // the first ones of kSceneClasses (dataset/scene_shapes.h)
  std::int64_t min_objects = 1, max_objects = 6;
  float min_size = 16, max_size = 56;  // the larger side of an object's box, pixels
  std::int64_t clutter = 3;            // 0: plain texture; look-alikes and lines grow with it
  std::uint64_t seed = 1;
};

// min_size and max_size become 4 and 14 % of the smaller side of the image.
void set_usual_sizes(SceneSettings&);

// Throws where a setting is out of its range or objects of this size have no room.
void check(const SceneSettings&);

// What scene `k` holds, without drawing it. Objects do not overlap and lie wholly in the image;
// their boxes are tight. Throws where there is no room for them.
std::vector<Truth> scene_truths(const SceneSettings&, std::int64_t k);

struct Scene {
  Image image;
  std::vector<Truth> truths;
};
Scene make_scene(const SceneSettings&, std::int64_t k);

}  // namespace darknet
