// Boxes and captions onto images.
#pragma once
#include <cstdint>
#include <span>
#include <string>

#include "detect/box.h"
#include "image/canvas.h"
#include "image/caption_places.h"
#include "image/image.h"

namespace darknet {

// A colour for each class, unlike its neighbours' for colour-blind eyes too; repeats after 21.
Colour class_colour(std::int64_t class_id);

// The outline of a box given in fractions of the image; around small objects it lies outside of
// them. A thin line in black or white keeps it apart from a ground of its own colour.
void draw_box(Image&, const Box&, const Colour&);

struct CaptionedBox {
  Box box;  // fractions of the image
  Colour colour{};
  std::string caption;  // "": none
  std::string kind;     // what a key calls boxes of this colour: the class
};

// What becomes of captions that find no place where they cover nothing.
enum class Crowded : std::uint8_t {
  legend,  // numbers in their place, and a legend below: the image grows
  key      // no caption; a key of the colours within the image, as a video needs it
};

struct CaptionOptions {
  Crowded crowded = Crowded::legend;
  PixelArea reserved;            // kept free, for what is drawn there later
  std::int64_t text_height = 0;  // of a capital letter, pixels; 0: grows with the image
};

// All outlines, then the captions: those of the first boxes take the best places. None covers
// another or a small object.
void draw_boxes(Image&, std::span<const CaptionedBox>, const CaptionOptions& = {});

// Lines of white text on a dark ground in the upper left corner; the area that they take.
PixelArea panel_area(const Image&, std::span<const std::string> lines);
void draw_panel(Image&, std::span<const std::string> lines);

}  // namespace darknet
