#include "detect/nms.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "detect/overlap.h"

namespace darknet {

float distance_iou(const Box& a, const Box& b, float exponent) {
  const BoxPair<float> p(a, b);
  return p.diagonal2() == 0 ? p.iou() : p.iou() - std::pow(p.distance_term(), exponent);
}

namespace {

constexpr float kGreedyExponent = .6f;  // Darknet

bool hides(const Detection& kept, const Detection& d, NmsKind kind, float threshold, float beta) {
  const float o =
      kind == NmsKind::by_class
          ? iou(kept.box, d.box)
          : distance_iou(kept.box, d.box, kind == NmsKind::greedy ? kGreedyExponent : beta);
  return o > threshold;
}

bool better(const Detection& a, const Detection& b) { return a.probability > b.probability; }

}  // namespace

void nms(std::vector<Detection>& detections, NmsKind kind, float threshold, float beta) {
  std::stable_sort(detections.begin(), detections.end(), better);
  std::map<std::int32_t, std::vector<Detection>> kept;  // by class
  std::vector<Detection> all;
  for (const Detection& d : detections) {
    std::vector<Detection>& same = kept[d.class_id];
    if (std::any_of(same.begin(), same.end(),
                    [&](const Detection& k) { return hides(k, d, kind, threshold, beta); }))
      continue;
    same.push_back(d);
    all.push_back(d);
  }
  detections = std::move(all);
}

}  // namespace darknet
