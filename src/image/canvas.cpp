#include "image/canvas.h"

#include <algorithm>
#include <cmath>
#include <memory>

namespace darknet {
namespace {

constexpr float kFar = 1e6f;  // pixels; nothing is drawn from or to beyond

bool drawable(CanvasPoint p) { return std::abs(p.x) < kFar && std::abs(p.y) < kFar; }

void blend(Image& image, std::int64_t x, std::int64_t y, const Colour& colour, float cover) {
  std::uint8_t* pixel = image.at(x, y);
  for (std::int64_t c = 0; c < image.channels; ++c) {
    const auto old = static_cast<float>(pixel[c]);
    pixel[c] = static_cast<std::uint8_t>(std::lround(
        std::lerp(old, static_cast<float>(colour[static_cast<std::size_t>(c)]), cover)));
  }
}

float distance_to_segment(CanvasPoint p, CanvasPoint a, CanvasPoint b) {
  const float ex = b.x - a.x, ey = b.y - a.y, wx = p.x - a.x, wy = p.y - a.y;
  const float t = std::clamp((wx * ex + wy * ey) / std::max(ex * ex + ey * ey, 1e-12f), 0.f, 1.f);
  return std::hypot(wx - t * ex, wy - t * ey);
}

// A line with round ends; a and b may be one point.
void draw_segment(Image& image, CanvasPoint a, CanvasPoint b, float width, const Colour& colour) {
  const float reach = width / 2 + 1;
  const auto low = [&](float u, float v) {
    return std::max<std::int64_t>(0, std::llround(std::floor(std::min(u, v) - reach)));
  };
  const std::int64_t right = std::min<std::int64_t>(image.width,
                                                    std::llround(std::max(a.x, b.x) + reach)),
                     bottom = std::min<std::int64_t>(image.height,
                                                     std::llround(std::max(a.y, b.y) + reach));
  for (std::int64_t y = low(a.y, b.y); y < bottom; ++y)
    for (std::int64_t x = low(a.x, b.x); x < right; ++x) {
      const CanvasPoint p{static_cast<float>(x) + .5f, static_cast<float>(y) + .5f};
      const float cover = width / 2 + .5f - distance_to_segment(p, a, b);
      if (cover > 0) blend(image, x, y, colour, std::min(cover, 1.f));
    }
}

// Walks along a line and draws the strokes of its dash pattern.
class Dasher {
 public:
  Dasher(Image& image, const Pen& pen) : image_(image), pen_(pen), left_(pen.dash.front()) {}
  void line(CanvasPoint a, CanvasPoint b) {
    float length = std::hypot(b.x - a.x, b.y - a.y);
    while (length > 1e-3f) {
      const float step = std::min(left_, length), t = step / length;
      const CanvasPoint to{std::lerp(a.x, b.x, t), std::lerp(a.y, b.y, t)};
      if (at_ % 2 == 0) draw_segment(image_, a, to, pen_.width, pen_.colour);
      a = to, length -= step, left_ -= step;
      if (left_ <= 1e-3f) left_ = std::max(pen_.dash[++at_ % pen_.dash.size()], 1e-2f);
    }
  }

 private:
  Image& image_;
  const Pen& pen_;
  float left_;
  std::size_t at_ = 0;
};

}  // namespace

void draw_polyline(Image& image, std::span<const CanvasPoint> points, const Pen& pen) {
  std::unique_ptr<Dasher> dasher;
  if (!pen.dash.empty()) dasher = std::make_unique<Dasher>(image, pen);
  for (std::size_t i = 1; i < points.size(); ++i) {
    const CanvasPoint &a = points[i - 1], &b = points[i];
    if (!drawable(a) || !drawable(b)) continue;
    if (dasher)
      dasher->line(a, b);
    else
      draw_segment(image, a, b, pen.width, pen.colour);
  }
}

void draw_disc(Image& image, CanvasPoint centre, float radius, const Colour& colour) {
  if (drawable(centre)) draw_segment(image, centre, centre, 2 * radius, colour);
}

void fill_rectangle(Image& image, std::int64_t x, std::int64_t y, std::int64_t width,
                    std::int64_t height, const Colour& colour) {
  const std::int64_t right = std::min(x + width, image.width),
                     bottom = std::min(y + height, image.height);
  for (std::int64_t row = std::max<std::int64_t>(y, 0); row < bottom; ++row)
    for (std::int64_t column = std::max<std::int64_t>(x, 0); column < right; ++column)
      std::copy_n(colour.begin(), image.channels, image.at(column, row));
}

}  // namespace darknet
