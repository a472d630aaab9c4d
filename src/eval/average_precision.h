// Average precision and its relatives, as pure functions of detections and truths. Boxes may be in
// any one unit; nothing here knows of networks or files.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "detect/box.h"

namespace darknet {

// area: under the interpolated curve (VOC 2010 and later); eleven: mean at recalls 0, .1 .. 1 (VOC
// 2007); hundred_one: at 0, .01 .. 1 (COCO).
enum class ApPoints : std::uint8_t { area, eleven, hundred_one };

struct RankedDetection {
  float score = 0;
  bool hit = false;
};

// `ranked`: by falling score; `truths`: how many there are to be found. 0 where there are none.
double average_precision(std::span<const RankedDetection> ranked, std::int64_t truths, ApPoints);

struct EvaluatedImage {
  std::vector<Detection> detections;
  std::vector<Truth> truths;
  std::vector<Truth> difficult;        // neither to be found nor wrong to find
  std::int64_t width = 0, height = 0;  // of the image, pixels; 0: not known
};

struct EvaluationOptions {
  std::int64_t classes = 1;
  float iou = .5f;         // least overlap of a hit
  float threshold = .25f;  // of the counts; the AP counts every detection
  ApPoints points = ApPoints::area;
};

struct ClassEvaluation {
  std::int64_t truths = 0, true_positives = 0, false_positives = 0;
  double average_precision = 0;
  double iou_of_hits = 0;  // sum over true positives
  std::int64_t false_negatives() const { return truths - true_positives; }
};

struct Evaluation {
  double mean_average_precision = 0;  // over the classes that have truths
  std::int64_t classes_with_truths = 0;
  std::vector<ClassEvaluation> classes;
  ClassEvaluation total;  // its average_precision is not used
  double precision() const;
  double recall() const;
  double f1() const;
  double average_iou() const;  // of the true positives
};

// Detections in order of falling probability are each compared with the truth of their class that
// they overlap most; a second detection of one truth is a false positive (VOC).
Evaluation evaluate(std::span<const EvaluatedImage>, const EvaluationOptions&);
// The same of what eval/matching.h matched; options.classes and options.iou are not used.
struct MatchedClass;
Evaluation evaluate_matched(std::span<const MatchedClass>, const EvaluationOptions&);

}  // namespace darknet
