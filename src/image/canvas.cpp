#include "image/canvas.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <numbers>
#include <vector>

#include "image/overlay.h"

namespace darknet {
namespace {

constexpr float kFar = 1e6f;              // pixels; nothing is drawn from or to beyond
constexpr std::int64_t kMaxSide = 30000;  // pixels; Cairo's surfaces end at 32767

bool drawable(CanvasPoint p) { return std::abs(p.x) < kFar && std::abs(p.y) < kFar; }

std::uint8_t over(std::uint32_t premultiplied, std::uint8_t below, std::uint32_t alpha) {
  return static_cast<std::uint8_t>(premultiplied + (below * (255 - alpha) + 127) / 255);
}

// Cairo's pixel: alpha, red, green, blue from the highest byte on, colours times alpha.
void blend_pixel(std::uint8_t* to, std::int64_t channels, std::uint32_t from) {
  const std::uint32_t alpha = from >> 24;
  if (alpha == 0) return;
  const Colour colour{static_cast<std::uint8_t>(from >> 16), static_cast<std::uint8_t>(from >> 8),
                      static_cast<std::uint8_t>(from)};
  if (channels == 1) {
    *to = over(static_cast<std::uint32_t>(luma_of(colour)), *to, alpha);
    return;
  }
  for (std::size_t c = 0; c < 3; ++c) to[c] = over(colour[c], to[c], alpha);
}

}  // namespace

Overlay::Overlay(Image& image, std::int64_t x, std::int64_t y, std::int64_t width,
                 std::int64_t height)
    : image_(image),
      x_(std::max<std::int64_t>(x, 0)),
      y_(std::max<std::int64_t>(y, 0)),
      right_(std::min({x + width, image.width, x_ + kMaxSide})),
      bottom_(std::min({y + height, image.height, y_ + kMaxSide})) {
  if (right_ <= x_ || bottom_ <= y_) return;
  surface_.reset(cairo_image_surface_create(CAIRO_FORMAT_ARGB32, static_cast<int>(right_ - x_),
                                            static_cast<int>(bottom_ - y_)));
  context_.reset(cairo_create(surface_.get()));
  cairo_translate(context(), static_cast<double>(-x_), static_cast<double>(-y_));
}

void Overlay::set_colour(const Colour& c) {
  cairo_set_source_rgb(context(), c[0] / 255., c[1] / 255., c[2] / 255.);
}

void Overlay::blend() {
  cairo_surface_flush(surface_.get());
  const unsigned char* row = cairo_image_surface_get_data(surface_.get());
  if (!row) return;  // out of memory: nothing was drawn
  const int stride = cairo_image_surface_get_stride(surface_.get());
  for (std::int64_t y = y_; y < bottom_; ++y, row += stride) {
    const auto* from = reinterpret_cast<const std::uint32_t*>(row);
    for (std::int64_t x = x_; x < right_; ++x)
      blend_pixel(image_.at(x, y), image_.channels, from[x - x_]);
  }
}

namespace {

// What covers these points and `reach` pixels around them; none where that is nothing of the image.
std::unique_ptr<Overlay> over_points(Image& image, std::span<const CanvasPoint> points,
                                     float reach) {
  float left = kFar, top = kFar, right = -kFar, bottom = -kFar;
  for (const CanvasPoint& p : points)
    if (drawable(p))
      left = std::min(left, p.x), right = std::max(right, p.x), top = std::min(top, p.y),
      bottom = std::max(bottom, p.y);
  if (left > right) return nullptr;
  const auto margin = std::llround(reach) + 2;
  const auto x = std::llround(left) - margin, y = std::llround(top) - margin;
  auto overlay = std::make_unique<Overlay>(image, x, y, std::llround(right) + margin - x,
                                           std::llround(bottom) + margin - y);
  return overlay->empty() ? nullptr : std::move(overlay);
}

}  // namespace

bool has_canvas() { return true; }

void draw_polyline(Image& image, std::span<const CanvasPoint> points, const Pen& pen) {
  const auto overlay = over_points(image, points, pen.width / 2);
  if (!overlay) return;
  cairo_t* const c = overlay->context();
  overlay->set_colour(pen.colour);
  cairo_set_line_width(c, pen.width);
  cairo_set_line_cap(c, CAIRO_LINE_CAP_ROUND);
  cairo_set_line_join(c, CAIRO_LINE_JOIN_ROUND);
  const std::vector<double> dash(pen.dash.begin(), pen.dash.end());
  cairo_set_dash(c, dash.data(), static_cast<int>(dash.size()), 0);
  for (const CanvasPoint& p : points)
    if (!drawable(p))
      cairo_new_sub_path(c);
    else
      cairo_line_to(c, p.x, p.y);  // moves there where a line begins
  cairo_stroke(c);
  overlay->blend();
}

void draw_disc(Image& image, CanvasPoint centre, float radius, const Colour& colour) {
  if (!drawable(centre) || !(radius < kFar)) return;
  const auto reach = std::llround(radius) + 2;
  Overlay overlay(image, std::llround(centre.x) - reach, std::llround(centre.y) - reach, 2 * reach,
                  2 * reach);
  if (overlay.empty()) return;
  overlay.set_colour(colour);
  cairo_arc(overlay.context(), centre.x, centre.y, radius, 0, 2 * std::numbers::pi);
  cairo_fill(overlay.context());
  overlay.blend();
}

void fill_polygon(Image& image, std::span<const CanvasPoint> corners, const Colour& colour,
                  float opacity) {
  const auto overlay = over_points(image, corners, 0);
  if (!overlay) return;
  cairo_t* const c = overlay->context();
  cairo_set_source_rgba(c, colour[0] / 255., colour[1] / 255., colour[2] / 255., opacity);
  for (const CanvasPoint& p : corners)
    if (drawable(p)) cairo_line_to(c, p.x, p.y);
  cairo_close_path(c);
  cairo_fill(c);
  overlay->blend();
}

}  // namespace darknet
