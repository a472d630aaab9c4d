// Detections of all images matched to the truths of their class, ranked by score: what average
// precision, precision-recall curves, the best F1 and the bootstrap are made of.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "eval/average_precision.h"

namespace darknet {

struct MatchedDetection {
  float score = 0;
  bool hit = false;
  float iou = 0;  // of a hit
  std::int64_t image = 0;
};

struct MatchedClass {
  std::vector<MatchedDetection> ranked;  // by falling score; those on difficult truths are left out
  std::int64_t truths = 0;
  std::vector<std::int64_t> truths_of_image;
};

// As evaluate() matches (VOC): each detection against the truth that it overlaps most, and a second
// one of the same truth is false. One entry per class.
std::vector<MatchedClass> match(std::span<const EvaluatedImage>, std::int64_t classes, float iou);

struct CurvePoint {
  double threshold = 0, precision = 0, recall = 0;
};
// One point per distinct score, by falling threshold.
std::vector<CurvePoint> precision_recall(const MatchedClass&);

struct BestF1 {
  double f1 = 0, threshold = 0, precision = 0, recall = 0;
};
// The threshold ("at least") at which F1 is best; over all these classes together.
BestF1 best_f1(std::span<const MatchedClass>);

// The mean average precision (area) if image i were there weights[i] times.
double mean_average_precision(std::span<const MatchedClass>, std::span<const std::int64_t> weights);

}  // namespace darknet
