// Anchors for a data set: k-means over the widths and heights of its objects, with 1 - IoU (of
// boxes on one centre) as the distance, after Redmon and Farhadi 2017, started as k-means++ does
// (Arthur and Vassilvitskii 2007).
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "detect/head.h"

namespace darknet {

struct AnchorSettings {
  std::int64_t anchors = 9;
  std::int64_t restarts = 10;
  std::uint64_t seed = 1;
};

struct AnchorResult {
  std::vector<AnchorShape> anchors;    // by area
  std::vector<std::int64_t> assigned;  // to each object: its anchor
  std::vector<std::int64_t> objects;   // of each anchor
  double mean_iou = 0;                 // of the objects with their best anchors
};

// `objects`: widths and heights in pixels of the network's input. Of the restarts the one with the
// largest mean IoU is kept, and its anchors are moved to where it is larger still. Throws where
// there are fewer distinct sizes than anchors.
AnchorResult calc_anchors(std::span<const AnchorShape> objects, const AnchorSettings&);

// Each object with the anchor it overlaps most.
AnchorResult assign_anchors(std::span<const AnchorShape> objects, std::vector<AnchorShape> anchors);

}  // namespace darknet
