#include "report/side_by_side.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/index.h"
#include "core/text.h"
#include "core/utf8.h"
#include "detect/overlap.h"
#include "image/draw.h"
#include "report/picture_style.h"

namespace darknet {
namespace {

constexpr std::int64_t kCaption = 12;                                 // to be read on a phone
constexpr std::int64_t kMinWidth = 448, kGap = 8, kTitleHeight = 14;  // pixels
constexpr std::int64_t kBar = kTitleHeight + 2 * kGap;

struct Matched {
  std::vector<bool> hits;    // one per detection
  std::vector<bool> missed;  // one per truth
};

std::vector<Detection> sorted(std::vector<Detection> detections) {
  std::stable_sort(
      detections.begin(), detections.end(),
      [](const Detection& a, const Detection& b) { return a.probability > b.probability; });
  return detections;
}

// By falling probability, each detection with the free truth of its class that it overlaps most.
Matched match(const std::vector<Detection>& detections, const std::vector<Truth>& truths,
              float min) {
  Matched m{std::vector<bool>(detections.size()), std::vector<bool>(truths.size(), true)};
  for (std::size_t d = 0; d < detections.size(); ++d) {
    float best = min;
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

Image enlarged(const Image& image) {
  const std::int64_t factor = (kMinWidth + image.width - 1) / image.width;
  Image large(factor * image.width, factor * image.height, 3);
  for (std::int64_t y = 0; y < large.height; ++y)
    for (std::int64_t x = 0; x < large.width; ++x) {
      const std::uint8_t* from = image.at(x / factor, y / factor);
      for (std::int64_t c = 0; c < 3; ++c) large.at(x, y)[c] = from[image.channels == 3 ? c : 0];
    }
  return large;
}

SceneCounts counts(const Matched& m) {
  const auto hits = std::count(m.hits.begin(), m.hits.end(), true);
  return {hits, std::ssize(m.hits) - hits, std::count(m.missed.begin(), m.missed.end(), true)};
}

const std::string& name(const SideBySide& s, std::int32_t class_id) {
  return s.names[to_size(class_id)];
}

ScenePanel truths_panel(const Image& image, const SideBySide& s) {
  std::vector<CaptionedBox> boxes;
  for (const Truth& t : s.truths) boxes.push_back({t.box, kTruthColour, name(s, t.class_id), {}});
  ScenePanel panel{"ground truth: " + plural(std::ssize(s.truths), "object"), image};
  draw_boxes(panel.image, boxes, {.text_height = kCaption});
  return panel;
}

// What is wrong first: it gets the best places for its captions.
ScenePanel network_panel(const Image& image, const SideBySide& s, const SideBySidePanel& network) {
  const std::vector<Detection> found = sorted(network.detections);
  const Matched matched = match(found, s.truths, s.iou);
  std::vector<CaptionedBox> boxes, hits;
  for (std::size_t d = 0; d < found.size(); ++d) {
    const std::string caption =
        fmt::format("{} {:.0f}%", isolated(name(s, found[d].class_id)), 100 * found[d].probability);
    if (matched.hits[d])
      hits.push_back({found[d].box, kHitColour, caption, {}});
    else
      boxes.push_back({found[d].box, kFalseColour, "false: " + caption, {}});
  }
  for (std::size_t t = 0; t < s.truths.size(); ++t)
    if (matched.missed[t])
      boxes.push_back(
          {s.truths[t].box, kMissedColour, "missed: " + name(s, s.truths[t].class_id), {}});
  boxes.insert(boxes.end(), hits.begin(), hits.end());
  const SceneCounts c = counts(matched);
  ScenePanel panel{
      fmt::format("{}: TP {}, FP {}, FN {}", network.title, c.hits, c.false_positives, c.missed),
      image};
  draw_boxes(panel.image, boxes, {.text_height = kCaption});
  return panel;
}

void paste(Image& sheet, const Image& panel, std::int64_t left, std::int64_t top) {
  for (std::int64_t y = 0; y < panel.height; ++y)
    std::copy_n(panel.at(0, y), 3 * panel.width, sheet.at(left, top + y));
}

}  // namespace

SceneCounts count_of(const std::vector<Detection>& detections, const std::vector<Truth>& truths,
                     float iou) {
  return counts(match(sorted(detections), truths, iou));
}

std::vector<ScenePanel> scene_panels(const Image& image, const SideBySide& s) {
  const Image large = enlarged(image);
  std::vector<ScenePanel> panels{truths_panel(large, s)};
  for (const SideBySidePanel& p : s.panels) panels.push_back(network_panel(large, s, p));
  return panels;
}

Image side_by_side(const Image& image, const SideBySide& s) {
  const std::vector<ScenePanel> panels = scene_panels(image, s);
  std::int64_t width = -kGap, height = 0;
  for (const ScenePanel& p : panels)
    width += p.image.width + kGap, height = std::max(height, p.image.height);
  Image sheet(width, height + kBar, 3);
  std::fill(sheet.pixels.begin(), sheet.pixels.end(), kPaper[0]);
  std::int64_t left = 0;
  for (const ScenePanel& p : panels) {
    draw_text(sheet, p.title, left, kGap, {kTitleHeight, kInk, p.image.width});
    paste(sheet, p.image, left, kBar);
    left += p.image.width + kGap;
  }
  return sheet;
}

}  // namespace darknet
