// Smooth lines, discs, areas and text onto an Image, for charts and captions, by Cairo and Pango.
#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <string>

#include "image/image.h"

namespace darknet {

using Colour = std::array<std::uint8_t, 3>;  // RGB; a grey image takes its luminance
int luma_of(const Colour&);                  // 0..255

// Whether lines, discs, areas and text are drawn. False in a build without Cairo and Pango, where
// they are left out and the first call of any of them warns.
bool has_canvas();
std::string text_library();  // which Pango draws text, or "none" and why

struct CanvasPoint {
  float x = 0, y = 0;  // pixels; a pixel's centre lies at .5
};

struct Pen {
  Colour colour{};
  float width = 1;              // pixels
  std::span<const float> dash;  // lengths of stroke and gap alternating; empty: a whole line
};

// Points that are not finite are left out, and the line broken there.
void draw_polyline(Image&, std::span<const CanvasPoint>, const Pen&);
void draw_disc(Image&, CanvasPoint centre, float radius, const Colour&);
// A closed area, laid over what is there: opacity 0 changes nothing, 1 hides it.
void fill_polygon(Image&, std::span<const CanvasPoint> corners, const Colour&, float opacity);
void fill_rectangle(Image&, std::int64_t x, std::int64_t y, std::int64_t width, std::int64_t height,
                    const Colour&);

struct TextStyle {
  std::int64_t height = 9;  // of a capital letter, pixels
  Colour colour{};
  std::int64_t max_width = 0;  // pixels; longer text has an ellipsis in its middle; 0: no limit
  bool upwards = false;        // read from below to above
};
struct TextSize {
  std::int64_t width = 0, height = 0;  // pixels; height: of a capital letter
  std::int64_t above = 0, below = 0;   // pixels of ink over capital letters, and below the line
};
// Text in any script, as fontconfig finds fonts for it; DejaVu Sans first. Bytes that are not UTF-8
// are drawn as U+FFFD. May be called by several threads.
TextSize text_size(const std::string&, const TextStyle&);
// x, y: the upper left corner of a capital letter, or of the turned text.
void draw_text(Image&, const std::string&, std::int64_t x, std::int64_t y, const TextStyle&);

}  // namespace darknet
