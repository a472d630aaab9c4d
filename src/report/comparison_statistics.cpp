#include "report/comparison_statistics.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <exception>

#include "core/index.h"
#include "eval/class_agnostic.h"
#include "eval/lift_off.h"
#include "eval/predict.h"

namespace darknet {
namespace {

// Of ascending iterations only: what a kill repeated is left out.
std::vector<CurveValue> curve_of(const TrainingHistory& h, const std::vector<double>& values) {
  std::vector<CurveValue> curve;
  for (std::size_t i = 0; i < std::min(values.size(), h.iteration.size()); ++i)
    if (std::isfinite(values[i]) && (curve.empty() || h.iteration[i] > curve.back().iteration))
      curve.push_back({h.iteration[i], values[i]});
  return curve;
}

// Whether mAP was evaluated often enough, in all runs that have finished, to see where it lifts
// off.
bool has_map_curves(const Comparison& c) {
  constexpr std::size_t kEvaluations = 3;
  bool any = false;
  for (const ComparedRun& r : c.runs) {
    if (!r.has_finished()) continue;
    if (curve_of(r.history, r.history.map).size() < kEvaluations) return false;
    any = true;
  }
  return any;
}

double lift_off_of(const TrainingHistory& h, bool of_map) {
  LiftOffRule rule;
  if (of_map) rule.start = 0;
  const std::vector<CurveValue> curve = curve_of(h, of_map ? h.map : h.loss);
  // Losses of single batches jump: a fiftieth of the run is averaged.
  if (!of_map) rule.window = 2 * (std::ssize(curve) / 100) + 1;
  return lift_off(curve, rule).value_or(kNoMetric);
}

RunMetrics metrics_of(const ComparedRun& r, std::span<const MatchedClass> matched, bool of_map) {
  RunMetrics m;
  m.map50 = r.at50.mean_average_precision;
  m.ap = r.coco.ap, m.ap50 = r.coco.ap50, m.ap75 = r.coco.ap75;
  m.ap_small = r.coco.ap_small, m.ap_medium = r.coco.ap_medium, m.ap_large = r.coco.ap_large;
  m.class_agnostic_ap50 = class_agnostic_average_precision(r.images, {.iou = .5f}, kDefaultNms);
  m.best_f1 = r.at50.f1(), m.best_f1_threshold = r.threshold;
  m.precision = r.at50.precision(), m.recall = r.at50.recall();
  if (const Calibration found = calibration(matched); found.detections > 0) m.d_ece = found.error;
  m.lift_off = lift_off_of(r.history, of_map);
  m.first_step_positive_share = first_positive_share(r.history);
  if (r.history.iteration.empty()) return m;
  m.easy_negative_share = r.easy_negative_share;
  m.negatives_per_positive = r.negatives_per_positive;
  m.p_positive = r.p_positive, m.p_negative = r.p_negative;
  m.training_seconds = r.training_seconds;
  return m;
}

// Runs are evaluated side by side; what one throws is thrown once all have ended.
std::vector<RunMetrics> metrics_of_runs(const Comparison& c, const MatchedRuns& matched,
                                        bool of_map) {
  std::vector<RunMetrics> all(c.runs.size());
  std::exception_ptr failure;
#pragma omp parallel for schedule(dynamic)
  for (std::size_t i = 0; i < all.size(); ++i) try {
      if (c.runs[i].has_finished()) all[i] = metrics_of(c.runs[i], matched[i], of_map);
    } catch (...) {
#pragma omp critical
      failure = std::current_exception();
    }
  if (failure) std::rethrow_exception(failure);
  return all;
}

SampleSummary summary_of(const Comparison& c, const std::vector<RunMetrics>& runs,
                         std::size_t variant, const RunMetric& metric) {
  std::vector<double> values;
  for (std::size_t s = 0; s < c.seeds.size(); ++s)
    if (const double v = runs[variant * c.seeds.size() + s].*metric.value; std::isfinite(v))
      values.push_back(v);
  return summarize(values);
}

// As if the classes of all runs were more classes of one.
Calibration pooled_calibration(const Comparison& c, const MatchedRuns& matched,
                               std::size_t variant) {
  std::vector<MatchedClass> all;
  for (std::size_t s = 0; s < c.seeds.size(); ++s) {
    const auto& of_run = matched[variant * c.seeds.size() + s];
    all.insert(all.end(), of_run.begin(), of_run.end());
  }
  return calibration(all);
}

VariantStatistics variant_statistics(const Comparison& c, const ComparisonStatistics& s,
                                     std::size_t variant) {
  VariantStatistics v;
  for (std::size_t seed = 0; seed < c.seeds.size(); ++seed) {
    const RunState state = c.run(variant, seed).state;
    v.finished += state == RunState::finished, v.diverged += state == RunState::diverged;
    v.missing += state == RunState::missing;
  }
  for (std::size_t m = 0; m < kRunMetrics.size(); ++m)
    v.metrics[m] = summary_of(c, s.runs, variant, kRunMetrics[m]);
  v.calibration = pooled_calibration(c, s.matched, variant);
  return v;
}

// Seeds for the smallest p under Holm: what the strictest of the comparisons needs.
PowerTable power_of(const VariantDifference& d, std::size_t comparisons) {
  const PairedStatistics& s = d.verdict.statistics;
  return power_table(s.deviation, s.pairs, kPlannedDifferences,
                     {.alpha = VerdictRules{}.alpha / static_cast<double>(comparisons)});
}

struct UnitText {
  double scale;
  int decimals;
  const char* unit;
};
UnitText text_of(MetricUnit unit) {
  switch (unit) {
    case MetricUnit::percent:
      return {100, 1, " %"};
    case MetricUnit::fraction:
      return {1, 3, ""};
    case MetricUnit::small_fraction:
      return {1, 5, ""};
    case MetricUnit::seconds:
      return {1, 0, " s"};
    case MetricUnit::ratio:
      return {1, 0, " : 1"};
    default:
      return {1, 0, ""};
  }
}

}  // namespace

std::string to_text(MetricUnit unit, double value) {
  if (!std::isfinite(value)) return "-";
  const UnitText t = text_of(unit);
  return fmt::format("{:.{}f}{}", t.scale * value, t.decimals, t.unit);
}

std::string to_text(MetricUnit unit, const SampleSummary& s) {
  if (s.values.empty()) return "-";
  if (s.values.size() < 2) return to_text(unit, s.mean);
  const UnitText t = text_of(unit);
  return fmt::format("{:.{}f} ± {:.{}f}{}", t.scale * s.mean, t.decimals, t.scale * s.deviation,
                     t.decimals, t.unit);
}

ComparisonStatistics statistics_of(const Comparison& c) {
  ComparisonStatistics s;
  s.matched = match_runs(c);
  s.lift_off_of_map = has_map_curves(c);
  s.runs = metrics_of_runs(c, s.matched, s.lift_off_of_map);
  for (std::size_t variant = 0; variant < c.variants.size(); ++variant)
    s.variants.push_back(variant_statistics(c, s, variant));
  if (may_claim(c)) s.differences = differences(c, s.matched);
  for (const VariantDifference& d : s.differences)
    s.power.push_back(power_of(d, s.differences.size()));
  return s;
}

}  // namespace darknet
