// The part of a box that lies in the image: what files of detections and COCO's figures use.
#pragma once
#include <algorithm>

#include "detect/box.h"

namespace darknet {

struct BoxEdges {
  double left = 0, top = 0, right = 0, bottom = 0;  // fractions of the image, 0..1
  double width() const { return right - left; }
  double height() const { return bottom - top; }
};

// Of a box that lies outside altogether: an edge or corner of the image, without area.
inline BoxEdges clipped_to_image(const Box& b) {
  const auto edge = [](double centre, double half) { return std::clamp(centre + half, 0., 1.); };
  const double w = b.w, h = b.h;
  return {edge(b.x, -w / 2), edge(b.y, -h / 2), edge(b.x, w / 2), edge(b.y, h / 2)};
}

}  // namespace darknet
