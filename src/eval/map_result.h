// The figures of a detector on labelled images: what `darknet detector map` prints and the library
// returns.
#pragma once
#include <string>
#include <vector>

#include "eval/coco.h"
#include "eval/errors.h"
#include "eval/matching.h"

namespace darknet {

struct MapResult {
  std::vector<std::string> names;
  EvaluationOptions options;  // at which `at` was counted
  Evaluation at;
  std::vector<MatchedClass> matched;  // at options.iou
  BestF1 best;                        // over all classes
  CocoEvaluation coco;
  DetectionErrors errors;
};

// `names`: of the classes; options.classes becomes their number. `outside`: of COCO's figures.
MapResult score(const std::vector<EvaluatedImage>&, std::vector<std::string> names,
                const EvaluationOptions&, OutsideImage outside);

// How a number of points is given: 0 area, 11, 101.
int number_of(ApPoints);
ApPoints ap_points_of(int number);  // throws where it is none of these

}  // namespace darknet
