// Average precision of weights on a labelled data set, as `darknet detector map` counts it: the
// same figures. C++17.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "darknet/detector.h"  // LogLevel
#include "darknet/error.h"
#include "darknet/export.h"

namespace darknet {

// What is out of its range is an Exception of evaluate().
struct EvaluatorOptions {
  std::string device = "auto";         // as DetectorOptions::device
  std::string precision;               // as DetectorOptions::precision
  std::vector<std::string> overrides;  // changes of the cfg: "net.0.width=608"
  float iou = .5f;                     // least overlap of a hit, 0..1
  float threshold = .25f;   // least probability of a detection in precision, recall and F1, 0..1
  int points = 0;           // of the AP: 0 the area under the curve, 11 (VOC 2007), 101 (COCO)
  bool letter_box = false;  // keep the aspect ratio, whatever the cfg says
  bool calibrate = false;   // as DetectorOptions::calibrate
  bool exact = false;       // direct convolutions only
  std::filesystem::path tuning;     // the convolutions' algorithms, by `darknet bench -tune`
  int loader_threads = 0;           // that read images; 0: chosen, up to 1024
  std::string bad_labels = "stop";  // of invalid labels: "stop", "clip", "skip" (as -bad_labels)
  // Gets messages from the calling thread, as DetectorOptions::log does. Null: they are dropped.
  std::function<void(LogLevel, const std::string& message)> log;
  // Asked between batches by the calling thread. Once it returns true evaluate() throws: there are
  // no figures of a part of the images. What it throws, evaluate() throws. Null: nobody is asked.
  std::function<bool()> stop;
};

// Of one class. Probabilities, overlaps, precision, recall and AP are fractions, 0..1.
struct ClassFigures {
  std::string name;
  std::int64_t truths = 0;  // objects in the labels, without difficult ones
  std::int64_t true_positives = 0, false_positives = 0;  // at the options' threshold
  double average_precision = 0;                          // at the options' IoU
  double coco_ap = -1;                                   // AP@[.5:.95]; -1: no truths
  double best_f1 = 0, best_f1_threshold = 0;
};

struct EvaluationFigures {
  double map = 0;  // mean of the average precisions of the classes that have truths
  // At the options' threshold, over all classes.
  double precision = 0, recall = 0, f1 = 0, average_iou = 0;
  double best_f1 = 0, best_f1_threshold = 0;
  // pycocotools' figures; -1 where no object has that size.
  double coco_ap = 0, coco_ap50 = 0, coco_ap75 = 0;
  double coco_ap_small = 0, coco_ap_medium = 0, coco_ap_large = 0, coco_ar100 = 0;
  std::int64_t images = 0;
  std::vector<ClassFigures> classes;
};

// On valid= of the .data file. `weights` may lie in its backup folder. Throws where a file is
// missing or invalid.
DARKNET_EXPORT EvaluationFigures evaluate(const std::filesystem::path& data,
                                          const std::filesystem::path& cfg,
                                          const std::filesystem::path& weights,
                                          const EvaluatorOptions& = {});

}  // namespace darknet
