#include "cli/imbalance_report.h"

#include <fmt/core.h>

#include <array>

#include "core/json.h"
#include "core/text.h"
#include "report/imbalance_chart.h"

namespace darknet::cli {
namespace {
using nlohmann::json;

constexpr std::array<double, 3> kHardest{.001, .01, .1};  // shares of the background
constexpr double kHardObjects = .2;                       // Lin et al. 2017, section 5.1

std::string probability(double p) { return p < 0 ? "-" : fmt::format("{:.4f}", p); }

void print_row(const std::string& name, const AnchorStatistics& a, const std::string& prior) {
  const auto ratio = a.positive.anchors > 0 ? static_cast<double>(a.negative.anchors) /
                                                  static_cast<double>(a.positive.anchors)
                                            : 0;
  fmt::print("{:<10} {:>10} {:>10} {:>12} {:>10} {:>10.3g} {} {:>11} {:>13}\n", name,
             a.positive.anchors, a.ignored, a.negative.anchors,
             ratio > 0 ? fmt::format("{:.0f}", ratio) : "-", a.eta(), prior,
             probability(a.positive.anchors > 0 ? a.positive.mean_p() : -1),
             probability(a.negative.anchors > 0 ? a.negative.mean_p() : -1));
}

void print_heads(const ObjectnessStatistics& s) {
  fmt::print("{:<10} {:>10} {:>10} {:>12} {:>10} {:>10} {:>9} {:>9} {:>11} {:>13}\n", "head",
             "positive", "ignored", "negative", "neg./pos.", "eta", "p*", "bias p", "p objects",
             "p background");
  for (const HeadObjectness& h : s.heads)
    print_row(fmt::format("layer {}", h.layer), h.anchors,
              fmt::format("{:>9} {:>9}", probability(h.p_star > 0 ? h.p_star : -1),
                          probability(h.prior_bias)));
  if (s.heads.size() > 1) print_row("all", s.all(), fmt::format("{:>9} {:>9}", "", ""));
}

void print_shares(const ObjectnessStatistics& s) {
  const AnchorStatistics all = s.all();
  fmt::print("{:<32} {:>18} {:>14} {:>8} {:>8}\n", "share of the loss of that side",
             "hardest 20 % of", "hardest .1 %", "1 %", "10 %");
  fmt::print("{:<32} {:>18} {:>14}\n", "", "the objects", "of background");
  const auto row = [&](const std::string& name, const LogHistogram& objects,
                       const LogHistogram& background) {
    fmt::print("{:<32} {:>18.3f} {:>14.3f} {:>8.3f} {:>8.3f}\n", name,
               objects.share_of_largest(kHardObjects), background.share_of_largest(kHardest[0]),
               background.share_of_largest(kHardest[1]), background.share_of_largest(kHardest[2]));
  };
  for (std::size_t k = 0; k < kComparedGammas.size(); ++k)
    row(fmt::format("gamma {}", kComparedGammas[k]), all.positive.focal[k], all.negative.focal[k]);
  row(own_loss_name(s), all.positive.loss, all.negative.loss);
}

void print_gradient(const ObjectnessStatistics& s) {
  const AnchorStatistics all = s.all();
  if (!(all.gradient() > 0)) return;
  fmt::print(
      "objectness gradient by {}: {:.3f} from objects, {:.3f} from hard and {:.3f} from easy "
      "background (p < .1)\n",
      own_loss_name(s), all.positive.gradient.sum() / all.gradient(),
      (all.negative.gradient.sum() - all.easy_negative_gradient) / all.gradient(),
      all.easy_negative_gradient / all.gradient());
}

json histogram_json(const std::vector<std::pair<double, double>>& curve) {
  json points = json::array();
  for (const auto& [x, y] : curve) points.push_back({x, y});
  return points;
}

json loss_json(const LogHistogram& values) {
  json hardest = json::object();
  for (const double share : {.001, .01, .1, .2})
    hardest[fmt::format("{:g}", share)] = values.share_of_largest(share);
  return {{"sum", values.sum()},
          {"share_of_hardest", hardest},
          {"cumulative", histogram_json(values.cumulative())}};
}

json side_json(const SideStatistics& side) {
  json out{{"anchors", side.anchors},
           {"mean_p", side.mean_p()},
           {"gradient_sum", side.gradient.sum()},
           {"loss", loss_json(side.loss)},
           {"focal", json::array()},
           {"p_t_histogram", histogram_json(p_t_histogram(side))},
           {"gradient_histogram", histogram_json(gradient_histogram(side))}};
  for (std::size_t k = 0; k < kComparedGammas.size(); ++k) {
    out["focal"].push_back(loss_json(side.focal[k]));
    out["focal"].back()["gamma"] = kComparedGammas[k];
  }
  return out;
}

json anchors_json(const AnchorStatistics& a) {
  return {{"positives", a.positive.anchors},
          {"ignored", a.ignored},
          {"negatives", a.negative.anchors},
          {"eta", a.eta()},
          {"truths", a.truths},
          {"easy_negative_gradient", a.easy_negative_gradient},
          {"positive", side_json(a.positive)},
          {"negative", side_json(a.negative)}};
}

}  // namespace

void print(const ObjectnessStatistics& s) {
  print_heads(s);
  fmt::print("{} of {} get no anchor of any head\n", s.truths_lost,
             plural(s.truths, "ground truth"));
  print_gradient(s);
  print_shares(s);
}

std::string to_json(const ObjectnessStatistics& s) {
  json out{{"images", s.images},
           {"truths", s.truths},
           {"truths_lost", s.truths_lost},
           {"all", anchors_json(s.all())},
           {"heads", json::array()}};
  out["all"].erase("truths");  // a ground truth may have anchors in several heads
  for (const HeadObjectness& h : s.heads) {
    json head = anchors_json(h.anchors);
    head["layer"] = h.layer, head["objectness_loss"] = h.loss;
    head["p_star"] = h.p_star > 0 ? json(h.p_star) : json();
    head["bias_p"] = h.prior_bias >= 0 ? json(h.prior_bias) : json();
    out["heads"].push_back(std::move(head));
  }
  return dump_json(out, 2, InvalidUtf8::replace) + "\n";
}

FileFormat imbalance_json_format() {
  return json_format({"all", "heads", "images", "truths", "truths_lost"});
}

}  // namespace darknet::cli
