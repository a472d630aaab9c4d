// What a comparison of variants found: the same network on the same data and the same seeds, with
// only the keys of a variant different, and what may be claimed of them. All figures are in
// report/comparison_statistics.h; tables, charts and the page are made from both. The training runs
// are train/sweep.h.
#pragma once
#include <cstdint>
#include <filesystem>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "dataset/image_paths.h"
#include "eval/average_precision.h"
#include "eval/matching.h"
#include "eval/resampling.h"
#include "eval/verdict.h"
#include "report/training_chart.h"
#include "report/tuning_choice.h"

namespace darknet {

// Average precision as COCO counts it (eval/coco.h); NaN where there is nothing to count.
struct CocoFigures {
  static constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  double ap = kNone, ap50 = kNone, ap75 = kNone;
  double ap_small = kNone, ap_medium = kNone, ap_large = kNone;  // by size of the object
};
// Throws where an image's size is not known.
CocoFigures coco_figures(const std::vector<EvaluatedImage>&, std::int64_t classes);

enum class RunState : std::uint8_t { missing, finished, diverged };
const char* name_of(RunState);

// One training run of a variant. What it found is there where it has finished; one that diverged
// has its history up to there.
struct ComparedRun {
  std::size_t variant = 0;
  std::uint64_t seed = 1;
  RunState state = RunState::missing;
  std::string reason;                          // why it diverged, in one sentence
  std::int64_t diverged_at = 0;                // the iteration
  std::string command;                         // that repeats this one run
  std::filesystem::path folder, cfg, weights;  // the cfg as it was trained
  TrainingHistory history;
  std::vector<EvaluatedImage> images;  // of the valid list, detections above .005
  Evaluation at50;                     // IoU .5, area under the curve, counts at `threshold`
  CocoFigures coco;
  float threshold = .25f;  // where F1 is best
  // From the history: how the objectness learned.
  double training_seconds = 0, negatives_per_positive = 0;
  double easy_negative_share = 0;         // of the objectness gradient, mean of the training
  double p_positive = 0, p_negative = 0;  // means of the last tenth

  bool has_finished() const { return state == RunState::finished; }
};

struct ComparedVariant {
  std::string name;
  std::vector<std::string> overrides;  // the keys that make it
  std::string group;  // of a confirmation: what tuning chose it for, "obj_loss=focal"; else ""
};

// What a comparison is for. Only the figures of one whose variants were not chosen by them are
// claimed: tuning has a choice instead, and a confirmation claims once all of its runs have ended,
// because who looks earlier looks more than once.
enum class Purpose : std::uint8_t { comparison, tuning, confirmation };

struct Comparison {
  Purpose purpose = Purpose::comparison;
  std::optional<TuningChoice> choice;  // of tuning
  std::filesystem::path data, cfg;
  std::vector<ComparedVariant> variants;  // the first is what the others are compared with
  std::vector<std::uint64_t> seeds;
  // Every variant with every seed, variant by variant, those that are missing or diverged too.
  std::vector<ComparedRun> runs;
  std::vector<std::string> names;
  ImagePaths images;  // of the valid list, or of the tuning split
  std::int64_t training_images = 0, iterations = 0, objects = 0;

  const ComparedRun& run(std::size_t variant, std::size_t seed) const {
    return runs[variant * seeds.size() + seed];
  }
};

std::int64_t missing_runs(const Comparison&);
// Whether differences to the first variant are computed, and verdicts given.
bool may_claim(const Comparison&);
// "valid=", or what else the runs are evaluated on, for sentences.
const char* evaluated_on(const Comparison&);

// mAP@0.5 (a fraction) of a run that has finished; else that it diverged or is missing.
RunOutcome outcome_of(const ComparedRun&);

// The run that stands for a variant in curves and images: of those that have finished the one with
// the median mAP@0.5, the lower of two in the middle. Null where none has.
const ComparedRun* shown_run(const Comparison&, std::size_t variant);
// The variants that curves and images show, of those with a shown run, in their order: the
// baseline, and of the others the seven with the highest mean mAP@0.5.
std::vector<std::size_t> shown_variants(const Comparison&);
inline constexpr std::size_t kMaxShownVariants = 8;  // as many as there are colours

// The detections of every run matched at IoU .5 (eval/matching.h), in the order of `runs`; nothing
// for runs that have not finished.
using MatchedRuns = std::vector<std::vector<MatchedClass>>;
MatchedRuns match_runs(const Comparison&);

// A variant against the first, in mAP@0.5 (fractions).
struct VariantDifference {
  std::size_t variant = 0;
  std::vector<std::optional<double>> by_seed;  // none where either run has not finished
  Verdict verdict;                             // over seeds
  // Of the networks of the seeds with which both have finished, were the images drawn anew, or
  // images and seeds; none where there is no such seed.
  std::optional<SeedsAndImages> resampled;
};
std::vector<VariantDifference> differences(const Comparison&, const MatchedRuns&);

// A few sentences on what came out and how little or much it proves.
std::string verdict_text(const Comparison&, const VariantDifference&);

// Of one test image, above the run's threshold.
std::vector<Detection> shown_detections(const ComparedRun&, std::size_t image);
// The test images, at most `count`, on which the shown runs differ most in errors from the first of
// them, each at its threshold, for the objects that it has; those where they differ most come
// first.
std::vector<std::size_t> most_different_images(const Comparison&, std::size_t count);

}  // namespace darknet
