#include "image/draw.h"

#include <algorithm>
#include <cmath>

#include "image/canvas.h"

namespace darknet {
namespace {

void fill(Image& image, std::int64_t x0, std::int64_t y0, std::int64_t x1, std::int64_t y1,
          const Colour& colour) {
  fill_rectangle(image, x0, y0, x1 - x0, y1 - y0, colour);
}

void outline(Image& image, std::int64_t x0, std::int64_t y0, std::int64_t x1, std::int64_t y1,
             std::int64_t line, const Colour& colour) {
  fill(image, x0, y0, x1, y0 + line, colour);
  fill(image, x0, y1 - line, x1, y1, colour);
  fill(image, x0, y0, x0 + line, y1, colour);
  fill(image, x1 - line, y0, x1, y1, colour);
}

Colour readable_on(const Colour& c) {
  const int luma = 77 * c[0] + 150 * c[1] + 29 * c[2];
  return luma > 128 * 256 ? Colour{0, 0, 0} : Colour{255, 255, 255};
}

std::int64_t to_pixel(float fraction, std::int64_t size) {
  // A wild box must not overflow, nor one that is not a number.
  const float bounded = fraction > -1 ? std::min(fraction, 2.f) : -1;
  return std::llround(bounded * static_cast<float>(size));
}

struct Frame {
  std::int64_t x0, y0, x1, y1, line;  // pixels
};

Frame frame_of(const Box& box, const Image& image) {
  return {to_pixel(box.left(), image.width), to_pixel(box.top(), image.height),
          to_pixel(box.right(), image.width), to_pixel(box.bottom(), image.height),
          std::max<std::int64_t>(1, std::min(image.width, image.height) / 240)};
}

}  // namespace

Colour class_colour(std::int64_t class_id) {
  constexpr double kGoldenAngle = .381966;  // of a turn: any number of hues stays spread
  const double hue = 6 * std::fmod(.58 + kGoldenAngle * static_cast<double>(class_id), 1.);
  const auto channel = [&](double offset) {
    const double k = std::fmod(offset + hue, 6.);
    const double v = 1 - .85 * std::clamp(std::min(k, 4 - k), 0., 1.);
    return static_cast<std::uint8_t>(std::lround(255 * v));
  };
  return {channel(5), channel(3), channel(1)};
}

void draw_box(Image& image, const Box& box, const Colour& colour, const std::string& caption) {
  const Frame f = frame_of(box, image);
  outline(image, f.x0, f.y0, f.x1, f.y1, f.line, colour);
  draw_caption(image, box, colour, caption);
}

void draw_caption(Image& image, const Box& box, const Colour& colour, const std::string& caption) {
  if (caption.empty()) return;
  const Frame f = frame_of(box, image);
  const std::int64_t side = std::min(image.width, image.height);
  const std::int64_t height = std::max<std::int64_t>(7, side / 60), margin = height / 3 + 1;
  const TextSize text = text_size(caption, height);
  const std::int64_t bar = text.height + 2 * margin, width = text.width + 2 * margin;
  const std::int64_t top = f.y0 >= bar ? f.y0 - bar : std::max<std::int64_t>(0, f.y0 + f.line);
  const std::int64_t left =
      std::clamp<std::int64_t>(f.x0, 0, std::max<std::int64_t>(0, image.width - width));
  fill(image, left, top, left + width, top + bar, colour);
  draw_text(image, caption, left + margin, top + margin, height, readable_on(colour));
}

}  // namespace darknet
