#include "video/annotate.h"

#include <fmt/format.h>

#include "image/draw.h"

namespace darknet {

std::string caption_of(const TrackedDetection& t, const std::vector<std::string>& names) {
  const std::string& name = names[static_cast<std::size_t>(t.detection.class_id)];
  const float percent = 100 * t.detection.probability;
  return t.id > 0 ? fmt::format("{} {} {:.0f}%", name, t.id, percent)
                  : fmt::format("{} {:.0f}%", name, percent);
}

void draw_found(Image& image, std::span<const TrackedDetection> found,
                const std::vector<std::string>& names) {
  std::vector<CaptionedBox> boxes;
  boxes.reserve(found.size());
  for (const TrackedDetection& t : found)
    boxes.push_back({t.detection.box, class_colour(t.detection.class_id), caption_of(t, names)});
  draw_boxes(image, boxes);
}

}  // namespace darknet
