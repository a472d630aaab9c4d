#include "dataset/scene_shapes.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

namespace darknet {
namespace {

// `corners` corners whose distances from the centre are alternately `outer` and `inner`.
Outline polar(int corners, float outer, float inner) {
  Outline points;
  for (int i = 0; i < corners; ++i) {
    const float angle =
        2 * std::numbers::pi_v<float> * static_cast<float>(i) / static_cast<float>(corners);
    const float radius = i % 2 ? inner : outer;
    points.push_back({radius * std::cos(angle), radius * std::sin(angle)});
  }
  return points;
}

Outline circle(float radius) { return polar(32, radius, radius); }

Outline cross() {
  const float a = .95f, b = .3f;
  return {{b, b},   {b, a},   {-b, a}, {-b, b}, {-a, b}, {-a, -b},
          {-b, -b}, {-b, -a}, {b, -a}, {b, -b}, {a, -b}, {a, b}};
}

Outline crescent() {
  Outline points;
  constexpr int kSteps = 14;
  for (int i = 0; i <= kSteps; ++i) {  // the outer arc, from one horn to the other
    const float angle = std::numbers::pi_v<float> * (-.7f + 1.4f * static_cast<float>(i) / kSteps);
    points.push_back({std::cos(angle), std::sin(angle)});
  }
  const ScenePoint horn = points.back();
  for (int i = 1; i < kSteps; ++i) {  // back along a flatter one
    const float t = static_cast<float>(i) / kSteps;
    const float bulge = std::sin(std::numbers::pi_v<float> * t);
    points.push_back({horn.x + .85f * bulge, horn.y * (1 - 2 * t)});
  }
  return points;
}

Outline arrow() {
  return {{1, 0}, {.1f, .75f}, {.1f, .3f}, {-.9f, .3f}, {-.9f, -.3f}, {.1f, -.3f}, {.1f, -.75f}};
}

Outline rectangle(float w, float h) { return {{w, h}, {-w, h}, {-w, -h}, {w, -h}}; }

Outline blob(Rng& rng) {
  const int corners = static_cast<int>(7 + rng.below(5));
  Outline points = polar(corners, 1, 1);
  for (ScenePoint& p : points) {
    const float shrink = rng.uniform(.45f, 1);
    p.x *= shrink, p.y *= shrink;
  }
  return points;
}

Outline half(const Outline& whole) {
  Outline kept;
  for (const ScenePoint& p : whole) kept.push_back({std::max(p.x, -.05f), p.y});
  return kept;
}

Outline shrunk(Outline points, float factor) {
  for (ScenePoint& p : points) p.x *= factor, p.y *= factor;
  return points;
}

float distance_to(const Outline& o, ScenePoint p) {
  float squared = std::numeric_limits<float>::max();
  bool inside = false;
  for (std::size_t i = 0, j = o.size() - 1; i < o.size(); j = i++) {
    const float ex = o[j].x - o[i].x, ey = o[j].y - o[i].y;
    const float wx = p.x - o[i].x, wy = p.y - o[i].y;
    const float length = std::max(ex * ex + ey * ey, 1e-12f);
    const float t = std::clamp((wx * ex + wy * ey) / length, 0.f, 1.f);
    const float dx = wx - t * ex, dy = wy - t * ey;
    squared = std::min(squared, dx * dx + dy * dy);
    if ((o[i].y > p.y) != (o[j].y > p.y) && wx < wy * ex / ey) inside = !inside;
  }
  return inside ? -std::sqrt(squared) : std::sqrt(squared);
}

}  // namespace

SceneShape scene_class_shape(std::int64_t class_id) {
  switch (class_id) {
    case 0:
      return {circle(.9f), {}};
    case 1:
      return {rectangle(.7f, .7f), {}};
    case 2:
      return {polar(3, 1, 1), {}};
    case 3:
      return {circle(.95f), circle(.55f)};
    case 4:
      return {cross(), {}};
    case 5:
      return {polar(10, 1, .42f), {}};
    case 6:
      return {crescent(), {}};
    case 7:
      return {arrow(), {}};
    case 8:
      return {polar(6, 1, 1), {}};
    default:
      return {rectangle(.98f, .22f), {}};
  }
}

SceneShape look_alike(std::int64_t classes, Rng& rng) {
  const auto all = std::ssize(kSceneClasses);
  const std::int64_t kind = rng.below(6);
  if (kind == 0 && classes < all) return scene_class_shape(classes + rng.below(all - classes));
  if (kind == 1) return {half(circle(.9f)), {}};
  if (kind == 2) {  // unfilled
    const Outline outer = scene_class_shape(1 + rng.below(2)).outer;
    return {outer, shrunk(outer, .62f)};
  }
  if (kind == 3) return {polar(5, .95f, .95f), {}};
  if (kind == 4) return {polar(8, 1, .62f), {}};
  return {blob(rng), {}};
}

SceneShape placed(const SceneShape& shape, ScenePoint centre, float scale, float angle) {
  const float c = scale * std::cos(angle), s = scale * std::sin(angle);
  SceneShape out = shape;
  for (Outline* o : {&out.outer, &out.inner})
    for (ScenePoint& p : *o) p = {centre.x + c * p.x - s * p.y, centre.y + s * p.x + c * p.y};
  return out;
}

Bounds bounds_of(const Outline& o) {
  Bounds b{o.front().x, o.front().y, o.front().x, o.front().y};
  for (const ScenePoint& p : o) {
    b.left = std::min(b.left, p.x), b.right = std::max(b.right, p.x);
    b.top = std::min(b.top, p.y), b.bottom = std::max(b.bottom, p.y);
  }
  return b;
}

float signed_distance(const SceneShape& shape, ScenePoint p) {
  const float outer = distance_to(shape.outer, p);
  return shape.inner.empty() ? outer : std::max(outer, -distance_to(shape.inner, p));
}

}  // namespace darknet
