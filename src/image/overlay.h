// A transparent image that Cairo draws into and that is then laid over a part of an Image. Only
// for the files of this folder that are compiled with Cairo.
#pragma once
#include <cairo.h>

#include <cstdint>
#include <memory>

#include "image/canvas.h"

namespace darknet {

class Overlay {
 public:
  // Cairo's coordinates are those of the image; x, y, width and height (pixels) say which part of
  // it can be drawn on, and are cut at the image's edges.
  Overlay(Image&, std::int64_t x, std::int64_t y, std::int64_t width, std::int64_t height);
  bool empty() const { return !context_; }
  cairo_t* context() { return context_.get(); }
  void set_colour(const Colour&);
  void blend();  // into the image

 private:
  Image& image_;
  std::int64_t x_, y_, right_, bottom_;
  std::unique_ptr<cairo_surface_t, decltype(&cairo_surface_destroy)> surface_{
      nullptr, &cairo_surface_destroy};
  std::unique_ptr<cairo_t, decltype(&cairo_destroy)> context_{nullptr, &cairo_destroy};
};

}  // namespace darknet
