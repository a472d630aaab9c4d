// How a synthetic scene is painted: ground, lines, shapes, light. What lies where is decided by
// dataset/scenes.h and dataset/moving_scene.h.
#pragma once
#include <array>
#include <cstdint>
#include <vector>

#include "core/index.h"
#include "core/rng.h"
#include "dataset/scene_shapes.h"
#include "dataset/scenes.h"
#include "image/image.h"

namespace darknet {

using Rgb = std::array<float, 3>;  // 0..255

// What is random of scene k is drawn from streams of its own, so that drawing one part more leaves
// the others as they are.
enum class Part : std::uint64_t { objects, look_alikes, ground, lines, paint, light, noise };
Rng rng_of(const SceneSettings&, std::int64_t k, Part);

// An image in floats while it is made.
class SceneCanvas {
 public:
  SceneCanvas(std::int64_t w, std::int64_t h) : width_(w), height_(h), pixels_(to_size(w * h)) {}
  std::int64_t width() const { return width_; }
  std::int64_t height() const { return height_; }
  Rgb& at(std::int64_t x, std::int64_t y) { return pixels_[to_size(y * width_ + x)]; }
  const Rgb& at(std::int64_t x, std::int64_t y) const { return pixels_[to_size(y * width_ + x)]; }

 private:
  std::int64_t width_, height_;
  std::vector<Rgb> pixels_;
};

struct Paint {
  Rgb from{}, to{};  // shaded from one to the other along `direction`
  ScenePoint direction;
  float softness = 1;  // width of the edge, pixels
  float opacity = 1;
};

// Two colours mixed by noise of several octaves.
void paint_ground(SceneCanvas&, const SceneSettings&, std::int64_t k);
// Lines across the image, thin and faint.
void paint_lines(SceneCanvas&, const SceneSettings&, std::int64_t k);
void paint(SceneCanvas&, const SceneShape&, const Paint&);

// The mean grey level, 0..255.
float ground_under(const SceneCanvas&, const Bounds&);
// Colours that stand out against `ground`.
Paint random_paint(Rng&, float ground, float softness);
float random_softness(Rng&);

// The box of what lies within the bounds, which are in pixels.
Box scene_box(const SceneSettings&, const Bounds&);

// A gradient of light, gain, and the noise of a camera; `noise_stream` chooses the noise.
Image exposed(const SceneCanvas&, const SceneSettings&, std::int64_t k, std::uint64_t noise_stream);

// A scene without its objects: ground, lines and look-alikes (dataset/scenes.cpp).
SceneCanvas scene_background(const SceneSettings&, std::int64_t k);

}  // namespace darknet
