#include "detect/nms.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "core/index.h"
#include "core/math.h"
#include "detect/box_grid.h"
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

// Detections that stay, as arrays of their sides, so that one box is compared with many at once.
class Boxes {
 public:
  void add(const InputDetection& d) {
    const Box& b = d.box;
    left_.push_back(b.left()), right_.push_back(b.right());
    top_.push_back(b.top()), bottom_.push_back(b.bottom());
    area_.push_back(b.area());
    detections_.push_back(d);
  }
  // Whether `hides` is true for any of them. It is asked only of those whose IoU with the box may
  // be above the threshold.
  template <class Hides>
  bool any_above(const Box& box, float threshold, const Hides& hides) const {
    Flags above;
    for (std::size_t first = 0; first < detections_.size(); first += kAtOnce) {
      const std::size_t count = std::min(kAtOnce, detections_.size() - first);
      if (!find_above(box, threshold, first, count, above)) continue;
      for (std::size_t i = 0; i < count; ++i)
        if (above[i] != 0 && hides(detections_[first + i])) return true;
    }
    return false;
  }

 private:
  static constexpr std::size_t kAtOnce = 32;
  static constexpr float kMargin = 1e-5f;  // relative; above the rounding of a quotient
  using Flags = std::array<std::int32_t, kAtOnce>;

  // Which of `count` boxes may have an IoU above the threshold, and whether any. No division, and a
  // loop that compilers vectorise.
  bool find_above(const Box& b, float threshold, std::size_t first, std::size_t count,
                  Flags& above) const {
    const BoxSides<float> sides = sides_of(b);
    const float area = b.area(), least = threshold * (1 - kMargin);
    std::int32_t any = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t k = first + i;
      const BoxSides<float> kept{left_[k], right_[k], top_[k], bottom_[k]};
      const float common = CommonExtent<float>(kept, sides).area();
      above[i] = static_cast<std::int32_t>(common >= least * (area_[k] + area - common));
      any |= above[i];
    }
    return any != 0;
  }

  std::vector<float> left_, right_, top_, bottom_, area_;
  std::vector<InputDetection> detections_;
};

// The detections of one class that stay, of so many, found again by where they lie.
class Kept {
 public:
  explicit Kept(std::size_t boxes) : grid_(boxes), cells_(grid_.cells()) {}
  bool hides(const InputDetection& d, NmsKind kind, float threshold, float beta) const {
    return grid_.any_cell(d.box, [&](std::size_t cell) {
      return cells_[cell].any_above(d.box, threshold, [&](const InputDetection& k) {
        return darknet::hides(k, d, kind, threshold, beta);
      });
    });
  }
  void add(const InputDetection& d) {
    grid_.any_cell(d.box, [&](std::size_t cell) {
      cells_[cell].add(d);
      return false;
    });
  }

 private:
  BoxGrid grid_;
  std::vector<Boxes> cells_;
};

}  // namespace

void nms(std::vector<InputDetection>& detections, NmsKind kind, float threshold, float beta) {
  std::stable_sort(detections.begin(), detections.end(), better);
  std::map<std::int32_t, std::size_t> count;  // by class
  for (const InputDetection& d : detections) ++count[d.class_id];
  std::map<std::int32_t, Kept> kept;
  for (const auto& [class_id, boxes] : count) kept.emplace(class_id, boxes);
  std::vector<InputDetection> all;
  for (const InputDetection& d : detections) {
    Kept& same = kept.at(d.class_id);
    if (same.hides(d, kind, threshold, beta)) continue;
    same.add(d);
    all.push_back(d);
  }
  detections = std::move(all);
}

}  // namespace darknet
