// Non-maximum suppression, as the Darknet forks' three kinds do it.
#pragma once
#include <vector>
#include "detect/box.h"
#include "detect/head.h"

namespace darknet {

// Removes detections that overlap a better one of the same class: IoU > threshold (by_class), or
// IoU - (d^2/c^2)^e > threshold with e = .6 (greedy: Darknet's greedynms) or beta (diou). What is
// left is sorted by falling probability; ties keep their order. `threshold` is not negative; boxes
// are in fractions of the network's input.
void nms(std::vector<InputDetection>&, NmsKind, float threshold, float beta);

// IoU - (squared centre distance / squared enclosing diagonal)^exponent; Darknet's box_diou.
float distance_iou(const Box&, const Box&, float exponent);

}  // namespace darknet
