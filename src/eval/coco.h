// Average precision as COCO counts it (pycocotools 2.0): ten IoU thresholds, 101 recalls, object
// sizes. It differs from eval/average_precision.h in more than the thresholds: a detection may take
// another truth where the one it overlaps most is taken; a difficult truth stands for an ignored
// one and may be hit by several detections, as a crowd may; of an image only the 100 best
// detections of a class count; and overlaps are of pixels, so the images' sizes must be known.
// The crowds of COCO themselves (overlap by the detection's area alone) have no place in label
// files.
#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "eval/average_precision.h"

namespace darknet {

inline constexpr int kCocoThresholds = 10;            // IoU .5, .55 .. .95
inline constexpr std::int64_t kCocoDetections = 100;  // per image and class

// Of the object's box, in pixels of its image: below 32^2, to 96^2, beyond.
enum class ObjectSize : std::uint8_t { any, small, medium, large };
inline constexpr int kObjectSizes = 4;

struct CocoClass {
  std::array<std::int64_t, kObjectSizes> truths{};  // by ObjectSize
  // By size and IoU threshold; -1 where there is no truth of that size.
  std::array<std::array<double, kCocoThresholds>, kObjectSizes> precision{}, recall{};
  double ap(ObjectSize = ObjectSize::any) const;  // mean over the thresholds
};

struct CocoEvaluation {
  std::vector<CocoClass> classes;
  // Means over the classes that have such truths; -1 where none has.
  double ap(ObjectSize = ObjectSize::any) const;
  double ap_at(int threshold) const;                          // 0: AP50, 5: AP75
  double average_recall(ObjectSize = ObjectSize::any) const;  // AR of 100 detections
};

// What becomes of a detection that reaches out of its image: clipped as in the files that are
// written (AlexeyAB's too), or kept as another program wrote it (pycocotools clips nothing).
enum class OutsideImage : std::uint8_t { clip, keep };

// Throws where an image's size is not known.
CocoEvaluation evaluate_coco(std::span<const EvaluatedImage>, std::int64_t classes,
                             OutsideImage = OutsideImage::clip);

}  // namespace darknet
