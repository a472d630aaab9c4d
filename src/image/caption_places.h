// Where captions stand: next to their objects, or near by at the end of a leader line, so that they
// cover neither one another nor another object. Geometry in pixels; nothing is drawn here.
#pragma once
#include <cstdint>
#include <optional>
#include <vector>

#include "image/canvas.h"

namespace darknet {

struct PixelArea {
  std::int64_t x = 0, y = 0, width = 0, height = 0;
  std::int64_t right() const { return x + width; }
  std::int64_t bottom() const { return y + height; }
  PixelArea grown(std::int64_t by) const {
    return {x - by, y - by, width + 2 * by, height + 2 * by};
  }
  std::int64_t common(const PixelArea&) const;  // pixels of both
};

bool crosses(CanvasPoint a, CanvasPoint b, const PixelArea&);  // the line from a to b

struct CaptionPlace {
  PixelArea area;
  std::optional<std::pair<CanvasPoint, CanvasPoint>> leader;  // from the caption to its object
};

class CaptionPlaces {
 public:
  // `image`: where captions may stand; `objects`: their outlines; `reserved`: kept free.
  CaptionPlaces(const PixelArea& image, std::vector<PixelArea> objects,
                std::vector<PixelArea> reserved);

  // The best place for a caption of this size (pixels), not further than `reach` pixels from its
  // object; none where each covers something. The place is then taken.
  std::optional<CaptionPlace> take(std::size_t object, std::int64_t width, std::int64_t height,
                                   std::int64_t reach);

  // The place among those at the edges of the image that covers least; it is then taken.
  PixelArea take_at_edge(std::int64_t width, std::int64_t height);

 private:
  struct Surroundings;
  Surroundings around(std::size_t object, std::int64_t reach) const;
  double cost(const CaptionPlace&, const Surroundings&, double bound) const;

  PixelArea image_;
  std::vector<PixelArea> objects_, taken_;
  std::vector<std::pair<CanvasPoint, CanvasPoint>> leaders_;
};

}  // namespace darknet
