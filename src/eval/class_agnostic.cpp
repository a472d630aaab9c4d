#include "eval/class_agnostic.h"

#include <algorithm>
#include <utility>

#include "detect/overlap.h"
#include "eval/recall.h"

namespace darknet {
namespace {

void merge(std::vector<Truth>& truths) {
  for (Truth& t : truths) t.class_id = 0;
}

// Files of other programs have no objectness.
float score_of(const Detection& d) { return d.objectness > 0 ? d.objectness : d.probability; }

bool covers(const Detection& kept, std::int32_t class_id, const Detection& d, float suppression) {
  return same_anchor(kept, d) || (class_id != d.class_id && iou(kept.box, d.box) > suppression);
}

std::vector<Detection> merged(std::vector<Detection> detections, float suppression) {
  // Among classes of one anchor the probability says which comes first; all have the same box.
  std::stable_sort(
      detections.begin(), detections.end(), [](const Detection& a, const Detection& b) {
        return std::pair(score_of(a), a.probability) > std::pair(score_of(b), b.probability);
      });
  std::vector<Detection> kept;
  std::vector<std::int32_t> classes;  // of those kept
  for (Detection& d : detections) {
    bool covered = false;
    for (std::size_t i = 0; i < kept.size() && !covered; ++i)
      covered = covers(kept[i], classes[i], d, suppression);
    if (covered) continue;
    classes.push_back(d.class_id);
    kept.push_back(d);
  }
  for (Detection& d : kept) d.class_id = 0, d.probability = score_of(d);
  return kept;
}

}  // namespace

std::vector<EvaluatedImage> merge_classes(std::span<const EvaluatedImage> images,
                                          float suppression) {
  std::vector<EvaluatedImage> all(images.begin(), images.end());
  for (EvaluatedImage& image : all) {
    merge(image.truths);
    merge(image.difficult);
    image.detections = merged(std::move(image.detections), suppression);
  }
  return all;
}

double class_agnostic_average_precision(std::span<const EvaluatedImage> images,
                                        const EvaluationOptions& options, float suppression) {
  EvaluationOptions of_one_class = options;
  of_one_class.classes = 1;
  return evaluate(merge_classes(images, suppression), of_one_class).mean_average_precision;
}

}  // namespace darknet
