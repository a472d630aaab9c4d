// What stands in a build without Cairo and Pango where lines and text would be.
#include <algorithm>
#include <mutex>

#include "core/log.h"
#include "image/canvas.h"

namespace darknet {

bool has_canvas() {
  static std::once_flag once;
  std::call_once(once, [] {
    log::warn(
        "this build has no Cairo and Pango: no lines and text are drawn into images, and charts "
        "are written as SVG alone; install libpango1.0-dev and pkg-config, and build again");
  });
  return false;
}

std::string text_library() { return "none (this build has no Cairo and Pango)"; }

void draw_polyline(Image&, std::span<const CanvasPoint>, const Pen&) { has_canvas(); }
void draw_disc(Image&, CanvasPoint, float, const Colour&) { has_canvas(); }
void fill_polygon(Image&, std::span<const CanvasPoint>, const Colour&, float) { has_canvas(); }
void draw_text(Image&, const std::string&, std::int64_t, std::int64_t, const TextStyle&) {
  has_canvas();
}

// For the layout of SVG charts, whose reader has fonts: DejaVu Sans takes about .85 of the height
// of a capital letter for each character.
TextSize text_size(const std::string& text, const TextStyle& style) {
  const auto characters = std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;  // not the rest of a UTF-8 sequence
  });
  const std::int64_t width = characters * style.height * 85 / 100;
  return {style.max_width > 0 ? std::min(width, style.max_width) : width, style.height, 0, 0};
}

}  // namespace darknet
