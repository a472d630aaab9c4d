#include "dataset/scenes.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "core/error.h"
#include "core/rng.h"
#include "dataset/scene_shapes.h"

namespace darknet {
namespace {

constexpr float kMargin = 2;    // pixels between an object and what lies beside it
constexpr int kPlacings = 300;  // tries to find room for one shape
constexpr int kOctaves = 5;
constexpr float kLeastContrast = 38;  // of an object against its ground, in grey levels

using Rgb = std::array<float, 3>;  // 0..255

// What is random of scene k is drawn from streams of its own, so that drawing one part more leaves
// the others as they are.
enum class Part : std::uint64_t { objects, look_alikes, ground, lines, paint, light, noise };

Rng rng_of(const SceneSettings& s, std::int64_t k, Part part) {
  return Rng(s.seed, 16 * static_cast<std::uint64_t>(k) + static_cast<std::uint64_t>(part));
}

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
    const float size = rng.uniform(s.least_size, s.most_size);
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
  const std::int64_t count = s.least_objects + rng.below(s.most_objects - s.least_objects + 1);
  std::vector<Thing> objects;
  for (std::int64_t i = 0; i < count; ++i) {
    Thing thing;
    thing.class_id = rng.below(s.classes);
    if (!place_thing(s, scene_class_shape(thing.class_id), rng, objects, thing))
      fail("scene ", k, ": no room for ", count, " objects of ", s.least_size, " to ", s.most_size,
           " pixels in a picture of ", s.width, " x ", s.height, "; after ", i,
           " of them it is full: fewer or smaller objects, or a larger picture, are needed");
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
  const auto w = static_cast<float>(s.width), h = static_cast<float>(s.height);
  const Bounds& b = t.bounds;
  return {{(b.left + b.right) / 2 / w, (b.top + b.bottom) / 2 / h, (b.right - b.left) / w,
           (b.bottom - b.top) / h},
          static_cast<std::int32_t>(t.class_id)};
}

// A picture in floats while it is made.
class Canvas {
 public:
  Canvas(std::int64_t w, std::int64_t h)
      : width_(w), height_(h), pixels_(static_cast<std::size_t>(w * h)) {}
  std::int64_t width() const { return width_; }
  std::int64_t height() const { return height_; }
  Rgb& at(std::int64_t x, std::int64_t y) {
    return pixels_[static_cast<std::size_t>(y * width_ + x)];
  }

