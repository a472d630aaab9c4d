#include "detect/associate.h"

#include <algorithm>

#include "detect/overlap.h"

namespace darknet {
namespace {

struct Pair {
  float overlap;
  std::size_t detection, known;
};

}  // namespace

std::vector<std::size_t> associate(std::span<const Detection> detections,
                                   std::span<const Detection> known, float least) {
  std::vector<Pair> pairs;
  for (std::size_t d = 0; d < detections.size(); ++d)
    for (std::size_t k = 0; k < known.size(); ++k) {
      if (detections[d].class_id != known[k].class_id) continue;
      const float overlap = iou(detections[d].box, known[k].box);
      if (overlap >= least) pairs.push_back({overlap, d, k});
    }
  std::stable_sort(pairs.begin(), pairs.end(),
                   [](const Pair& a, const Pair& b) { return a.overlap > b.overlap; });
  std::vector<std::size_t> match(detections.size(), kUnmatched);
  std::vector<bool> taken(known.size());
  for (const Pair& p : pairs) {
    if (match[p.detection] != kUnmatched || taken[p.known]) continue;
    match[p.detection] = p.known;
    taken[p.known] = true;
  }
  return match;
}

}  // namespace darknet
