#include "dataset/moving_scene.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace darknet {
namespace {

constexpr float kShortest = 4, kLongest = 9;  // seconds from border to border
constexpr float kVisible = .5f;               // of an object's box, to be ground truth

// Streams of random numbers, apart from those of scenes that stand still.
constexpr std::uint64_t kSlots = 1ull << 40, kCrossings = 1ull << 41, kNoise = 1ull << 42;

SceneSettings checked(const SceneSettings& s) {
  check(s);
  return s;
}

float area(const Bounds& b) {
  return std::max(b.right - b.left, 0.f) * std::max(b.bottom - b.top, 0.f);
}

Bounds within(const Bounds& b, float width, float height) {
  return {std::max(b.left, 0.f), std::max(b.top, 0.f), std::min(b.right, width),
          std::min(b.bottom, height)};
}

// From beyond one border to beyond the opposite one, `t` of the way.
ScenePoint on_its_way(Rng& rng, float width, float height, float margin, float t) {
  const bool vertical = rng.flip(), back = rng.flip();
  const float across = vertical ? width : height, along = vertical ? height : width;
  const float lane = std::lerp(rng.uniform(.1f, .9f), rng.uniform(.1f, .9f), t) * across;
  const float way = std::lerp(-margin, along + margin, back ? 1 - t : t);
  return vertical ? ScenePoint{lane, way} : ScenePoint{way, lane};
}

}  // namespace

struct MovingScene::Crossing {
  std::int64_t id = 0, class_id = 0;
  SceneShape shape;  // in pixels
  Paint paint;
};

MovingScene::MovingScene(const SceneSettings& s, double fps)
    : settings_(checked(s)), fps_(fps), background_(scene_background(s, 0)) {
  const Bounds all{0, 0, static_cast<float>(s.width), static_cast<float>(s.height)};
  ground_ = ground_under(background_, all);
  Rng rng = rng_of(s, 0, Part::paint);
  softness_ = random_softness(rng);  // as the background's look-alikes
}

// Each slot sends one object after the other, every one with a new shape, path and paint.
MovingScene::Crossing MovingScene::crossing_of(std::int64_t slot, std::int64_t k) const {
  Rng timing(settings_.seed, kSlots + static_cast<std::uint64_t>(slot));
  const double seconds = timing.uniform(kShortest, kLongest);
  const auto frames = std::max<std::int64_t>(2, std::llround(fps_ * seconds));
  const std::int64_t since = k + timing.below(frames), pass = since / frames;
  const float t = static_cast<float>(since % frames) / static_cast<float>(frames);
  Crossing c;
  c.id = 1 + pass * settings_.max_objects + slot;
  Rng rng(settings_.seed, kCrossings + static_cast<std::uint64_t>(c.id));
  c.class_id = rng.below(settings_.classes);
  const float size = rng.uniform(settings_.min_size, settings_.max_size);
  const float angle = rng.uniform(0, 2 * std::numbers::pi_v<float>) +
                      t * rng.uniform(-std::numbers::pi_v<float>, std::numbers::pi_v<float>);
  const ScenePoint centre = on_its_way(rng, static_cast<float>(settings_.width),
                                       static_cast<float>(settings_.height), size, t);
  c.paint = random_paint(rng, ground_, softness_);
  c.shape = placed(scene_class_shape(c.class_id), centre, size / 2, angle);
  return c;
}

std::vector<MovingObject> MovingScene::objects(std::int64_t k) const {
  std::vector<MovingObject> found;
  for (std::int64_t slot = 0; slot < settings_.max_objects; ++slot) {
    const Crossing c = crossing_of(slot, k);
    const Bounds whole = bounds_of(c.shape.outer);
    const Bounds visible =
        within(whole, static_cast<float>(settings_.width), static_cast<float>(settings_.height));
    if (area(visible) >= kVisible * area(whole))
      found.push_back(
          {{scene_box(settings_, visible), static_cast<std::int32_t>(c.class_id)}, c.id});
  }
  return found;
}

Image MovingScene::frame(std::int64_t k) const {
  SceneCanvas canvas = background_;
  for (std::int64_t slot = 0; slot < settings_.max_objects; ++slot) {
    const Crossing c = crossing_of(slot, k);
    paint(canvas, c.shape, c.paint);
  }
  return exposed(canvas, settings_, 0, kNoise + static_cast<std::uint64_t>(k));
}

}  // namespace darknet