 private:
  std::int64_t width_, height_;
  std::vector<Rgb> pixels_;
};

float grey(const Rgb& c) { return .299f * c[0] + .587f * c[1] + .114f * c[2]; }
Rgb random_colour(Rng& rng) {
  return {rng.uniform(20, 235), rng.uniform(20, 235), rng.uniform(20, 235)};
}

// Smooth value noise in 0..1 at one pixel: a lattice of random values every `cell` pixels.
float lattice_noise(std::uint64_t seed, std::uint64_t octave, float x, float y) {
  const float fx = std::floor(x), fy = std::floor(y);
  const auto value = [&](float cx, float cy) {
    const auto column = static_cast<std::uint64_t>(cx), row = static_cast<std::uint64_t>(cy);
    return random_uniform(seed, octave, (row << 32) + column);
  };
  const auto smooth = [](float t) { return t * t * (3 - 2 * t); };
  const float tx = smooth(x - fx), ty = smooth(y - fy);
  const float top = std::lerp(value(fx, fy), value(fx + 1, fy), tx);
  const float bottom = std::lerp(value(fx, fy + 1), value(fx + 1, fy + 1), tx);
  return std::lerp(top, bottom, ty);
}

// One octave over the picture, added; lattice values are looked up once per row and cell.
void add_octave(std::vector<float>& field, std::int64_t width, std::int64_t height,
                std::uint64_t seed, int octave, float cell, float weight) {
  const auto columns = static_cast<std::int64_t>(static_cast<float>(width) / cell) + 3;
  std::vector<float> row(static_cast<std::size_t>(columns));
  for (std::int64_t y = 0; y < height; ++y) {
    const float v = static_cast<float>(y) / cell;
    for (std::int64_t c = 0; c < columns; ++c)
      row[static_cast<std::size_t>(c)] =
          lattice_noise(seed, static_cast<std::uint64_t>(octave), static_cast<float>(c), v);
    for (std::int64_t x = 0; x < width; ++x) {
      const float u = static_cast<float>(x) / cell, left = std::floor(u), t = u - left;
      const float s = t * t * (3 - 2 * t);
      const float* at = &row[static_cast<std::size_t>(left)];
      field[static_cast<std::size_t>(y * width + x)] += weight * (at[0] + s * (at[1] - at[0]));
    }
  }
}

// Two colours mixed by noise of several octaves.
void paint_ground(Canvas& canvas, const SceneSettings& s, std::int64_t k) {
  Rng rng = rng_of(s, k, Part::ground);
  const Rgb a = random_colour(rng), b = random_colour(rng);
  const float coarsest = rng.uniform(.15f, .5f) * static_cast<float>(std::min(s.width, s.height));
  const float roughness = rng.uniform(.45f, .7f), strength = rng.uniform(.4f, .9f);
  std::vector<float> field(static_cast<std::size_t>(s.width * s.height));
  float cell = std::max(coarsest, 2.f), weight = 1, total = 0;
  for (int octave = 0; octave < kOctaves; ++octave) {
    add_octave(field, s.width, s.height, rng.bits(), octave, cell, weight);
    total += weight, weight *= roughness, cell = std::max(cell / 2.2f, 1.5f);
  }
  for (std::int64_t y = 0; y < s.height; ++y)
    for (std::int64_t x = 0; x < s.width; ++x) {
      const float noise = field[static_cast<std::size_t>(y * s.width + x)] / total;
      const float t = std::clamp(.5f + strength * 2 * (noise - .5f), 0.f, 1.f);
      for (std::size_t c = 0; c < 3; ++c) canvas.at(x, y)[c] = std::lerp(a[c], b[c], t);
    }
}

struct Paint {
  Rgb from{}, to{};  // shaded from one to the other along `direction`
  ScenePoint direction;
  float softness = 1;  // width of the edge, pixels
  float opacity = 1;
};

void paint(Canvas& canvas, const SceneShape& shape, const Paint& p) {
  const Bounds b = bounds_of(shape.outer);
  const float reach = p.softness + 1;
  const auto low = [&](float v) { return std::max<std::int64_t>(0, std::llround(v - reach)); };
  const std::int64_t right = std::min<std::int64_t>(canvas.width(), std::llround(b.right + reach)),
                     bottom =
                         std::min<std::int64_t>(canvas.height(), std::llround(b.bottom + reach));
  const float half = std::max(b.right - b.left, b.bottom - b.top) / 2 + 1;
  const ScenePoint middle{(b.left + b.right) / 2, (b.top + b.bottom) / 2};
  for (std::int64_t y = low(b.top); y < bottom; ++y)
    for (std::int64_t x = low(b.left); x < right; ++x) {
      const ScenePoint at{static_cast<float>(x) + .5f, static_cast<float>(y) + .5f};
      const float cover =
          p.opacity * std::clamp(.5f - signed_distance(shape, at) / p.softness, 0.f, 1.f);
      if (cover <= 0) continue;
      const float along = (at.x - middle.x) * p.direction.x + (at.y - middle.y) * p.direction.y;
      const float t = std::clamp(.5f + .5f * along / half, 0.f, 1.f);
      Rgb& pixel = canvas.at(x, y);
      for (std::size_t c = 0; c < 3; ++c)
        pixel[c] = std::lerp(pixel[c], std::lerp(p.from[c], p.to[c], t), cover);
    }
}

float ground_under(Canvas& canvas, const Bounds& b) {
  double sum = 0;
  std::int64_t count = 0;
  const std::int64_t right = std::min<std::int64_t>(canvas.width(), std::llround(b.right) + 1),
                     bottom = std::min<std::int64_t>(canvas.height(), std::llround(b.bottom) + 1);
  for (std::int64_t y = std::max<std::int64_t>(0, std::llround(b.top)); y < bottom; ++y)
    for (std::int64_t x = std::max<std::int64_t>(0, std::llround(b.left)); x < right; ++x)
      sum += grey(canvas.at(x, y)), ++count;
  return count > 0 ? static_cast<float>(sum / static_cast<double>(count)) : 128;
}

Paint random_paint(Rng& rng, float ground, float softness) {
  Paint p{.softness = softness, .opacity = rng.uniform(.85f, 1)};
  const float angle = rng.uniform(0, 2 * std::numbers::pi_v<float>);
  p.direction = {std::cos(angle), std::sin(angle)};
  p.from = random_colour(rng);
  for (int i = 0; i < 100 && std::abs(grey(p.from) - ground) < kLeastContrast; ++i)
    p.from = random_colour(rng);
  const float shade = rng.uniform(.75f, 1.25f);
  for (std::size_t c = 0; c < 3; ++c) p.to[c] = std::clamp(p.from[c] * shade, 0.f, 255.f);
  return p;
}

// Lines across the picture, thin and faint.
void paint_lines(Canvas& canvas, const SceneSettings& s, std::int64_t k) {
  Rng rng = rng_of(s, k, Part::lines);
  const std::int64_t count = s.clutter > 0 ? rng.below(2 * s.clutter + 1) : 0;
  const auto w = static_cast<float>(s.width), h = static_cast<float>(s.height);
  for (std::int64_t i = 0; i < count; ++i) {
    const ScenePoint a{rng.uniform(0, w), rng.uniform(0, h)},
        b{rng.uniform(0, w), rng.uniform(0, h)};
    const float thick = rng.uniform(.5f, 2), length = std::hypot(b.x - a.x, b.y - a.y) + 1e-3f;
    const float nx = thick * (b.y - a.y) / length, ny = -thick * (b.x - a.x) / length;
    Paint p = random_paint(rng, 128, 1.2f);
    p.opacity = rng.uniform(.2f, .6f);
    paint(canvas,
          {{{a.x + nx, a.y + ny}, {b.x + nx, b.y + ny}, {b.x - nx, b.y - ny}, {a.x - nx, a.y - ny}},
           {}},
          p);
  }
}

// A gradient of light, gain, and the noise of a camera.
Image exposed(Canvas& canvas, const SceneSettings& s, std::int64_t k) {
  Rng rng = rng_of(s, k, Part::light);
  const float gain = rng.uniform(.7f, 1.15f), slope = rng.uniform(0, .35f),
              noise = rng.uniform(1, 8);
  const float angle = rng.uniform(0, 2 * std::numbers::pi_v<float>);
  const float sx = slope * std::cos(angle) / static_cast<float>(s.width),
              sy = slope * std::sin(angle) / static_cast<float>(s.height);
  const std::uint64_t stream = rng_of(s, k, Part::noise).bits();
  Image image(s.width, s.height, 3);
  for (std::int64_t y = 0; y < s.height; ++y)
    for (std::int64_t x = 0; x < s.width; ++x) {
      const float light = gain * (1 + sx * static_cast<float>(2 * x - s.width) +
                                  sy * static_cast<float>(2 * y - s.height));
      // Three sums of two uniform numbers of 10 bits: triangular, deviation 1 / sqrt(6) of the
      // width.
      std::uint64_t bits = random_bits(s.seed, stream, static_cast<std::uint64_t>(y * s.width + x));
      for (std::size_t c = 0; c < 3; ++c, bits >>= 20) {
        const auto sum = static_cast<float>((bits & 1023) + ((bits >> 10) & 1023)) / 1023 - 1;
        const float value = light * canvas.at(x, y)[c] + noise * 2.45f * sum;
        image.at(x, y)[c] = static_cast<std::uint8_t>(std::clamp(value, 0.f, 255.f) + .5f);
      }
    }
  return image;
}

}  // namespace

void check(const SceneSettings& s) {
  const auto side = static_cast<float>(std::min(s.width, s.height));
  if (std::min(s.width, s.height) < 16 || std::max(s.width, s.height) > 8192)
    fail("-size ", s.width, "x", s.height, ": sides of 16 to 8192 pixels are wanted");
  if (s.classes < 1 || s.classes > static_cast<std::int64_t>(kSceneClasses.size()))
    fail("-classes ", s.classes, ": there are 1 to ", kSceneClasses.size(), " kinds of objects");
  if (s.least_objects < 0 || s.most_objects < s.least_objects || s.most_objects > 1000)
    fail("-objects ", s.least_objects, "..", s.most_objects, ": 0 to 1000 are possible");
  if (!(s.least_size >= 4 && s.most_size >= s.least_size && s.most_size <= side - 2))
    fail("-object_size ", s.least_size, "..", s.most_size, ": 4 to ", side - 2,
         " pixels fit into this picture");
  if (s.clutter < 0 || s.clutter > 100) fail("-clutter ", s.clutter, ": 0 to 100 are possible");
}

std::vector<Truth> scene_truths(const SceneSettings& s, std::int64_t k) {
  std::vector<Truth> truths;
  for (const Thing& t : objects_of(s, k)) truths.push_back(truth_of(s, t));
  return truths;
}

Scene make_scene(const SceneSettings& s, std::int64_t k) {
  const std::vector<Thing> objects = objects_of(s, k);
  Canvas canvas(s.width, s.height);
  paint_ground(canvas, s, k);
  paint_lines(canvas, s, k);
  Rng rng = rng_of(s, k, Part::paint);
  const float softness = rng.uniform(.9f, 2.6f);
  const auto paint_all = [&](const std::vector<Thing>& things) {
    for (const Thing& t : things)
      paint(canvas, t.shape, random_paint(rng, ground_under(canvas, t.bounds), softness));
  };
  paint_all(look_alikes_of(s, k, objects));
  paint_all(objects);
  Scene scene{exposed(canvas, s, k), {}};
  for (const Thing& t : objects) scene.truths.push_back(truth_of(s, t));
  return scene;
}

}  // namespace darknet
