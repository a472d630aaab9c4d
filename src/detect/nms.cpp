#include "detect/nms.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "core/index.h"
#include "detect/overlap.h"

namespace darknet {

float distance_iou(const Box& a, const Box& b, float exponent) {
  const BoxPair<float> p(a, b);
  return p.diagonal2() == 0 ? p.iou() : p.iou() - std::pow(p.distance_term(), exponent);
}

namespace {

constexpr float kGreedyExponent = .6f;  // Darknet

bool hides(const InputDetection& kept, const InputDetection& d, NmsKind kind, float threshold,
           float beta) {
  const float overlap = iou(kept.box, d.box);
  if (kind == NmsKind::by_class || overlap <= threshold) return overlap > threshold;
  // What distance_iou takes away is never negative: the power is rarely needed.
  return distance_iou(kept.box, d.box, kind == NmsKind::greedy ? kGreedyExponent : beta) >
         threshold;
}

bool better(const InputDetection& a, const InputDetection& b) {
  return a.probability > b.probability;
}

// The detections of one class that stay, found again by where they lie: boxes that do not touch
// cannot hide each other, and of ten thousand candidates few touch.
class Kept {
 public:
  bool hides(const InputDetection& d, NmsKind kind, float threshold, float beta) const {
    return any_cell(d.box, [&](std::size_t cell) {
      return std::any_of(cells_[cell].begin(), cells_[cell].end(), [&](const InputDetection& k) {
        return darknet::hides(k, d, kind, threshold, beta);
      });
    });
  }
  void add(const InputDetection& d) {
    any_cell(d.box, [&](std::size_t cell) {
      cells_[cell].push_back(d);
      return false;
    });
  }

 private:
  static constexpr int kGrid = 16;  // cells a side over the image

  static int cell_of(float fraction) {  // what lies outside belongs to the cells at the border
    const float bounded = fraction > 0 ? std::min(fraction, 1.f) : 0;
    return std::min(static_cast<int>(bounded * kGrid), kGrid - 1);
  }
  // Whether `visit` says yes for any cell that the box covers.
  template <class Visit>
  static bool any_cell(const Box& box, const Visit& visit) {
    const int left = cell_of(box.left()), right = cell_of(box.right());
    const int top = cell_of(box.top()), bottom = cell_of(box.bottom());
    for (int y = top; y <= bottom; ++y)
      for (int x = left; x <= right; ++x)
        if (visit(to_size(y * kGrid + x))) return true;
    return false;
  }

  std::array<std::vector<InputDetection>, std::size_t{kGrid} * kGrid> cells_;
};

}  // namespace

void nms(std::vector<InputDetection>& detections, NmsKind kind, float threshold, float beta) {
  std::stable_sort(detections.begin(), detections.end(), better);
  std::map<std::int32_t, Kept> kept;  // by class
  std::vector<InputDetection> all;
  for (const InputDetection& d : detections) {
    Kept& same = kept[d.class_id];
    if (same.hides(d, kind, threshold, beta)) continue;
    same.add(d);
    all.push_back(d);
  }
  detections = std::move(all);
}

}  // namespace darknet
