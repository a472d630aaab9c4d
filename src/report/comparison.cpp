#include "report/comparison.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/index.h"
#include "eval/coco.h"
#include "report/side_by_side.h"

namespace darknet {
namespace {

double in_percent(double fraction) { return 100 * fraction; }

// Were the test images drawn anew, and the seeds too; every network sees the same images.
std::optional<SeedsAndImages> resampled(const Comparison& c,
                                        const std::vector<ResampledStatistic>& of_runs,
                                        std::size_t variant) {
  constexpr int kResamples = 1000;
  std::vector<SeedPair> pairs;
  for (std::size_t s = 0; s < c.seeds.size(); ++s)
    if (c.run(0, s).has_finished() && c.run(variant, s).has_finished())
      pairs.push_back({of_runs[s], of_runs[variant * c.seeds.size() + s]});
  if (pairs.empty() || c.images.empty()) return std::nullopt;
  return resample_seeds_and_images(
      pairs, {.images = std::ssize(c.images), .resamples = kResamples, .seed = c.seeds.front()});
}

VariantRuns outcomes_of(const Comparison& c, std::size_t variant) {
  VariantRuns runs{.name = c.variants[variant].name, .runs = {}};
  for (std::size_t s = 0; s < c.seeds.size(); ++s)
    runs.runs.push_back(outcome_of(c.run(variant, s)));
  return runs;
}

// What a single pair of networks leaves open.
std::string of_one_seed(const Comparison& c, const Interval& images) {
  const bool same = images.low <= 0 && images.high >= 0;
  return fmt::format(
      " For these two networks the {} test images alone leave {:+.1f} to {:+.1f} points (95 %){}; "
      "another seed moves either network by a point or more: -seed 1..5 shows it.",
      c.images.size(), in_percent(images.low), in_percent(images.high),
      same ? ", which includes no difference at all" : "");
}

// mAP@0.5 of the runs that have finished; none where none has.
std::optional<double> mean_map(const Comparison& c, std::size_t variant) {
  double sum = 0, count = 0;
  for (std::size_t s = 0; s < c.seeds.size(); ++s)
    if (const ComparedRun& r = c.run(variant, s); r.has_finished())
      sum += r.at50.mean_average_precision, ++count;
  return count > 0 ? std::optional(sum / count) : std::nullopt;
}

// "ce 51.2 %".
std::string mean_text(const Comparison& c, std::size_t variant) {
  const std::string& name = c.variants[variant].name;
  const std::optional<double> mean = mean_map(c, variant);
  return mean ? fmt::format("{} {:.1f} %", name, in_percent(*mean)) : name + " no result";
}

// False positives and missed objects of one image, as its panels show them.
std::int64_t errors_of(const ComparedRun& run, std::size_t image) {
  const EvaluatedImage& i = run.images[image];
  const SceneCounts c = count_of(shown_detections(run, image), i.truths, .5f);
  return c.false_positives + c.missed;
}

}  // namespace

std::vector<Detection> shown_detections(const ComparedRun& run, std::size_t image) {
  std::vector<Detection> kept;
  for (const Detection& d : run.images[image].detections)
    if (d.probability > run.threshold) kept.push_back(d);
  return kept;
}

CocoFigures coco_figures(const std::vector<EvaluatedImage>& images, std::int64_t classes) {
  const auto or_none = [](double coco) { return coco < 0 ? CocoFigures::kNone : coco; };
  const CocoEvaluation e = evaluate_coco(images, classes);
  return {.ap = std::max(0., e.ap()),
          .ap50 = or_none(e.ap_at(0)),
          .ap75 = or_none(e.ap_at(5)),
          .ap_small = or_none(e.ap(ObjectSize::small)),
          .ap_medium = or_none(e.ap(ObjectSize::medium)),
          .ap_large = or_none(e.ap(ObjectSize::large))};
}

const char* name_of(RunState state) {
  switch (state) {
    case RunState::finished:
      return "finished";
    case RunState::diverged:
      return "diverged";
    default:
      return "missing";
  }
}

std::int64_t missing_runs(const Comparison& c) {
  return std::count_if(c.runs.begin(), c.runs.end(),
                       [](const ComparedRun& r) { return r.state == RunState::missing; });
}

bool may_claim(const Comparison& c) {
  return c.purpose == Purpose::comparison ||
         (c.purpose == Purpose::confirmation && missing_runs(c) == 0);
}

const char* evaluated_on(const Comparison& c) {
  return c.purpose == Purpose::tuning ? "the tuning split" : "valid=";
}

RunOutcome outcome_of(const ComparedRun& run) {
  if (run.state == RunState::diverged) return RunOutcome::diverged();
  return run.has_finished() ? RunOutcome::finished(run.at50.mean_average_precision)
                            : RunOutcome::missing();
}

const ComparedRun* shown_run(const Comparison& c, std::size_t variant) {
  std::vector<const ComparedRun*> finished;
  for (std::size_t s = 0; s < c.seeds.size(); ++s)
    if (const ComparedRun& r = c.run(variant, s); r.has_finished()) finished.push_back(&r);
  if (finished.empty()) return nullptr;
  std::stable_sort(finished.begin(), finished.end(), [](const auto* a, const auto* b) {
    return a->at50.mean_average_precision < b->at50.mean_average_precision;
  });
  return finished[(finished.size() - 1) / 2];
}

std::vector<std::size_t> shown_variants(const Comparison& c) {
  std::vector<std::pair<double, std::size_t>> ranked;  // of the mean, highest first
  for (std::size_t v = 0; v < c.variants.size(); ++v) {
    if (!shown_run(c, v)) continue;
    const double rank = v == 0 ? -std::numeric_limits<double>::infinity() : -*mean_map(c, v);
    ranked.emplace_back(rank, v);
  }
  std::sort(ranked.begin(), ranked.end());
  if (ranked.size() > kMaxShownVariants) ranked.resize(kMaxShownVariants);
  std::vector<std::size_t> shown;
  for (const auto& [rank, variant] : ranked) shown.push_back(variant);
  std::sort(shown.begin(), shown.end());
  return shown;
}

std::vector<std::size_t> most_different_images(const Comparison& c, std::size_t count) {
  constexpr double kFewObjects = 3;  // else a scene of one object would always be the first
  std::vector<const ComparedRun*> runs;
  for (const std::size_t variant : shown_variants(c)) runs.push_back(shown_run(c, variant));
  if (runs.empty()) return {};
  std::vector<std::pair<double, std::size_t>> ranked;  // largest difference first
  for (std::size_t i = 0; i < c.images.size(); ++i) {
    const std::int64_t baseline = errors_of(*runs.front(), i);
    std::int64_t difference = 0;
    for (const ComparedRun* run : runs)
      difference = std::max(difference, std::abs(errors_of(*run, i) - baseline));
    const auto objects = static_cast<double>(runs.front()->images[i].truths.size());
    if (difference > 0)
      ranked.emplace_back(-static_cast<double>(difference) / (kFewObjects + objects), i);
  }
  std::sort(ranked.begin(), ranked.end());
  if (ranked.size() > count) ranked.resize(count);
  std::vector<std::size_t> images;
  for (const auto& [share, image] : ranked) images.push_back(image);
  return images;
}

MatchedRuns match_runs(const Comparison& c) {
  MatchedRuns matched;
  for (const ComparedRun& r : c.runs)
    matched.push_back(r.has_finished() ? match(r.images, std::ssize(c.names), .5f)
                                       : std::vector<MatchedClass>{});
  return matched;
}

std::vector<VariantDifference> differences(const Comparison& c, const MatchedRuns& matched) {
  std::vector<VariantRuns> others;
  for (std::size_t variant = 1; variant < c.variants.size(); ++variant)
    others.push_back(outcomes_of(c, variant));
  const std::vector<Verdict> found = verdicts(outcomes_of(c, 0), others);
  std::vector<ResampledStatistic> statistics;
  for (const auto& classes : matched)
    statistics.push_back(resampled_mean_average_precision(classes));
  std::vector<VariantDifference> all;
  for (std::size_t variant = 1; variant < c.variants.size(); ++variant) {
    VariantDifference d{.variant = variant, .by_seed = {}, .verdict = found[variant - 1]};
    for (std::size_t s = 0; s < c.seeds.size(); ++s) {
      const ComparedRun &a = c.run(0, s), &b = c.run(variant, s);
      d.by_seed.push_back(
          a.has_finished() && b.has_finished()
              ? std::optional(b.at50.mean_average_precision - a.at50.mean_average_precision)
              : std::nullopt);
    }
    d.resampled = resampled(c, statistics, variant);
    all.push_back(std::move(d));
  }
  return all;
}

std::string verdict_text(const Comparison& c, const VariantDifference& d) {
  std::string text =
      cat("mAP@0.5: ", mean_text(c, 0), ", ", mean_text(c, d.variant), ". ", d.verdict.sentence);
  if (d.verdict.statistics.pairs == 1 && d.resampled)
    text += of_one_seed(c, d.resampled->over_images);
  return text;
}

}  // namespace darknet
