// What a detector gets wrong, one by one and as a confusion matrix, at one threshold.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "core/index.h"
#include "eval/average_precision.h"

namespace darknet {

// Why a detection is false: a second one of an object, of an object of another class, of an object
// that it misses in part (IoU .1 to the least of a hit), or of nothing. As in Hoiem et al. 2012.
enum class FalseKind : std::uint8_t { duplicate, wrong_class, poorly_placed, background };
const char* name_of(FalseKind);

struct FalsePositive {
  std::int64_t image = 0;
  Detection detection;
  FalseKind kind = FalseKind::background;
  std::int32_t confused_with = -1;  // the class of the truth it lies on; -1: background
  float iou = 0;                    // with that truth
};

struct MissedTruth {
  std::int64_t image = 0;
  Truth truth;
};

struct DetectionErrors {
  std::vector<FalsePositive> false_positives;  // the highest-scoring first
  std::vector<MissedTruth> misses;             // the largest box first
  // counts[truth * (classes + 1) + detected]; the last row: detections of nothing; the last column:
  // truths that nothing found. Duplicates stand in the last row.
  std::vector<std::int64_t> confusion;
  std::int64_t classes = 0;
  std::int64_t confused(std::int64_t truth, std::int64_t detected) const {
    return confusion[to_size(truth * (classes + 1) + detected)];
  }
};

// Detections above the threshold take, the highest-scoring first, the free truth of their class
// that they overlap most; what is left over is then compared with the free truths of other classes.
// Those on difficult truths are left out.
DetectionErrors find_errors(std::span<const EvaluatedImage>, const EvaluationOptions&);

}  // namespace darknet
