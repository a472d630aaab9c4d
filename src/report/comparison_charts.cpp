#include "report/comparison_charts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "core/error.h"
#include "core/index.h"
#include "core/text.h"
#include "report/comparison_grid.h"

namespace darknet {
namespace {

constexpr int kSeedStyle = 7, kMeanStyle = 0, kReferenceStyle = 4;
// In a row of a chart, which is 1 high and centred at 0, below its name.
constexpr double kSeedsPlace = .08, kMeanPlace = .3;

std::string row_name(const Comparison& c, const ComparisonStatistics& s, std::size_t variant) {
  const VariantStatistics& v = s.variants[variant];
  std::string name = fmt::format("{} (n = {}", c.variants[variant].name, v.finished);
  if (v.diverged > 0) name += fmt::format(", {} diverged", v.diverged);
  if (v.missing > 0) name += fmt::format(", {} missing", v.missing);
  return name + ")";
}

// What stands in one row: values, mean and interval.
struct RowValues {
  std::string name;
  std::vector<double> values;
  double mean = kNoMetric;
  Interval interval = kUnbounded;
};

Panel rows_panel(const std::string& title, const std::string& x_label,
                 const std::vector<RowValues>& rows) {
  Series seeds{.name = "one seed", .mark = Series::Mark::points, .style = kSeedStyle};
  Series means{
      .name = "mean and 95 % interval", .mark = Series::Mark::intervals, .style = kMeanStyle};
  Panel p{.title = title, .x_label = x_label};
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto row = static_cast<double>(i);
    p.rows.push_back(rows[i].name);
    for (const double v : rows[i].values)
      seeds.x.push_back(v), seeds.y.push_back(row + kSeedsPlace);
    means.x.push_back(rows[i].mean), means.y.push_back(row + kMeanPlace);
    means.low.push_back(rows[i].interval.low), means.high.push_back(rows[i].interval.high);
  }
  p.series = {std::move(seeds), std::move(means)};
  return p;
}

std::string axis_name(const RunMetric& m) {
  if (m.unit == MetricUnit::percent) return cat(m.name, " in %");
  return m.unit == MetricUnit::iteration ? "iteration" : m.name;
}

// In every row below its name.
Series line_at_zero(std::size_t rows) {
  Series line{.style = kReferenceStyle};
  for (std::size_t i = 0; i < rows; ++i)
    for (const double y : {-.14, .5, kNoMetric})
      line.x.push_back(0), line.y.push_back(static_cast<double>(i) + y);
  return line;
}

Panel metric_panel(const Comparison& c, const ComparisonStatistics& s, const RunMetric& metric) {
  const double scale = metric.unit == MetricUnit::percent ? 100 : 1;
  std::vector<RowValues> rows;
  for (std::size_t v = 0; v < c.variants.size(); ++v) {
    const SampleSummary& summary = s.variants[v][metric];
    RowValues row{.name = row_name(c, s, v)};
    for (const double value : summary.values) row.values.push_back(scale * value);
    if (!summary.values.empty()) {
      row.mean = scale * summary.mean;
      row.interval = {scale * summary.confidence.low, scale * summary.confidence.high};
    }
    rows.push_back(std::move(row));
  }
  Panel p = rows_panel(metric.name, axis_name(metric), rows);
  if (metric.unit == MetricUnit::percent) keep_within(p, 0, 100);
  if (metric.unit == MetricUnit::fraction) keep_within(p, 0, 1);
  return p;
}

// Every so many points, and the last, where there are more than a panel shows.
void add_thinned(Series& s, const std::vector<CurvePoint>& curve, double CurvePoint::*x,
                 const std::function<double(const CurvePoint&)>& y) {
  constexpr std::size_t kPoints = 160;
  const std::size_t every = std::max<std::size_t>(1, curve.size() / kPoints);
  for (std::size_t i = 0; i < curve.size(); ++i)
    if (i % every == 0 || i + 1 == curve.size())
      s.x.push_back(curve[i].*x), s.y.push_back(y(curve[i]));
}

// All classes as one ranking.
MatchedClass pooled(const std::vector<MatchedClass>& classes) {
  MatchedClass all;
  for (const MatchedClass& k : classes) {
    all.ranked.insert(all.ranked.end(), k.ranked.begin(), k.ranked.end());
    all.truths += k.truths;
  }
  std::stable_sort(all.ranked.begin(), all.ranked.end(),
                   [](const auto& a, const auto& b) { return a.score > b.score; });
  return all;
}

Panel unit_square(const std::string& title, const char* x_label, const char* y_label) {
  Panel p{.title = title, .x_label = x_label, .y_label = y_label};
  p.x_low = p.y_low = 0, p.x_high = p.y_high = 1;
  return p;
}

double f1_of(const CurvePoint& p) {
  const double sum = p.precision + p.recall;
  return sum > 0 ? 2 * p.precision * p.recall / sum : 0;
}

// The curves of one ranking for each drawn variant.
struct NamedRanking {
  std::string name;
  int style;
  MatchedClass ranking;
};

Panel recall_panel(const std::string& title, const std::vector<NamedRanking>& rankings) {
  Panel p = unit_square(title, "recall", "precision");
  for (const NamedRanking& r : rankings) {
    Series s{.name = r.name, .style = r.style};
    add_thinned(s, precision_recall(r.ranking), &CurvePoint::recall,
                [](const CurvePoint& at) { return at.precision; });
    p.series.push_back(std::move(s));
  }
  return p;
}

Panel f1_panel(const std::vector<NamedRanking>& rankings) {
  Panel p = unit_square("F1 against threshold, all classes", "threshold", "F1");
  p.note =
      "A flat top forgives a badly chosen threshold. Each network's best threshold is its own.";
  for (const NamedRanking& r : rankings) {
    Series s{.name = r.name, .style = r.style};
    add_thinned(s, precision_recall(r.ranking), &CurvePoint::threshold, f1_of);
    p.series.push_back(std::move(s));
  }
  return p;
}

// The classes with most objects, in the order of their names' list.
std::vector<std::size_t> largest_classes(const std::vector<MatchedClass>& classes) {
  constexpr std::size_t kPanels = 6;
  std::vector<std::size_t> order(classes.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return classes[a].truths > classes[b].truths;
  });
  if (order.size() > kPanels) order.resize(kPanels);
  std::sort(order.begin(), order.end());
  return order;
}

