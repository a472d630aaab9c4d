// Boxes and captions onto pictures.
#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <string>

#include "detect/box.h"
#include "image/image.h"

namespace darknet {

using Colour = std::array<std::uint8_t, 3>;  // RGB

// A colour for each class, unlike its neighbours' for colour-blind eyes too; repeats after 21.
Colour class_colour(std::int64_t class_id);

// The outline of a box given in fractions of the picture, and above it (below, where there is no
// room) its caption on a bar of the same colour. Line and text grow with the picture.
void draw_box(Image&, const Box&, const Colour&, const std::string& caption);

struct CaptionedBox {
  Box box;  // fractions of the picture
  Colour colour{};
  std::string caption;  // "": none
};
// All outlines, then the captions, the first boxes' on top: above its box, below, in it or beside
// it, where it covers no caption of an earlier box, or least of them. What is too long is
// shortened.
void draw_boxes(Image&, std::span<const CaptionedBox>);

// Lines of white text on a dark ground in the upper left corner.
void draw_panel(Image&, std::span<const std::string> lines);

struct TextSize {
  std::int64_t width = 0, height = 0;  // pixels
};
// `height`: of a capital letter, pixels. x, y: the upper left corner.
TextSize text_size(const std::string&, std::int64_t height);
void draw_text(Image&, const std::string&, std::int64_t x, std::int64_t y, std::int64_t height,
               const Colour&);

}  // namespace darknet
