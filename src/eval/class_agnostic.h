// Average precision as if there were one class: how well objects are told from background, whatever
// they are taken for. Next to the mean average precision it shows what class confusion costs.
#pragma once
#include <span>
#include <vector>

#include "eval/average_precision.h"

namespace darknet {

// Of what the class-agnostic average precision is made: every class is 0, and a detection's
// probability is its objectness, or what it was where it has none (files of other programs). An
// anchor that was detected as several classes is one detection. Of detections of different classes
// that overlap by more than `suppression` (IoU; 1: all stay), the one with the highest objectness
// stays, as it would have among detections of one class. What was below the threshold of detection
// by objectness * class probability is missing here too.
std::vector<EvaluatedImage> merge_classes(std::span<const EvaluatedImage>, float suppression);

// The average precision of those at options.iou and options.points; options.classes is not used. 0
// where there is no truth.
double class_agnostic_average_precision(std::span<const EvaluatedImage>, const EvaluationOptions&,
                                        float suppression);

}  // namespace darknet
