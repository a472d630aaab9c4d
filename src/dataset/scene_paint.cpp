#include "dataset/scene_paint.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/index.h"

namespace darknet {
namespace {

constexpr int kOctaves = 5;
constexpr float kMinContrast = 38;  // of an object against its ground, in grey levels

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

// One octave over the image, added; lattice values are looked up once per row and cell.
void add_octave(std::vector<float>& field, std::int64_t width, std::int64_t height,
                std::uint64_t seed, int octave, float cell, float weight) {
  const auto columns = static_cast<std::int64_t>(static_cast<float>(width) / cell) + 3;
  std::vector<float> row(to_size(columns));
  for (std::int64_t y = 0; y < height; ++y) {
    const float v = static_cast<float>(y) / cell;
    for (std::int64_t c = 0; c < columns; ++c)
      row[to_size(c)] =
          lattice_noise(seed, static_cast<std::uint64_t>(octave), static_cast<float>(c), v);
    for (std::int64_t x = 0; x < width; ++x) {
      const float u = static_cast<float>(x) / cell, left = std::floor(u), t = u - left;
      const float s = t * t * (3 - 2 * t);
      const float* at = &row[to_size(left)];
      field[to_size(y * width + x)] += weight * (at[0] + s * (at[1] - at[0]));
    }
  }
}

}  // namespace

Rng rng_of(const SceneSettings& s, std::int64_t k, Part part) {
  return Rng(s.seed, 16 * static_cast<std::uint64_t>(k) + static_cast<std::uint64_t>(part));
}

void paint_ground(SceneCanvas& canvas, const SceneSettings& s, std::int64_t k) {
  Rng rng = rng_of(s, k, Part::ground);
  const Rgb a = random_colour(rng), b = random_colour(rng);
  const float coarsest = rng.uniform(.15f, .5f) * static_cast<float>(std::min(s.width, s.height));
  const float roughness = rng.uniform(.45f, .7f), strength = rng.uniform(.4f, .9f);
  std::vector<float> field(to_size(s.width * s.height));
  float cell = std::max(coarsest, 2.f), weight = 1, total = 0;
  for (int octave = 0; octave < kOctaves; ++octave) {
    add_octave(field, s.width, s.height, rng.bits(), octave, cell, weight);
    total += weight, weight *= roughness, cell = std::max(cell / 2.2f, 1.5f);
  }
  for (std::int64_t y = 0; y < s.height; ++y)
    for (std::int64_t x = 0; x < s.width; ++x) {
      const float noise = field[to_size(y * s.width + x)] / total;
      const float t = std::clamp(.5f + strength * 2 * (noise - .5f), 0.f, 1.f);
      for (std::size_t c = 0; c < 3; ++c) canvas.at(x, y)[c] = std::lerp(a[c], b[c], t);
    }
}

void paint(SceneCanvas& canvas, const SceneShape& shape, const Paint& p) {
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

float ground_under(const SceneCanvas& canvas, const Bounds& b) {
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
  for (int i = 0; i < 100 && std::abs(grey(p.from) - ground) < kMinContrast; ++i)
    p.from = random_colour(rng);
  const float shade = rng.uniform(.75f, 1.25f);
  for (std::size_t c = 0; c < 3; ++c) p.to[c] = std::clamp(p.from[c] * shade, 0.f, 255.f);
  return p;
}

void paint_lines(SceneCanvas& canvas, const SceneSettings& s, std::int64_t k) {
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

Image exposed(const SceneCanvas& canvas, const SceneSettings& s, std::int64_t k,
              std::uint64_t noise_stream) {
  Rng rng = rng_of(s, k, Part::light);
  const float gain = rng.uniform(.7f, 1.15f), slope = rng.uniform(0, .35f),
              noise = rng.uniform(1, 8);
  const float angle = rng.uniform(0, 2 * std::numbers::pi_v<float>);
  const float sx = slope * std::cos(angle) / static_cast<float>(s.width),
              sy = slope * std::sin(angle) / static_cast<float>(s.height);
  Image image(s.width, s.height, 3);
  for (std::int64_t y = 0; y < s.height; ++y)
    for (std::int64_t x = 0; x < s.width; ++x) {
      const float light = gain * (1 + sx * static_cast<float>(2 * x - s.width) +
                                  sy * static_cast<float>(2 * y - s.height));
      // Three sums of two uniform numbers of 10 bits: triangular, deviation 1 / sqrt(6) of the
      // width.
      std::uint64_t bits =
          random_bits(s.seed, noise_stream, static_cast<std::uint64_t>(y * s.width + x));
      for (std::size_t c = 0; c < 3; ++c, bits >>= 20) {
        const auto sum = static_cast<float>((bits & 1023) + ((bits >> 10) & 1023)) / 1023 - 1;
        const float value = light * canvas.at(x, y)[c] + noise * 2.45f * sum;
        image.at(x, y)[c] = static_cast<std::uint8_t>(std::lround(std::clamp(value, 0.f, 255.f)));
      }
    }
  return image;
}

Box scene_box(const SceneSettings& s, const Bounds& b) {
  const auto w = static_cast<float>(s.width), h = static_cast<float>(s.height);
  return {(b.left + b.right) / 2 / w, (b.top + b.bottom) / 2 / h, (b.right - b.left) / w,
          (b.bottom - b.top) / h};
}

float random_softness(Rng& rng) { return rng.uniform(.9f, 2.6f); }

}  // namespace darknet
