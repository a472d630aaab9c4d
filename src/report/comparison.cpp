#include "report/comparison.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/index.h"
#include "eval/matching.h"
#include "report/side_by_side.h"

namespace darknet {
namespace {

using nlohmann::json;

double points(double fraction) { return 100 * fraction; }

// The first seed with which both variants have finished.
std::optional<std::size_t> common_seed(const Comparison& c, std::size_t variant) {
  for (std::size_t s = 0; s < c.seeds.size(); ++s)
    if (c.run(0, s).has_finished() && c.run(variant, s).has_finished()) return s;
  return std::nullopt;
}

// Both networks see the same images in every sample.
std::optional<Interval> over_images(const Comparison& c, std::size_t variant) {
  constexpr int kResamples = 1000;
  const std::optional<std::size_t> seed = common_seed(c, variant);
  if (!seed) return std::nullopt;
  const auto size = std::ssize(c.images);
  const auto classes = std::ssize(c.names);
  const auto baseline = match(c.run(0, *seed).images, classes, .5f);
  const auto other = match(c.run(variant, *seed).images, classes, .5f);
  std::vector<std::int64_t> weights(c.images.size());
  return bootstrap(size, kResamples, c.seeds[*seed], [&](std::span<const std::int64_t> drawn) {
    std::fill(weights.begin(), weights.end(), 0);
    for (const std::int64_t i : drawn) ++weights[to_size(i)];
    return mean_average_precision(other, weights) - mean_average_precision(baseline, weights);
  });
}

VariantRuns outcomes_of(const Comparison& c, std::size_t variant) {
  VariantRuns runs{.name = c.variants[variant].name, .runs = {}};
  for (std::size_t s = 0; s < c.seeds.size(); ++s)
    runs.runs.push_back(outcome_of(c.run(variant, s)));
  return runs;
}

void add_found(json& out, const Comparison& c, const ComparedRun& r) {
  json classes = json::object();
  for (std::size_t i = 0; i < c.names.size(); ++i)
    classes[c.names[i]] = r.at50.classes[i].average_precision;
  out.update({{"map50", r.at50.mean_average_precision},
              {"ap", r.average_precision},
              {"classes", classes},
              {"best_f1", r.at50.f1()},
              {"best_f1_threshold", r.threshold},
              {"precision", r.at50.precision()},
              {"recall", r.at50.recall()},
              {"training_seconds", r.training_seconds},
              {"negatives_per_positive", r.negatives_per_positive},
              {"gradient_share_easy_negative", r.easy_negative_share},
              {"mean_p_positive", r.p_positive},
              {"mean_p_negative", r.p_negative},
              {"weights", r.weights.string()}});
}

json run_json(const Comparison& c, const ComparedRun& r) {
  json out{{"variant", c.variants[r.variant].name},
           {"seed", r.seed},
           {"state", name_of(r.state)},
           {"folder", r.folder.string()},
           {"command", r.command}};
  if (r.has_finished()) add_found(out, c, r);
  if (r.state == RunState::diverged) out["iteration"] = r.diverged_at, out["reason"] = r.reason;
  return out;
}

json difference_json(const Comparison& c, const VariantDifference& d) {
  const PairedStatistics& s = d.verdict.statistics;
  json out{{"variant", c.variants[d.variant].name},
           {"baseline", c.variants.front().name},
           {"verdict", name_of(d.verdict.kind)},
           {"sentence", d.verdict.sentence},
           {"pairs", s.pairs},
           {"map50_by_seed", json::array()}};
  for (const std::optional<double>& one : d.by_seed)
    out["map50_by_seed"].push_back(one ? json(*one) : json());
  if (d.over_images) out["over_images_95"] = {d.over_images->low, d.over_images->high};
  if (s.pairs > 0) out["mean"] = s.mean;
  if (s.pairs < 2) return out;
  out["deviation"] = s.deviation;
  out["over_seeds_95"] = {s.confidence.low, s.confidence.high};
  out["p"] = d.verdict.p_value;
  out["adjusted_p"] = d.verdict.adjusted_p;
  if (std::isfinite(s.p_value)) out["sign_flip_p"] = s.p_value;
  return out;
}

// What a single pair of networks leaves open.
std::string of_one_seed(const Comparison& c, const Interval& images) {
  const bool same = images.low <= 0 && images.high >= 0;
  return fmt::format(
      " For these two networks the {} test images alone leave {:+.1f} to {:+.1f} points (95 %){}; "
      "another seed moves either network by a point or more: -seed 1..5 shows it.",
      c.images.size(), points(images.low), points(images.high),
      same ? ", which includes no difference at all" : "");
}

// "ce 51.2 %", the mean of the runs that have finished.
std::string mean_text(const Comparison& c, std::size_t variant) {
  double sum = 0, count = 0;
  for (std::size_t s = 0; s < c.seeds.size(); ++s)
    if (const ComparedRun& r = c.run(variant, s); r.has_finished())
      sum += r.at50.mean_average_precision, ++count;
  const std::string& name = c.variants[variant].name;
  return count > 0 ? fmt::format("{} {:.1f} %", name, points(sum / count)) : name + " no result";
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

RunOutcome outcome_of(const ComparedRun& run) {
  if (run.state == RunState::diverged) return RunOutcome::diverged();
  return run.has_finished() ? RunOutcome::finished(run.at50.mean_average_precision)
                            : RunOutcome::missing();
}

std::vector<std::size_t> finished_variants(const Comparison& c, std::size_t seed) {
  std::vector<std::size_t> finished;
  for (std::size_t variant = 0; variant < c.variants.size(); ++variant)
    if (c.run(variant, seed).has_finished()) finished.push_back(variant);
  return finished;
}

std::optional<std::size_t> shown_seed(const Comparison& c) {
  std::optional<std::size_t> shown;
  std::size_t most = 0;
  for (std::size_t s = 0; s < c.seeds.size(); ++s)
    if (const std::size_t count = finished_variants(c, s).size(); count > most)
      most = count, shown = s;
  return shown;
}

std::optional<std::size_t> most_different_image(const Comparison& c) {
  constexpr double kFewObjects = 3;  // else a scene of one object would always be the first
  const std::optional<std::size_t> seed = shown_seed(c);
  if (!seed) return std::nullopt;
  const std::vector<std::size_t> variants = finished_variants(c, *seed);
  const ComparedRun& first = c.run(variants.front(), *seed);
  std::optional<std::size_t> best;
  double max = 0;
  for (std::size_t i = 0; i < c.images.size(); ++i) {
    const std::int64_t baseline = errors_of(first, i);
    std::int64_t difference = 0;
    for (const std::size_t variant : variants)
      difference = std::max(difference, std::abs(errors_of(c.run(variant, *seed), i) - baseline));
    const double share = static_cast<double>(difference) /
                         (kFewObjects + static_cast<double>(first.images[i].truths.size()));
    if (share > max) max = share, best = i;
  }
  return best;
}

std::vector<VariantDifference> differences(const Comparison& c) {
  std::vector<VariantRuns> others;
  for (std::size_t variant = 1; variant < c.variants.size(); ++variant)
    others.push_back(outcomes_of(c, variant));
  const std::vector<Verdict> found = verdicts(outcomes_of(c, 0), others);
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
    d.over_images = over_images(c, variant);
    all.push_back(std::move(d));
  }
  return all;
}

std::string verdict_text(const Comparison& c, const VariantDifference& d) {
  std::string text =
      cat("mAP@0.5: ", mean_text(c, 0), ", ", mean_text(c, d.variant), ". ", d.verdict.sentence);
  if (d.verdict.statistics.pairs == 1 && d.over_images) text += of_one_seed(c, *d.over_images);
  return text;
}

Chart training_chart(const Comparison& c) {
  std::vector<TrainingHistory> histories;
  const std::size_t seed = shown_seed(c).value_or(0);
  for (std::size_t variant = 0; variant < c.variants.size(); ++variant) {
    const ComparedRun& run = c.run(variant, seed);
    if (run.history.iteration.empty()) continue;
    histories.push_back(run.history);
    histories.back().label = c.variants[variant].name;
  }
  return comparison_chart(histories);
}

Chart precision_recall_chart(const Comparison& c) {
  const auto classes = std::ssize(c.names);
  const std::optional<std::size_t> seed = shown_seed(c);
  std::vector<Panel> panels;
  std::vector<std::pair<std::string, std::vector<MatchedClass>>> matched;
  if (seed)
    for (const std::size_t variant : finished_variants(c, *seed))
      matched.emplace_back(c.variants[variant].name,
                           match(c.run(variant, *seed).images, classes, .5f));
  for (std::size_t k = 0; k < c.names.size(); ++k) {
    Panel p{.title = c.names[k], .x_label = "recall", .y_label = "precision"};
    p.x_low = p.y_low = 0, p.x_high = p.y_high = 1;
    for (const auto& [name, of_classes] : matched) {
      Series s{.name = name};
      for (const CurvePoint& point : precision_recall(of_classes[k]))
        s.x.push_back(point.recall), s.y.push_back(point.precision);
      p.series.push_back(std::move(s));
    }
    panels.push_back(std::move(p));
  }
  return {"Precision over recall, IoU 0.5", std::move(panels)};
}

std::string comparison_table(const Comparison& c) {
  std::size_t width = 16;
  for (const ComparedVariant& v : c.variants) width = std::max(width, v.name.size());
  std::string text = fmt::format("{:<{}} {:>5} {:>8} {:>11} {:>14} {:>9} {:>7} {:>8} {:>8} {:>6}\n",
                                 "variant", width, "seed", "mAP@0.5", "AP@.5:.95", "best F1 (at)",
                                 "precision", "recall", "p object", "p backg.", "time");
  for (const ComparedRun& r : c.runs) {
    text += fmt::format("{:<{}} {:>5} ", c.variants[r.variant].name, width, r.seed);
    if (!r.has_finished()) {
      text += fmt::format(
          "{:>8}{}\n", name_of(r.state),
          r.state == RunState::diverged ? fmt::format(" at iteration {}", r.diverged_at) : "");
      continue;
    }
    text +=
        fmt::format("{:>6.2f} % {:>9.2f} % {:>14} {:>9.3f} {:>7.3f} {:>8.3f} {:>8.5f} {:>4.0f} s\n",
                    points(r.at50.mean_average_precision), points(r.average_precision),
                    fmt::format("{:.3f} ({:.2f})", r.at50.f1(), r.threshold), r.at50.precision(),
                    r.at50.recall(), r.p_positive, r.p_negative, r.training_seconds);
  }
  return text;
}

std::string comparison_json(const Comparison& c, const std::vector<VariantDifference>& found) {
  json out{{"data", c.data.string()},
           {"cfg", c.cfg.string()},
           {"seeds", c.seeds},
           {"iterations", c.iterations},
           {"training_images", c.training_images},
           {"test_images", c.images.size()},
           {"variants", json::array()},
           {"runs", json::array()},
           {"differences", json::array()}};
  for (const ComparedVariant& a : c.variants)
    out["variants"].push_back({{"name", a.name}, {"keys", a.overrides}});
  for (const ComparedRun& r : c.runs) out["runs"].push_back(run_json(c, r));
  for (const VariantDifference& d : found) out["differences"].push_back(difference_json(c, d));
  return out.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

}  // namespace darknet
