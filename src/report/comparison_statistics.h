// The figures of a comparison, each computed and described here once: metrics of every run, their
// mean and spread by variant, differences to the baseline. Tables, files, charts and the page show
// them.
#pragma once
#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "eval/calibration.h"
#include "eval/power.h"
#include "eval/sample.h"
#include "report/comparison.h"

namespace darknet {

inline constexpr double kNoMetric = std::numeric_limits<double>::quiet_NaN();

// Of one run; kNoMetric where it does not exist: the run has not finished, there is no object of
// that size, image sizes or logs are not known.
struct RunMetrics {
  double map50 = kNoMetric, ap = kNoMetric, ap50 = kNoMetric, ap75 = kNoMetric;
  double ap_small = kNoMetric, ap_medium = kNoMetric, ap_large = kNoMetric;
  double class_agnostic_ap50 = kNoMetric, best_f1 = kNoMetric, best_f1_threshold = kNoMetric;
  double precision = kNoMetric, recall = kNoMetric, d_ece = kNoMetric, lift_off = kNoMetric;
  double first_step_positive_share = kNoMetric, easy_negative_share = kNoMetric;
  double negatives_per_positive = kNoMetric, p_positive = kNoMetric, p_negative = kNoMetric;
  double training_seconds = kNoMetric;
};

enum class MetricUnit : std::uint8_t {
  percent,
  fraction,
  small_fraction,
  iteration,
  ratio,
  seconds
};

struct RunMetric {
  const char *key, *name, *meaning;  // in JSON and CSV; in tables; a sentence of plain text
  MetricUnit unit;
  double RunMetrics::*value;
};
inline constexpr std::array<RunMetric, 20> kRunMetrics{{
    {"map50", "mAP@0.5",
     "the area under precision over recall at IoU 0.5, mean of the classes: all thresholds "
     "together",
     MetricUnit::percent, &RunMetrics::map50},
    {"ap", "AP@[.5:.95]",
     "average precision as COCO counts it, mean over the least IoU of a true positive from .5 to "
     ".95",
     MetricUnit::percent, &RunMetrics::ap},
    {"ap50", "AP50", "the same at IoU .5 alone; 101 recalls, so not quite mAP@0.5",
     MetricUnit::percent, &RunMetrics::ap50},
    {"ap75", "AP75", "the same at IoU .75: boxes must lie closely", MetricUnit::percent,
     &RunMetrics::ap75},
    {"ap_small", "AP small", "AP@[.5:.95] of objects below 32 x 32 pixels of the image",
     MetricUnit::percent, &RunMetrics::ap_small},
    {"ap_medium", "AP medium", "the same of objects from there to 96 x 96 pixels",
     MetricUnit::percent, &RunMetrics::ap_medium},
    {"ap_large", "AP large", "the same of larger objects", MetricUnit::percent,
     &RunMetrics::ap_large},
    {"class_agnostic_ap50", "class-agnostic AP50",
     "average precision at IoU .5 by objectness as if there were one class: what mAP@0.5 would be "
     "without class confusion",
     MetricUnit::percent, &RunMetrics::class_agnostic_ap50},
    {"best_f1", "best F1",
     "the harmonic mean of precision and recall at the threshold where it is largest; every "
     "network "
     "has its own",
     MetricUnit::fraction, &RunMetrics::best_f1},
    {"best_f1_threshold", "at threshold", "the threshold of that F1", MetricUnit::fraction,
     &RunMetrics::best_f1_threshold},
    {"precision", "precision", "true positives over detections, at that threshold",
     MetricUnit::fraction, &RunMetrics::precision},
    {"recall", "recall", "true positives over objects, at that threshold", MetricUnit::fraction,
     &RunMetrics::recall},
    {"d_ece", "D-ECE",
     "how far, on average, a detection's confidence is from the precision of detections of such a "
     "confidence (detection expected calibration error; confidence .05 or more, 10 bins); 0 "
     "is perfect",
     MetricUnit::fraction, &RunMetrics::d_ece},
    {"lift_off_iteration", "lift-off",
     "the iteration from which a curve has gone half of its way: that of mAP on valid= where it "
     "was "
     "evaluated during training, else that of the loss",
     MetricUnit::iteration, &RunMetrics::lift_off},
    {"first_step_positive_share", "objects in the first gradient",
     "the share of objects in the objectness gradient of the first training step, mean of the "
     "heads",
     MetricUnit::fraction, &RunMetrics::first_step_positive_share},
    {"gradient_share_easy_negative", "gradient from easy background",
     "the share of easy background in the objectness gradient, mean of the whole training run",
     MetricUnit::percent, &RunMetrics::easy_negative_share},
    {"negatives_per_positive", "background anchors per object anchor",
     "how many anchors without an object are trained on for each with one", MetricUnit::ratio,
     &RunMetrics::negatives_per_positive},
    {"mean_p_positive", "mean p of objects",
     "objectness p of anchors with an object, mean of the last tenth of the training run. Focal "
     "loss "
     "pulls p towards one half, so p and thresholds of different losses are not comparable",
     MetricUnit::fraction, &RunMetrics::p_positive},
    {"mean_p_negative", "mean p of background", "the same of anchors without an object",
     MetricUnit::small_fraction, &RunMetrics::p_negative},
    {"training_seconds", "training time", "of all iterations, reading images included",
     MetricUnit::seconds, &RunMetrics::training_seconds},
}};
// The metric with this key of kRunMetrics.
consteval const RunMetric& metric_of(std::string_view key) {
  for (const RunMetric& m : kRunMetrics)
    if (key == m.key) return m;
  throw "no such metric";
}

// "51.2 %", "0.512", "300"; "-" for a value that is not finite.
std::string to_text(MetricUnit, double value);
// "51.2 +- 0.8 %": mean and standard deviation; without the latter for fewer than two values.
std::string to_text(MetricUnit, const SampleSummary&);

struct VariantStatistics {
  std::int64_t finished = 0, diverged = 0, missing = 0;  // runs
  // By kRunMetrics, of the finished runs that have the metric; values in the order of the seeds.
  std::array<SampleSummary, kRunMetrics.size()> metrics;
  // Detections of all finished runs together. Bins without detections are kept.
  Calibration calibration;
  const SampleSummary& operator[](const RunMetric& m) const {
    return metrics[static_cast<std::size_t>(&m - kRunMetrics.data())];
  }
};

struct ComparisonStatistics {
  MatchedRuns matched;
  std::vector<RunMetrics> runs;                // as Comparison::runs
  std::vector<VariantStatistics> variants;     // as Comparison::variants
  std::vector<VariantDifference> differences;  // empty where nothing may be claimed
  std::vector<PowerTable> power;               // as `differences`: for .01, .02 and .03 of mAP@0.5
  bool lift_off_of_map = false;                // else of the loss
};
inline constexpr std::array<double, 3> kPlannedDifferences{.01, .02, .03};

// 6 variants of 10 seeds with 200 test images take a few seconds.
ComparisonStatistics statistics_of(const Comparison&);
}  // namespace darknet