HeatMap heat_of(const ComparisonStatistics& s, const VariantGrid& g) {
  constexpr const RunMetric& kMap = metric_of("map50");
  HeatMap heat;
  for (const double x : g.xs) heat.columns.push_back(fmt::format("{:g}", x));
  for (const double y : g.ys) heat.rows.push_back(fmt::format("{:g}", y));
  for (std::size_t row = 0; row < g.ys.size(); ++row)
    for (std::size_t column = 0; column < g.xs.size(); ++column) {
      std::vector<double> values;
      std::int64_t diverged = 0;
      for (const std::size_t variant : g.cells[row][column]) {
        const std::vector<double>& more = s.variants[variant][kMap].values;
        values.insert(values.end(), more.begin(), more.end());
        diverged += s.variants[variant].diverged;
      }
      if (values.empty()) continue;
      HeatCell cell{column, row, mean_of(values), {}, {}};
      cell.text = fmt::format("{:.1f}", 100 * cell.value);
      cell.note = fmt::format("n = {}", values.size());
      if (diverged > 0) cell.note += fmt::format(", {} div.", diverged);
      heat.cells.push_back(std::move(cell));
    }
  return heat;
}

// Runs that diverged, each by itself, while there are colours.
void add_diverged(const Comparison& c, std::vector<HistoryGroup>& groups) {
  for (const ComparedRun& r : c.runs)
    if (r.state == RunState::diverged && !r.history.iteration.empty() &&
        groups.size() < kMaxShownVariants)
      groups.push_back(
          {fmt::format("{}, seed {}, diverged", c.variants[r.variant].name, r.seed), {&r.history}});
}

}  // namespace

Chart variants_chart(const Comparison& c, const ComparisonStatistics& s) {
  Chart chart{.title = "Metrics by variant"};
  for (const RunMetric* m : {&metric_of("map50"), &metric_of("ap"),
                             &metric_of("class_agnostic_ap50"), &metric_of("lift_off_iteration")})
    chart.panels.push_back(metric_panel(c, s, *m));
  chart.panels.front().note =
      "With few seeds the interval is wide even where dots lie close together.";
  chart.panels.back().note =
      s.lift_off_of_map ? cat("When mAP on ", evaluated_on(c), " has half of its final value.")
                        : "When the loss has gone half of its way.";
  return chart;
}

Chart differences_chart(const Comparison& c, const ComparisonStatistics& s) {
  std::vector<RowValues> rows;
  for (const VariantDifference& d : s.differences) {
    const PairedStatistics& found = d.verdict.statistics;
    RowValues row{
        .name = fmt::format("{} ({})", c.variants[d.variant].name, plural(found.pairs, "pair"))};
    for (const std::optional<double>& one : d.by_seed)
      if (one) row.values.push_back(100 * *one);
    if (found.pairs > 0) row.mean = 100 * found.mean;
    if (found.pairs > 1)
      row.interval = {100 * d.verdict.interval.low, 100 * d.verdict.interval.high};
    rows.push_back(std::move(row));
  }
  const std::string& baseline = c.variants.front().name;
  Panel p = rows_panel("Differences to " + baseline + " by seed",
                       "points of mAP@0.5 above " + baseline, rows);
  p.note =
      "Each dot: two networks of one seed. An interval that holds the line at 0 shows no "
      "difference; for several variants the verdicts ask for more than it (Holm).";
  if (has_data(p)) p.series.push_back(line_at_zero(rows.size()));
  return {"Differences of mAP@0.5 to " + baseline, {std::move(p)}};
}

