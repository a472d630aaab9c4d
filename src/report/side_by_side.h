// One image as several networks see it: the ground truth in the first panel, then one panel per
// network with its hits, false positives and misses distinguished.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "detect/box.h"
#include "image/canvas.h"
#include "image/image.h"

namespace darknet {

struct SideBySidePanel {
  std::string title;
  std::vector<Detection> detections;  // already cut at the threshold that is to be shown
};

struct SideBySide {
  std::vector<Truth> truths;
  std::vector<SideBySidePanel> panels;
  std::vector<std::string> names;  // of the classes
  float iou = .5f;                 // least overlap of a hit
};

// Apart in colour, in grey and for colour-blind eyes (Okabe and Ito's palette).
inline constexpr Colour kTruthColour{0, 114, 178}, kHitColour{0, 158, 115},
    kFalseColour{213, 94, 0}, kMissedColour{240, 228, 66};

struct SceneCounts {
  std::int64_t hits = 0, false_positives = 0, missed = 0;
};
SceneCounts count_of(const std::vector<Detection>&, const std::vector<Truth>&, float iou);

struct ScenePanel {
  std::string title;  // with its counts
  Image image;
};
// The ground truth, then one panel for each network. Images narrower than 448 pixels are shown
// twice, three times ... as large.
std::vector<ScenePanel> scene_panels(const Image& image, const SideBySide&);
// The panels next to each other, each with its title above it.
Image side_by_side(const Image& image, const SideBySide&);

}  // namespace darknet
