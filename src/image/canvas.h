// Smooth lines, discs and text onto an Image, for charts and captions. Text is set in DejaVu Sans
// where that font is installed, else in stb's small built-in letters.
#pragma once
#include <cstdint>
#include <span>
#include <string>

#include "image/draw.h"
#include "image/image.h"

namespace darknet {

struct CanvasPoint {
  float x = 0, y = 0;  // pixels; a pixel's centre lies at .5
};

struct Pen {
  Colour colour{};
  float width = 1;              // pixels
  std::span<const float> dash;  // lengths of stroke and gap in turns; empty: a whole line
};

// Points that are not finite are left out, and the line broken there.
void draw_polyline(Image&, std::span<const CanvasPoint>, const Pen&);
void draw_disc(Image&, CanvasPoint centre, float radius, const Colour&);
void fill_rectangle(Image&, std::int64_t x, std::int64_t y, std::int64_t width, std::int64_t height,
                    const Colour&);
// As draw_text, read from below to above; x, y: the upper left corner of what is drawn.
void draw_text_upwards(Image&, const std::string&, std::int64_t x, std::int64_t y,
                       std::int64_t height, const Colour&);

}  // namespace darknet
