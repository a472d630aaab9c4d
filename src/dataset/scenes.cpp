#include "dataset/scenes.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "core/error.h"
#include "dataset/scene_paint.h"

namespace darknet {
namespace {

constexpr float kMargin = 2;    // pixels between an object and what lies next to it
constexpr int kPlacings = 300;  // tries to find room for one shape

struct Thing {
  SceneShape shape;  // in pixels
  std::int64_t class_id = -1;
  Bounds bounds;
};

bool apart(const Bounds& a, const Bounds& b) {
  return a.right + kMargin < b.left || b.right + kMargin < a.left || a.bottom + kMargin < b.top ||
         b.bottom + kMargin < a.top;
}

bool free_of(const Bounds& b, const std::vector<Thing>& things) {
  return std::all_of(things.begin(), things.end(),
                     [&](const Thing& t) { return apart(b, t.bounds); });
}

// Turns the shape, scales it so that its box's larger side is `size`, and finds a free place.
bool place_thing(const SceneSettings& s, const SceneShape& unit, Rng& rng,
                 const std::vector<Thing>& others, Thing& thing) {
  for (int i = 0; i < kPlacings; ++i) {
    const float size = rng.uniform(s.min_size, s.max_size);
    const float angle = rng.uniform(0, 2 * std::numbers::pi_v<float>);
    const Bounds turned = bounds_of(placed(unit, {}, 1, angle).outer);
    const float scale = size / std::max(turned.right - turned.left, turned.bottom - turned.top);
    const float free_x = static_cast<float>(s.width) - scale * (turned.right - turned.left) - 2,
                free_y = static_cast<float>(s.height) - scale * (turned.bottom - turned.top) - 2;
    const ScenePoint centre{1 - scale * turned.left + free_x * rng.uniform(),
                            1 - scale * turned.top + free_y * rng.uniform()};
    thing.shape = placed(unit, centre, scale, angle);
    thing.bounds = bounds_of(thing.shape.outer);
    if (free_x >= 0 && free_y >= 0 && free_of(thing.bounds, others)) return true;
  }
  return false;
}

std::vector<Thing> objects_of(const SceneSettings& s, std::int64_t k) {
  Rng rng = rng_of(s, k, Part::objects);
  const std::int64_t count = s.min_objects + rng.below(s.max_objects - s.min_objects + 1);
  std::vector<Thing> objects;
  for (std::int64_t i = 0; i < count; ++i) {
    Thing thing;
    thing.class_id = rng.below(s.classes);
    if (!place_thing(s, scene_class_shape(thing.class_id), rng, objects, thing))
      fail("scene ", k, ": no room for ", count, " objects of ", s.min_size, " to ", s.max_size,
           " pixels in an image of ", s.width, " x ", s.height, "; after ", i,
           " of them it is full: fewer or smaller objects, or a larger image, are needed");
    objects.push_back(std::move(thing));
  }
  return objects;
}

// As many as clutter asks for and as there is room for.
std::vector<Thing> look_alikes_of(const SceneSettings& s, std::int64_t k,
                                  const std::vector<Thing>& objects) {
  Rng rng = rng_of(s, k, Part::look_alikes);
  std::vector<Thing> all = objects;
  const std::int64_t count = s.clutter > 0 ? s.clutter + rng.below(s.clutter + 1) : 0;
  for (std::int64_t i = 0; i < count; ++i) {
    Thing thing;
    if (!place_thing(s, look_alike(s.classes, rng), rng, all, thing)) break;
    all.push_back(std::move(thing));
  }
  all.erase(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(objects.size()));
  return all;
}

Truth truth_of(const SceneSettings& s, const Thing& t) {
  return {scene_box(s, t.bounds), static_cast<std::int32_t>(t.class_id)};
}

// Ground and lines, and on them the things in their order.
SceneCanvas painted(const SceneSettings& s, std::int64_t k, const std::vector<Thing>& things) {
  SceneCanvas canvas(s.width, s.height);
  paint_ground(canvas, s, k);
  paint_lines(canvas, s, k);
  Rng rng = rng_of(s, k, Part::paint);
  const float softness = random_softness(rng);
  for (const Thing& t : things)
    paint(canvas, t.shape, random_paint(rng, ground_under(canvas, t.bounds), softness));
  return canvas;
}

}  // namespace

void set_usual_sizes(SceneSettings& s) {
  const auto side = static_cast<float>(std::min(s.width, s.height));
  s.min_size = std::max(4.f, std::round(.04f * side));
  s.max_size = std::max(s.min_size, std::round(.14f * side));
}

void check(const SceneSettings& s) {
  const auto side = static_cast<float>(std::min(s.width, s.height));
  if (std::min(s.width, s.height) < 16 || std::max(s.width, s.height) > 8192)
    fail("size ", s.width, "x", s.height, ": expected sides of 16 to 8192 pixels");
  if (s.classes < 1 || s.classes > std::ssize(kSceneClasses))
    fail("classes ", s.classes, ": there are 1 to ", kSceneClasses.size(), " kinds of objects");
  if (s.max_objects < s.min_objects)
    fail("objects ", s.min_objects, "..", s.max_objects, ": expected the smaller number first");
  if (s.min_objects < 0 || s.max_objects > 1000)
    fail("objects ", s.min_objects, "..", s.max_objects, ": expected numbers of 0 to 1000");
  if (!(s.min_size >= 4 && s.max_size >= s.min_size && s.max_size <= side - 2))
    fail("object_size ", s.min_size, "..", s.max_size,
         ": expected A..B pixels with 4 <= A <= B <= ", side - 2);
  if (s.clutter < 0 || s.clutter > 100)
    fail("clutter ", s.clutter, ": expected a number of 0 to 100");
}

std::vector<Truth> scene_truths(const SceneSettings& s, std::int64_t k) {
  std::vector<Truth> truths;
  for (const Thing& t : objects_of(s, k)) truths.push_back(truth_of(s, t));
  return truths;
}

Scene make_scene(const SceneSettings& s, std::int64_t k) {
  const std::vector<Thing> objects = objects_of(s, k);
  std::vector<Thing> things = look_alikes_of(s, k, objects);
  things.insert(things.end(), objects.begin(), objects.end());
  Scene scene{exposed(painted(s, k, things), s, k, rng_of(s, k, Part::noise).bits()), {}};
  for (const Thing& t : objects) scene.truths.push_back(truth_of(s, t));
  return scene;
}

SceneCanvas scene_background(const SceneSettings& s, std::int64_t k) {
  return painted(s, k, look_alikes_of(s, k, {}));
}

}  // namespace darknet
