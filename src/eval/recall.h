// How many objects a detector finds if it may propose so many boxes an image, whatever their
// class: what can be had before scores and classes decide.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "eval/average_precision.h"

namespace darknet {

struct ProposalRecall {
  std::int64_t proposals = 0;  // the best so many of every image, by objectness
  double recall50 = 0;         // share of the truths that one of them overlaps by .5
  double recall = 0;           // mean over IoU .5, .55 .. .95
  double best_iou = 0;         // mean over the truths of the best overlap
};

// Whether two detections are of one anchor, detected as several classes.
bool same_anchor(const Detection&, const Detection&);

// One row for each number of proposals. Truths may share a proposal, as in Darknet.
std::vector<ProposalRecall> proposal_recall(std::span<const EvaluatedImage>,
                                            std::span<const std::int64_t> proposals);

}  // namespace darknet
