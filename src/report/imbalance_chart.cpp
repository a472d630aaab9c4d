#include "report/imbalance_chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "report/csv.h"

namespace darknet {
namespace {

using Curve = std::vector<std::pair<double, double>>;

constexpr double kSameCurve = 5e-3;      // between curves that are one: wider than a bin makes
constexpr int kBinsDrawn = 4;            // of a LogHistogram, together in a chart: ten a decade
constexpr double kSmallGradient = 1e-9;  // what is below is drawn there
constexpr double kSmallShare = 1e-6;     // of the anchors, where the tail begins
constexpr int kTailPoints = 120;

const char* name_of_side(bool positive) { return positive ? "objects" : "background"; }

Series series_of(const std::string& name, const Curve& curve) {
  Series s{.name = name};
  for (const auto& [x, y] : curve) s.x.push_back(x), s.y.push_back(y);
  return s;
}

// Against the share of the hardest anchors: what share of the loss they make.
Curve tail(const LogHistogram& values) {
  Curve curve;
  if (!(values.sum() > 0)) return curve;
  for (int i = 0; i <= kTailPoints; ++i) {
    const double share = std::pow(kSmallShare, 1 - static_cast<double>(i) / kTailPoints);
    curve.emplace_back(share, values.share_of_largest(share));
  }
  return curve;
}

bool same(const LogHistogram& a, const LogHistogram& b) {
  return std::ranges::equal(tail(a), tail(b), [](const auto& u, const auto& v) {
    return std::abs(u.second - v.second) < kSameCurve;
  });
}

Panel cumulative_panel(const SideStatistics& side, bool positive, const std::string& own) {
  Panel p{.title = fmt::format("Cumulative loss of {}", name_of_side(positive)),
          .x_label = fmt::format("share of the {} anchors, the easiest first",
                                 positive ? "positive" : "negative"),
          .y_label = "share of their loss"};
  p.x_low = p.y_low = 0, p.x_high = p.y_high = 1;
  for (const LossDistribution& d : loss_distributions(side, own))
    p.series.push_back(series_of(d.name, d.values.cumulative()));
  return p;
}

Panel tail_panel(const SideStatistics& side, const std::string& own) {
  Panel p{.title = "Share of the hardest background",
          .x_label = "share of the negative anchors, the hardest",
          .y_label = "share of their loss"};
  p.log_x = true, p.y_low = 0, p.y_high = 1;
  for (const LossDistribution& d : loss_distributions(side, own))
    p.series.push_back(series_of(d.name, tail(d.values)));
  return p;
}

template <class CurveOf>
std::vector<Series> both_sides(const AnchorStatistics& a, CurveOf curve_of) {
  return {series_of(name_of_side(true), curve_of(a.positive)),
          series_of(name_of_side(false), curve_of(a.negative))};
}

Panel p_t_panel(const AnchorStatistics& a) {
  Panel p{.title = "Probability of the ground truth",
          .x_label = "p_t",
          .y_label = "share of their anchors per .02",
          .series = both_sides(a, p_t_histogram)};
  p.log_y = true, p.x_low = 0, p.x_high = 1;
  return p;
}

Panel gradient_panel(const AnchorStatistics& a, const std::string& own) {
  Panel p{.title = "Gradient by " + own,
          .x_label = "|dL/dx| in the objectness logit (1e-9: up to that)",
          .y_label = "share of their anchors per bin",
          .series = both_sides(a, gradient_histogram)};
  p.log_x = p.log_y = true;
  return p;
}

void add_rows(std::string& csv, const std::string& start, const Curve& curve) {
  for (const auto& [x, y] : curve) csv += fmt::format("{},{:.9g},{:.9g}\n", start, x, y);
}

void add_side(std::string& csv, const SideStatistics& side, bool positive, const std::string& own) {
  const char* const name = name_of_side(positive);
  for (const LossDistribution& d : loss_distributions(side, own))
    add_rows(csv, fmt::format("cumulative_loss,{},{}", name, csv_field(d.name)),
             d.values.cumulative());
  add_rows(csv, fmt::format("p_t,{},", name), p_t_histogram(side));
  add_rows(csv, fmt::format("gradient,{},{}", name, csv_field(own)), gradient_histogram(side));
}

}  // namespace

std::vector<LossDistribution> loss_distributions(const SideStatistics& side,
                                                 const std::string& own) {
  std::vector<LossDistribution> all;
  for (std::size_t k = 0; k < kComparedGammas.size(); ++k)
    all.push_back(
        {fmt::format("gamma {}{}", kComparedGammas[k], k == 0 ? " (ce)" : ""), side.focal[k]});
  for (LossDistribution& d : all)
    if (same(d.values, side.loss)) {
      d.name += " = " + own;
      return all;
    }
  all.push_back({own, side.loss});
  return all;
}

std::string own_loss_name(const ObjectnessStatistics& s) {
  std::vector<std::string> names;
  std::string listed;
  for (const HeadObjectness& head : s.heads) {
    if (std::ranges::find(names, head.loss) != names.end()) continue;
    names.push_back(head.loss);
    listed += cat(listed.empty() ? "" : ", ", head.loss);
  }
  return cat("the cfg's loss (", listed, ")");
}

std::vector<std::pair<double, double>> p_t_histogram(const SideStatistics& side) {
  Curve curve;
  constexpr auto kBins = static_cast<double>(kProbabilityBins);
  for (std::size_t k = 0; k < kProbabilityBins; ++k)
    curve.emplace_back((static_cast<double>(k) + .5) / kBins,
                       side.anchors > 0
                           ? static_cast<double>(side.p_t[k]) / static_cast<double>(side.anchors)
                           : 0);
  return curve;
}

std::vector<std::pair<double, double>> gradient_histogram(const SideStatistics& side) {
  Curve curve;
  const auto& bins = side.gradient.bins();
  std::size_t last = 0;
  for (std::size_t k = 0; k < bins.size(); ++k)
    if (bins[k].count > 0) last = k;
  if (side.anchors == 0) return curve;
  std::int64_t below = 0;
  std::size_t k = 0;
  while (k < bins.size() && LogHistogram::upper_edge(k) <= kSmallGradient * 1.0001)
    below += bins[k++].count;
  const auto share = [&](std::int64_t count) {
    return static_cast<double>(count) / static_cast<double>(side.anchors);
  };
  curve.emplace_back(kSmallGradient, share(below));
  for (; k <= last; k += kBinsDrawn) {
    std::int64_t count = 0;
    for (std::size_t i = k; i < std::min(bins.size(), k + kBinsDrawn); ++i) count += bins[i].count;
    const double middle =
        std::sqrt(LogHistogram::upper_edge(k - 1) * LogHistogram::upper_edge(k - 1 + kBinsDrawn));
    curve.emplace_back(middle, share(count));
  }
  return curve;
}

Chart imbalance_chart(const ObjectnessStatistics& s, const TrainingHistory* history) {
  const AnchorStatistics all = s.all();
  const std::string own = own_loss_name(s);
  Chart chart{.title = fmt::format("Where the objectness loss comes from: {} positive, {} negative "
                                   "anchors",
                                   all.positive.anchors, all.negative.anchors)};
  chart.panels = {cumulative_panel(all.positive, true, own),
                  cumulative_panel(all.negative, false, own), p_t_panel(all),
                  gradient_panel(all, own), tail_panel(all.negative, own)};
  if (history) chart.panels.push_back(gradient_share_panel(*history));
  return chart;
}

std::string imbalance_csv(const ObjectnessStatistics& s) {
  std::string csv = kImbalanceCsvHeader;
  const AnchorStatistics all = s.all();
  const std::string own = own_loss_name(s);
  add_side(csv, all.positive, true, own);
  add_side(csv, all.negative, false, own);
  return csv;
}

}  // namespace darknet
