#include "report/comparison.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/index.h"
#include "eval/matching.h"
#include "report/side_by_side.h"

namespace darknet {
namespace {

using nlohmann::json;

double points(double fraction) { return 100 * fraction; }

// Both networks see the same images in every sample.
Interval over_images(const Comparison& c, std::size_t variant) {
  constexpr int kResamples = 1000;
  const auto size = std::ssize(c.images);
  const auto classes = std::ssize(c.names);
  const auto baseline = match(c.run(0, 0).images, classes, .5f);
  const auto other = match(c.run(variant, 0).images, classes, .5f);
  std::vector<std::int64_t> weights(c.images.size());
  return bootstrap(size, kResamples, c.seeds.front(), [&](std::span<const std::int64_t> drawn) {
    std::fill(weights.begin(), weights.end(), 0);
    for (const std::int64_t i : drawn) ++weights[to_size(i)];
    return mean_average_precision(other, weights) - mean_average_precision(baseline, weights);
  });
}

json run_json(const Comparison& c, const ComparedRun& r) {
  json classes = json::object();
  for (std::size_t i = 0; i < c.names.size(); ++i)
    classes[c.names[i]] = r.at50.classes[i].average_precision;
  return {{"variant", c.variants[r.variant].name},
          {"seed", r.seed},
          {"map50", r.at50.mean_average_precision},
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
          {"weights", r.weights.string()}};
}

json difference_json(const Comparison& c, const VariantDifference& d) {
  json out{{"variant", c.variants[d.variant].name},
           {"baseline", c.variants.front().name},
           {"map50_by_seed", d.by_seed},
           {"mean", d.over_seeds.mean},
           {"over_images_95", {d.over_images.low, d.over_images.high}}};
  if (d.over_seeds.pairs < 2) return out;
  out["deviation"] = d.over_seeds.deviation;
  out["over_seeds_95"] = {d.over_seeds.confidence.low, d.over_seeds.confidence.high};
  if (std::isfinite(d.over_seeds.p_value)) out["sign_flip_p"] = d.over_seeds.p_value;
  return out;
}

std::string of_one_seed(const Comparison& c, const VariantDifference& d) {
  const bool same = d.over_images.low <= 0 && d.over_images.high >= 0;
  return fmt::format(
      "One seed proves nothing about the losses. For these two networks the {} test images alone "
      "leave {:+.1f} to {:+.1f} points (95 %){}; another seed moves either network by a point or "
      "more: -seed 1..5 shows it.",
      c.images.size(), points(d.over_images.low), points(d.over_images.high),
      same ? ", which includes no difference at all" : "");
}

std::string of_seeds(const VariantDifference& d) {
  const PairedStatistics& s = d.over_seeds;
  const bool apart = s.confidence.low > 0 || s.confidence.high < 0;
  std::string text = fmt::format(
      "Over {} paired seeds the mean difference is {:+.2f} points, spread {:.2f}, 95 % interval "
      "{:+.2f} to {:+.2f}",
      s.pairs, points(s.mean), points(s.deviation), points(s.confidence.low),
      points(s.confidence.high));
  if (std::isfinite(s.p_value)) text += fmt::format(", sign-flip p = {:.3f}", s.p_value);
  return text + (apart ? ": a difference on this data set and recipe, if nothing was tuned on it."
                       : ": no difference is shown.");
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

std::optional<std::size_t> most_different_image(const Comparison& c) {
  constexpr double kFewObjects = 3;  // else a scene of one object would always be the first
  std::optional<std::size_t> best;
  double max = 0;
  for (std::size_t i = 0; i < c.images.size(); ++i) {
    const std::int64_t baseline = errors_of(c.run(0, 0), i);
    std::int64_t difference = 0;
    for (std::size_t variant = 1; variant < c.variants.size(); ++variant)
      difference = std::max(difference, std::abs(errors_of(c.run(variant, 0), i) - baseline));
    const double share = static_cast<double>(difference) /
                         (kFewObjects + static_cast<double>(c.run(0, 0).images[i].truths.size()));
    if (share > max) max = share, best = i;
  }
  return best;
}

std::vector<VariantDifference> differences(const Comparison& c) {
  std::vector<VariantDifference> all;
  for (std::size_t variant = 1; variant < c.variants.size(); ++variant) {
    VariantDifference d{.variant = variant};
    for (std::size_t s = 0; s < c.seeds.size(); ++s)
      d.by_seed.push_back(c.run(variant, s).at50.mean_average_precision -
                          c.run(0, s).at50.mean_average_precision);
    d.over_seeds = paired_statistics(d.by_seed);
    d.over_images = over_images(c, variant);
    all.push_back(std::move(d));
  }
  return all;
}

std::string verdict(const Comparison& c, const VariantDifference& d) {
  const auto map = [&](std::size_t variant) {
    double sum = 0;
    for (std::size_t s = 0; s < c.seeds.size(); ++s)
      sum += c.run(variant, s).at50.mean_average_precision;
    return points(sum / static_cast<double>(c.seeds.size()));
  };
  return fmt::format("mAP@0.5: {} {:.1f} %, {} {:.1f} %, a difference of {:+.1f} points. ",
                     c.variants.front().name, map(0), c.variants[d.variant].name, map(d.variant),
                     points(d.over_seeds.mean)) +
         (d.over_seeds.pairs < 2 ? of_one_seed(c, d) : of_seeds(d));
}

Chart training_chart(const Comparison& c) {
  std::vector<TrainingHistory> histories;
  for (std::size_t variant = 0; variant < c.variants.size(); ++variant) {
    histories.push_back(c.run(variant, 0).history);
    histories.back().label = c.variants[variant].name;
  }
  return comparison_chart(histories);
}

Chart precision_recall_chart(const Comparison& c) {
  const auto classes = std::ssize(c.names);
  std::vector<Panel> panels;
  std::vector<std::vector<MatchedClass>> matched;
  for (std::size_t variant = 0; variant < c.variants.size(); ++variant)
    matched.push_back(match(c.run(variant, 0).images, classes, .5f));
  for (std::size_t k = 0; k < c.names.size(); ++k) {
    Panel p{.title = c.names[k], .x_label = "recall", .y_label = "precision"};
    p.x_low = p.y_low = 0, p.x_high = p.y_high = 1;
    for (std::size_t variant = 0; variant < c.variants.size(); ++variant) {
      Series s{.name = c.variants[variant].name};
      for (const CurvePoint& point : precision_recall(matched[variant][k]))
        s.x.push_back(point.recall), s.y.push_back(point.precision);
      p.series.push_back(std::move(s));
    }
    panels.push_back(std::move(p));
  }
  return {"Precision over recall, IoU 0.5", std::move(panels)};
}

std::string comparison_table(const Comparison& c) {
  std::string text = fmt::format("{:<16} {:>5} {:>8} {:>11} {:>14} {:>9} {:>7} {:>8} {:>8} {:>6}\n",
                                 "variant", "seed", "mAP@0.5", "AP@.5:.95", "best F1 (at)",
                                 "precision", "recall", "p object", "p backg.", "time");
  for (const ComparedRun& r : c.runs)
    text += fmt::format(
        "{:<16} {:>5} {:>6.2f} % {:>9.2f} % {:>14} {:>9.3f} {:>7.3f} {:>8.3f} {:>8.5f} {:>4.0f} "
        "s\n",
        c.variants[r.variant].name, r.seed, points(r.at50.mean_average_precision),
        points(r.average_precision), fmt::format("{:.3f} ({:.2f})", r.at50.f1(), r.threshold),
        r.at50.precision(), r.at50.recall(), r.p_positive, r.p_negative, r.training_seconds);
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
