#include "eval/recall.h"

#include <algorithm>
#include <tuple>

#include "core/index.h"
#include "detect/overlap.h"

namespace darknet {
namespace {

constexpr int kThresholds = 10;  // IoU .5, .55 .. .95

void add_truth(float overlap, ProposalRecall& row) {
  row.best_iou += static_cast<double>(overlap);
  row.recall50 += overlap >= .5f;
  for (int i = 0; i < kThresholds; ++i)
    row.recall += overlap >= .5f + .05f * static_cast<float>(i) ? 1. / kThresholds : 0;
}

// The best first; an anchor that is a detection of several classes is one proposal.
std::vector<Detection> proposals_of(const EvaluatedImage& image) {
  std::vector<Detection> ranked = image.detections;
  std::stable_sort(ranked.begin(), ranked.end(), [](const Detection& a, const Detection& b) {
    return std::tie(b.objectness, a.box.x, a.box.y) < std::tie(a.objectness, b.box.x, b.box.y);
  });
  ranked.erase(std::unique(ranked.begin(), ranked.end(), same_anchor), ranked.end());
  return ranked;
}

// One image into every row.
void add_image(const EvaluatedImage& image, std::vector<ProposalRecall>& rows) {
  const std::vector<Detection> ranked = proposals_of(image);
  for (const Truth& truth : image.truths) {
    std::vector<float> best(1, 0);  // with the first k detections
    for (const Detection& d : ranked) best.push_back(std::max(best.back(), iou(d.box, truth.box)));
    for (ProposalRecall& row : rows)
      add_truth(best[std::min(to_size(row.proposals), ranked.size())], row);
  }
}

}  // namespace

bool same_anchor(const Detection& a, const Detection& b) {
  return a.objectness == b.objectness && a.box.x == b.box.x && a.box.y == b.box.y &&
         a.box.w == b.box.w && a.box.h == b.box.h;
}

std::vector<ProposalRecall> proposal_recall(std::span<const EvaluatedImage> images,
                                            std::span<const std::int64_t> proposals) {
  std::vector<ProposalRecall> rows;
  for (const std::int64_t n : proposals) rows.push_back({.proposals = n});
  double truths = 0;
  for (const EvaluatedImage& image : images) {
    add_image(image, rows);
    truths += static_cast<double>(image.truths.size());
  }
  for (ProposalRecall& row : rows)
    if (truths > 0) row.recall50 /= truths, row.recall /= truths, row.best_iou /= truths;
  return rows;
}

}  // namespace darknet
