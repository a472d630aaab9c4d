#include "train/anchors.h"

#include <algorithm>
#include <set>

#include "core/error.h"
#include "core/index.h"
#include "core/log.h"
#include "core/rng.h"
#include "eval/imbalance.h"

namespace darknet {
namespace {

constexpr int kMaxRounds = 1000;

float fit(const AnchorShape& a, const AnchorShape& b) {
  return shape_iou(a.width, a.height, b.width, b.height);
}

// The first anchors: each next one an object, drawn with the square of its distance to the nearest
// so far.
std::vector<AnchorShape> first_anchors(std::span<const AnchorShape> objects, std::int64_t count,
                                       Rng& rng) {
  std::vector<AnchorShape> anchors{objects[to_size(rng.below(std::ssize(objects)))]};
  std::vector<double> weights(objects.size(), 1e30);
  while (std::ssize(anchors) < count) {
    double sum = 0;
    for (std::size_t i = 0; i < objects.size(); ++i) {
      const double distance = 1 - static_cast<double>(fit(objects[i], anchors.back()));
      weights[i] = std::min(weights[i], distance * distance);
      sum += weights[i];
    }
    double at = static_cast<double>(rng.uniform()) * sum;
    std::size_t chosen = 0;
    for (std::size_t i = 0; i < objects.size(); ++i) {
      if (weights[i] <= 0) continue;
      chosen = i;
      if ((at -= weights[i]) < 0) break;
    }
    anchors.push_back(objects[chosen]);
  }
  return anchors;
}

// Each anchor becomes the mean of its objects; one without any stays.
std::vector<AnchorShape> means(std::span<const AnchorShape> objects, const AnchorResult& r) {
  std::vector<double> width(r.anchors.size()), height(r.anchors.size());
  for (std::size_t i = 0; i < objects.size(); ++i) {
    const auto k = to_size(r.assigned[i]);
    width[k] += static_cast<double>(objects[i].width);
    height[k] += static_cast<double>(objects[i].height);
  }
  std::vector<AnchorShape> moved = r.anchors;
  for (std::size_t k = 0; k < moved.size(); ++k)
    if (const auto n = static_cast<double>(r.objects[k]); n > 0)
      moved[k] = {static_cast<float>(width[k] / n), static_cast<float>(height[k] / n)};
  return moved;
}

// Lloyd's rounds until nothing changes; means do not always raise the mean IoU, so the best of all
// rounds counts.
AnchorResult settle(std::span<const AnchorShape> objects, std::vector<AnchorShape> anchors) {
  AnchorResult now = assign_anchors(objects, std::move(anchors)), best = now;
  for (int round = 0; round < kMaxRounds; ++round) {
    AnchorResult next = assign_anchors(objects, means(objects, now));
    const bool settled = next.assigned == now.assigned;
    now = std::move(next);
    if (now.mean_iou > best.mean_iou) best = now;
    if (settled) break;
  }
  return best;
}

// Each object's best overlap with the anchors but one.
std::vector<float> best_without(std::span<const AnchorShape> objects,
                                const std::vector<AnchorShape>& anchors, std::size_t left_out) {
  std::vector<float> best(objects.size());
  for (std::size_t i = 0; i < objects.size(); ++i)
    for (std::size_t k = 0; k < anchors.size(); ++k)
      if (k != left_out) best[i] = std::max(best[i], fit(objects[i], anchors[k]));
  return best;
}

double sum_with(std::span<const AnchorShape> objects, const std::vector<float>& others,
                const AnchorShape& anchor) {
  double sum = 0;
  for (std::size_t i = 0; i < objects.size(); ++i)
    sum += static_cast<double>(std::max(others[i], fit(objects[i], anchor)));
  return sum;
}

// The best of an anchor and its four neighbours that are wider, narrower, higher or lower.
AnchorShape best_nearby(std::span<const AnchorShape> objects, const std::vector<float>& others,
                        const AnchorShape& anchor, float factor) {
  AnchorShape best = anchor;
  double sum = sum_with(objects, others, anchor);
  for (const AnchorShape& next : {AnchorShape{anchor.width * factor, anchor.height},
                                  AnchorShape{anchor.width / factor, anchor.height},
                                  AnchorShape{anchor.width, anchor.height * factor},
                                  AnchorShape{anchor.width, anchor.height / factor}})
    if (const double here = sum_with(objects, others, next); here > sum * (1 + 1e-9))
      best = next, sum = here;
  return best;
}

// The mean of its objects is not the anchor that overlaps them most: every width and height is
// moved, by ever smaller steps, while the mean IoU rises.
std::vector<AnchorShape> refined(std::span<const AnchorShape> objects,
                                 std::vector<AnchorShape> anchors) {
  constexpr int kMaxSweeps = 8;  // of one step
  for (float step = .16f; step > .002f; step /= 2) {
    bool moved = true;
    for (int sweep = 0; moved && sweep < kMaxSweeps; ++sweep) {
      moved = false;
      for (std::size_t k = 0; k < anchors.size(); ++k) {
        const AnchorShape next =
            best_nearby(objects, best_without(objects, anchors, k), anchors[k], 1 + step);
        moved |= next.width != anchors[k].width || next.height != anchors[k].height;
        anchors[k] = next;
      }
    }
  }
  return anchors;
}

}  // namespace

AnchorResult assign_anchors(std::span<const AnchorShape> objects,
                            std::vector<AnchorShape> anchors) {
  AnchorResult r{.anchors = std::move(anchors)};
  r.objects.resize(r.anchors.size());
  for (const AnchorShape& object : objects) {
    std::size_t best = 0;
    for (std::size_t k = 1; k < r.anchors.size(); ++k)
      if (fit(object, r.anchors[k]) > fit(object, r.anchors[best])) best = k;
    r.assigned.push_back(static_cast<std::int64_t>(best));
    ++r.objects[best];
    r.mean_iou += static_cast<double>(fit(object, r.anchors[best]));
  }
  if (!objects.empty()) r.mean_iou /= static_cast<double>(objects.size());
  return r;
}

AnchorResult calc_anchors(std::span<const AnchorShape> objects, const AnchorSettings& s) {
  std::set<std::pair<float, float>> sizes;
  for (const AnchorShape& o : objects) sizes.insert({o.width, o.height});
  if (std::ssize(sizes) < s.anchors)
    fail("the objects have ", sizes.size(), " different sizes, too few for ", s.anchors,
         " anchors");
  AnchorResult best;
  log::Progress progress("clustering", s.restarts);
  for (std::int64_t k = 0; k < s.restarts; ++k, progress.at(k)) {
    Rng rng(s.seed, static_cast<std::uint64_t>(k));
    AnchorResult r = settle(objects, first_anchors(objects, s.anchors, rng));
    if (r.mean_iou > best.mean_iou) best = std::move(r);
  }
  best.anchors = refined(objects, std::move(best.anchors));
  std::sort(best.anchors.begin(), best.anchors.end(),
            [](const AnchorShape& a, const AnchorShape& b) {
              return a.width * a.height < b.width * b.height;
            });
  return assign_anchors(objects, std::move(best.anchors));
}

}  // namespace darknet
