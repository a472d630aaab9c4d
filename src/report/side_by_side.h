// One picture as several networks see it: the truths in the first panel, then one panel per
// network with its hits, false positives and misses told apart.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "detect/box.h"
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

// The panels next to each other, each with its title and counts above it. Pictures narrower than
// 448 pixels are shown twice, three times ... as large.
Image side_by_side(const Image& picture, const SideBySide&);

}  // namespace darknet
