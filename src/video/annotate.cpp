#include "video/annotate.h"

#include <fmt/format.h>

#include "core/index.h"
#include "core/utf8.h"
#include "image/draw.h"

namespace darknet {

namespace {

std::string caption(const TrackedDetection& t, const std::string& name) {
  const float percent = 100 * t.detection.probability;
  return t.id > 0 ? fmt::format("{} {} {:.0f}%", name, t.id, percent)
                  : fmt::format("{} {:.0f}%", name, percent);
}

const std::string& name_of(const TrackedDetection& t, const std::vector<std::string>& names) {
  return names[to_size(t.detection.class_id)];
}

}  // namespace

std::string caption_of(const TrackedDetection& t, const std::vector<std::string>& names) {
  return caption(t, name_of(t, names));
}

void draw_found(Image& image, std::span<const TrackedDetection> found,
                const std::vector<std::string>& names, const CaptionOptions& options) {
  std::vector<CaptionedBox> boxes;
  boxes.reserve(found.size());
  for (const TrackedDetection& t : found) {
    const std::string& name = name_of(t, names);
    boxes.push_back(
        {t.detection.box, class_colour(t.detection.class_id), caption(t, isolated(name)), name});
  }
  draw_boxes(image, boxes, options);
}

}  // namespace darknet
