#include "eval/map_result.h"

#include <utility>

#include "core/error.h"

namespace darknet {

MapResult score(const std::vector<EvaluatedImage>& images, std::vector<std::string> names,
                const EvaluationOptions& options, OutsideImage outside) {
  MapResult r{.names = std::move(names), .options = options};
  r.options.classes = std::ssize(r.names);
  r.matched = match(images, r.options.classes, r.options.iou);
  r.at = evaluate_matched(r.matched, r.options);
  r.best = best_f1(r.matched);
  r.coco = evaluate_coco(images, r.options.classes, outside);
  r.errors = find_errors(images, r.options);
  return r;
}

int number_of(ApPoints points) {
  switch (points) {
    case ApPoints::eleven:
      return 11;
    case ApPoints::hundred_one:
      return 101;
    default:
      return 0;
  }
}

ApPoints ap_points_of(int number) {
  for (const ApPoints points : {ApPoints::area, ApPoints::eleven, ApPoints::hundred_one})
    if (number_of(points) == number) return points;
  fail("average precision by ", number, " points; 0 (the area under the curve), 11 and 101 can be");
}

}  // namespace darknet