Chart grid_chart(const Comparison& c, const ComparisonStatistics& s) {
  Chart chart{.title = "Mean mAP@0.5 in %"};
  for (const VariantGrid& g : variant_grids(c.variants)) {
    Panel p{.title = cat("Mean mAP@0.5 in %: ", g.x_key, " and ", g.y_key),
            .x_label = g.x_key,
            .y_label = g.y_key};
    p.note =
        "n: the runs that finished, over seeds and whatever else varies. Deeper colour: higher "
        "mean. Neighbours that differ by less than the spread over seeds do not differ.";
    p.heat = heat_of(s, g);
    chart.panels.push_back(std::move(p));
  }
  return chart;
}

Chart training_chart(const Comparison& c) {
  std::vector<HistoryGroup> groups;
  for (const std::size_t v : shown_variants(c)) {
    HistoryGroup g{c.variants[v].name, {}};
    for (std::size_t s = 0; s < c.seeds.size(); ++s)
      if (const ComparedRun& r = c.run(v, s); r.has_finished()) g.histories.push_back(&r.history);
    groups.push_back(std::move(g));
  }
  add_diverged(c, groups);
  Chart chart = comparison_chart(groups);
  for (Panel& p : chart.panels)  // what a training run calls valid=
    if (const auto at = p.title.find("valid="); at != p.title.npos)
      p.title.replace(at, 6, evaluated_on(c));
  return chart;
}

Chart first_step_chart(const Comparison& c, const ComparisonStatistics& s) {
  Panel p = metric_panel(c, s, metric_of("first_step_positive_share"));
  p.title = "Objects in the objectness gradient of the first step";
  p.x_label = "share";
  p.note =
      "Where it is small, training begins with unlearning background; where it differs between "
      "seeds, so do their starts.";
  p.x_low = 0, p.x_high = 1;
  return {p.title, {p}};
}

Chart precision_recall_chart(const Comparison& c, const ComparisonStatistics& s) {
  Chart chart{.title = "Precision over recall, IoU 0.5"};
  const std::vector<std::size_t> variants = shown_variants(c);
  if (variants.empty()) return chart;
  const auto matched = [&](std::size_t v) -> const std::vector<MatchedClass>& {
    return s.matched[to_size(shown_run(c, v) - c.runs.data())];
  };
  const auto named = [&](const std::function<MatchedClass(std::size_t)>& ranking) {
    std::vector<NamedRanking> all;
    for (const std::size_t v : variants)
      all.push_back({c.variants[v].name, static_cast<int>(all.size()), ranking(v)});
    return all;
  };
  const auto all = named([&](std::size_t v) { return pooled(matched(v)); });
  chart.panels.push_back(recall_panel("Precision over recall, all classes", all));
  chart.panels.back().note =
      "Each threshold is a point: the share of detections that are true positives, over the share "
      "of objects that are found. Up and to the right is better.";
  chart.panels.push_back(f1_panel(all));
  if (c.names.size() < 2) return chart;
  for (const std::size_t k : largest_classes(matched(variants.front())))
    chart.panels.push_back(recall_panel("Precision over recall, " + c.names[k],
                                        named([&](std::size_t v) { return matched(v)[k]; })));
  return chart;
}

Chart reliability_chart(const Comparison& c, const ComparisonStatistics& s) {
  constexpr std::int64_t kFewDetections = 10;
  Panel p = unit_square("Reliability", "confidence", "precision");
  p.note =
      "Detections by confidence, all seeds together; groups of fewer than 10 are left out. On the "
      "diagonal a confidence of .7 means that 7 of 10 are true positives; below it the network is "
      "overconfident.";
  for (const std::size_t v : shown_variants(c)) {
    Series curve{.name = c.variants[v].name, .style = static_cast<int>(p.series.size())};
    for (const ReliabilityBin& b : s.variants[v].calibration.bins)
      if (b.detections >= kFewDetections)
        curve.x.push_back(b.mean_confidence), curve.y.push_back(b.precision());
    if (!curve.x.empty()) p.series.push_back(std::move(curve));
  }
  if (!p.series.empty())
    p.series.insert(p.series.begin(),
                    {.name = "perfect calibration", .x = {0, 1}, .y = {0, 1}, .style = kSeedStyle});
  return {"Reliability", {std::move(p)}};
}

}  // namespace darknet
