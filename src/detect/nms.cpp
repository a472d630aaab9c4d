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

void suppress(std::vector<Detection>& sorted, NmsKind kind, float threshold, float beta) {
  std::vector<Detection> kept;
  for (const Detection& d : sorted) {
    const bool hidden = std::any_of(kept.begin(), kept.end(), [&](const Detection& k) {
      const float o =
          kind == NmsKind::by_class
              ? iou(k.box, d.box)
              : distance_iou(k.box, d.box, kind == NmsKind::greedy ? kGreedyExponent : beta);
      return o > threshold;
    });
    if (!hidden) kept.push_back(d);
  }
  sorted = std::move(kept);
}

bool better(const Detection& a, const Detection& b) { return a.probability > b.probability; }

}  // namespace

void nms(std::vector<Detection>& detections, NmsKind kind, float threshold, float beta) {
  std::map<std::int32_t, std::vector<Detection>> by_class;
  for (const Detection& d : detections) by_class[d.class_id].push_back(d);
  detections.clear();
  for (auto& [id, list] : by_class) {
    std::stable_sort(list.begin(), list.end(), better);
    suppress(list, kind, threshold, beta);
    detections.insert(detections.end(), list.begin(), list.end());
  }
  std::stable_sort(detections.begin(), detections.end(), better);
}

}  // namespace darknet
