// The shapes of synthetic scenes: outlines as polygons, from signed distances so that edges are
// smooth. What lies where in a scene is dataset/scenes.h.
#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "core/rng.h"

namespace darknet {

struct ScenePoint {
  float x = 0, y = 0;
};
using Outline = std::vector<ScenePoint>;

// A filled outline, with a hole where there is one.
struct SceneShape {
  Outline outer, inner;
};

// The classes in order; a scene of K classes has the first K.
inline constexpr std::array<const char*, 10> kSceneClasses{
    "disc", "square", "triangle", "ring", "cross", "star", "crescent", "arrow", "hexagon", "bar"};

// Within the unit circle around 0.
SceneShape scene_class_shape(std::int64_t class_id);
// Something that resembles an object and is of none of the first `classes` classes.
SceneShape look_alike(std::int64_t classes, Rng& rng);

// Scaled, turned by `angle` (radians) and moved.
SceneShape placed(const SceneShape&, ScenePoint centre, float scale, float angle);

struct Bounds {
  float left = 0, top = 0, right = 0, bottom = 0;
};
Bounds bounds_of(const Outline&);

// Distance to the outline, negative inside.
float signed_distance(const SceneShape&, ScenePoint);

}  // namespace darknet
