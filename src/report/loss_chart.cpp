#include "report/loss_chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "report/csv.h"

namespace darknet {
namespace {

constexpr int kSteps = 500;         // of p_t
constexpr double kHighestLoss = 5;  // of the figure
constexpr double kSameLoss = 1e-9;  // between curves that are one

LossCurve curve_of(const NamedLoss& named, bool object) {
  LossCurve c{.name = named.name};
  const double t = object ? 1 : 0;
  for (int i = 1; i < kSteps; ++i) {
    const double p_t = static_cast<double>(i) / kSteps, z = std::log(p_t / (1 - p_t));
    const double x = object ? z : -z;
    c.p_t.push_back(p_t);
    std::visit(
        [&](const auto& l) {
          c.loss.push_back(l.value(x, t, object));
          c.gradient.push_back(std::abs(l.gradient(x, t, object)));
        },
        named.loss);
  }
  return c;
}

bool same(const std::vector<double>& a, const std::vector<double>& b) {
  return std::equal(a.begin(), a.end(), b.begin(),
                    [](double u, double v) { return std::abs(u - v) < kSameLoss; });
}

// Curves that coincide as one with all their names: drawn over each other only the last is seen.
std::vector<LossCurve> distinct(const std::vector<LossCurve>& curves) {
  std::vector<LossCurve> all;
  for (const LossCurve& c : curves) {
    const auto known = std::find_if(all.begin(), all.end(),
                                    [&](const LossCurve& d) { return same(d.loss, c.loss); });
    if (known == all.end())
      all.push_back(c);
    else
      known->name += " = " + c.name;
  }
  return all;
}

Panel panel_of(const char* title, const char* y_label) {
  return {.title = title,
          .x_label = "p_t, the probability of the ground truth",
          .y_label = y_label,
          .x_low = 0,
          .x_high = 1,
          .y_low = 0};
}

}  // namespace

std::vector<LossCurve> loss_curves(const std::vector<NamedLoss>& losses) {
  std::vector<LossCurve> curves;
  for (const NamedLoss& named : losses) {
    LossCurve object = curve_of(named, true), background = curve_of(named, false);
    const bool one = same(object.loss, background.loss);
    if (!one) object.name += " (object)", background.name += " (background)";
    curves.push_back(std::move(object));
    if (!one) curves.push_back(std::move(background));
  }
  return curves;
}

std::vector<NamedLoss> focal_losses() {
  std::vector<NamedLoss> losses;
  for (const float gamma : {0.f, .5f, 1.f, 2.f, 5.f})
    losses.push_back({fmt::format("gamma {}", gamma), losses::Focal{gamma, -1}});
  losses.front().name += " (ce)";
  return losses;
}

Chart loss_chart(const std::vector<LossCurve>& curves) {
  Panel loss = panel_of("Loss", "loss"), gradient = panel_of("Size of its gradient", "|dL/dx|");
  double highest = 0;
  for (const LossCurve& c : distinct(curves)) {
    std::vector<double> shown = c.loss;
    for (double& v : shown) {
      highest = std::max(highest, v);
      if (v > kHighestLoss) v = std::numeric_limits<double>::quiet_NaN();
    }
    loss.series.push_back({.name = c.name, .x = c.p_t, .y = std::move(shown)});
    gradient.series.push_back({.name = c.name, .x = c.p_t, .y = c.gradient});
  }
  if (highest > kHighestLoss) loss.y_high = kHighestLoss;
  return {.panels = {std::move(loss), std::move(gradient)}, .columns = 1};
}

std::string loss_csv(const std::vector<LossCurve>& curves) {
  std::string text = kLossCsvHeader;
  for (const LossCurve& c : curves)
    for (std::size_t i = 0; i < c.p_t.size(); ++i)
      text += fmt::format("{},{},{:.9g},{:.9g}\n", csv_field(c.name), c.p_t[i], c.loss[i],
                          c.gradient[i]);
  return text;
}

}  // namespace darknet
