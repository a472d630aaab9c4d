// What a comparison of variants found: the same network on the same data and the same seeds, with
// only the keys of a variant different. Its table, its verdict and its JSON; the page is
// report/comparison_page.h, the training runs are train/comparison.h.
#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "dataset/image_paths.h"
#include "eval/average_precision.h"
#include "eval/paired.h"
#include "report/training_chart.h"

namespace darknet {

// One trained network of a variant.
struct ComparedRun {
  std::size_t variant = 0;
  std::uint64_t seed = 1;
  std::filesystem::path weights;
  TrainingHistory history;
  std::vector<EvaluatedImage> images;  // of the valid list, detections above .005
  Evaluation at50;                     // IoU .5, area under the curve, counts at `threshold`
  double average_precision = 0;        // AP@[.5:.95], the mean of ten IoU thresholds
  float threshold = .25f;              // where F1 is best
  // From the history: how the objectness learned.
  double training_seconds = 0, negatives_per_positive = 0;
  double easy_negative_share = 0;         // of the objectness gradient, mean of the training
  double p_positive = 0, p_negative = 0;  // means of the last tenth
};

struct ComparedVariant {
  std::string name;
  std::vector<std::string> overrides;  // the keys that make it
};

struct Comparison {
  std::filesystem::path data, cfg;
  std::vector<ComparedVariant> variants;  // the first is what the others are compared with
  std::vector<std::uint64_t> seeds;
  std::vector<ComparedRun> runs;  // every variant with every seed, variant by variant
  std::vector<std::string> names;
  ImagePaths images;  // of the valid list
  std::int64_t training_images = 0, iterations = 0, objects = 0;

  const ComparedRun& run(std::size_t variant, std::size_t seed) const {
    return runs[variant * seeds.size() + seed];
  }
};

// A variant against the first, in mAP@0.5 (fractions).
struct VariantDifference {
  std::size_t variant = 0;
  std::vector<double> by_seed;
  PairedStatistics over_seeds;
  Interval over_images;  // of the first seed's two networks, were the images drawn anew
};
std::vector<VariantDifference> differences(const Comparison&);

// One or two sentences on what came out and how little or much it proves.
std::string verdict(const Comparison&, const VariantDifference&);

// The training runs of the first seed side by side.
Chart training_chart(const Comparison&);
// Precision over recall at IoU .5, all classes together, of the first seed's networks.
Chart precision_recall_chart(const Comparison&);

// Of one test image, above the run's threshold.
std::vector<Detection> shown_detections(const ComparedRun&, std::size_t image);
// The test image on which the first seed's networks differ most in errors, each at its threshold,
// for the objects that it has; none where they differ on none.
std::optional<std::size_t> most_different_image(const Comparison&);

std::string comparison_table(const Comparison&);
std::string comparison_json(const Comparison&, const std::vector<VariantDifference>&);

}  // namespace darknet
