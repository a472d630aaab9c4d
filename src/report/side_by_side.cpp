#include "report/side_by_side.h"

#include <fmt/format.h>

#include <algorithm>

#include "detect/overlap.h"
#include "image/draw.h"

namespace darknet {
namespace {

// Apart in colour, in grey and for colour-blind eyes (Okabe and Ito's palette).
constexpr Colour kTruth{0, 158, 115}, kHit{86, 180, 233}, kFalse{213, 94, 0}, kMissed{240, 228, 66};
constexpr Colour kPaper{255, 255, 255}, kInk{32, 32, 32};
constexpr std::int64_t kLeastWidth = 448, kGap = 8, kTitle = 14;  // pixels
constexpr std::int64_t kBar = kTitle + 2 * kGap;

struct Matched {
  std::vector<bool> hits;    // one per detection
  std::vector<bool> missed;  // one per truth
};

// By falling probability, each detection with the free truth of its class that it overlaps most.
Matched match(const std::vector<Detection>& detections, const std::vector<Truth>& truths,
              float least) {
  Matched m{std::vector<bool>(detections.size()), std::vector<bool>(truths.size(), true)};
  for (std::size_t d = 0; d < detections.size(); ++d) {
    float best = least;
    std::size_t found = truths.size();
    for (std::size_t t = 0; t < truths.size(); ++t) {
      if (!m.missed[t] || truths[t].class_id != detections[d].class_id) continue;
      if (const float overlap = iou(detections[d].box, truths[t].box); overlap >= best)
        best = overlap, found = t;
    }
    if (found == truths.size()) continue;
    m.hits[d] = true, m.missed[found] = false;
  }
  return m;
}

Image enlarged(const Image& picture) {
  const std::int64_t factor = (kLeastWidth + picture.width - 1) / picture.width;
  Image large(factor * picture.width, factor * picture.height, 3);
  for (std::int64_t y = 0; y < large.height; ++y)
    for (std::int64_t x = 0; x < large.width; ++x) {
      const std::uint8_t* from = picture.at(x / factor, y / factor);
      for (std::int64_t c = 0; c < 3; ++c) large.at(x, y)[c] = from[picture.channels == 3 ? c : 0];
    }
  return large;
}

Image truths_panel(const Image& picture, const SideBySide& s) {
  std::vector<CaptionedBox> boxes;
  for (const Truth& t : s.truths)
    boxes.push_back({t.box, kTruth, s.names[static_cast<std::size_t>(t.class_id)]});
  Image panel = picture;
  draw_boxes(panel, boxes);
  return panel;
}

Image network_panel(const Image& picture, const SideBySide& s,
                    const std::vector<Detection>& detections, const Matched& matched) {
  std::vector<CaptionedBox> boxes;
  for (std::size_t d = 0; d < detections.size(); ++d)
    boxes.push_back(
        {detections[d].box, matched.hits[d] ? kHit : kFalse,
         fmt::format("{} {:.0f}%", s.names[static_cast<std::size_t>(detections[d].class_id)],
                     100 * detections[d].probability)});
  for (std::size_t t = 0; t < s.truths.size(); ++t)
    if (matched.missed[t]) boxes.push_back({s.truths[t].box, kMissed, "missed"});
  Image panel = picture;
  draw_boxes(panel, boxes);
  return panel;
}

void paste(Image& sheet, const Image& panel, std::int64_t left, std::int64_t top) {
  for (std::int64_t y = 0; y < panel.height; ++y)
    std::copy_n(panel.at(0, y), 3 * panel.width, sheet.at(left, top + y));
}

std::string counted(const std::string& title, const Matched& m) {
  const auto hits = std::count(m.hits.begin(), m.hits.end(), true);
  return fmt::format("{}: {} hits, {} false, {} missed", title, hits,
                     static_cast<std::int64_t>(m.hits.size()) - hits,
                     std::count(m.missed.begin(), m.missed.end(), true));
}

}  // namespace

Image side_by_side(const Image& picture, const SideBySide& s) {
  const Image large = enlarged(picture);
  const auto panels = static_cast<std::int64_t>(s.panels.size()) + 1;
  Image sheet(panels * (large.width + kGap) - kGap, large.height + kBar, 3);
  std::fill(sheet.pixels.begin(), sheet.pixels.end(), kPaper[0]);
  std::int64_t left = 0;
  const auto add = [&](const std::string& title, const Image& panel) {
    draw_text(sheet, title, left, kGap, kTitle, kInk);
    paste(sheet, panel, left, kBar);
    left += panel.width + kGap;
  };
  add(fmt::format("truth: {} objects", s.truths.size()), truths_panel(large, s));
  for (const SideBySidePanel& p : s.panels) {
    std::vector<Detection> sorted = p.detections;
    std::stable_sort(sorted.begin(), sorted.end(), [](const Detection& a, const Detection& b) {
      return a.probability > b.probability;
    });
    const Matched matched = match(sorted, s.truths, s.iou);
    add(counted(p.title, matched), network_panel(large, s, sorted, matched));
  }
  return sheet;
}

}  // namespace darknet
