#include "report/gain.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/file.h"
#include "core/index.h"
#include "core/input.h"
#include "core/text.h"
#include "core/utf8.h"
#include "dataset/data_set_files.h"
#include "report/comparison_files.h"
#include "report/csv.h"
#include "report/drawing.h"
#include "report/page_markup.h"

namespace darknet {
namespace {
namespace fs = std::filesystem;

constexpr double kInPoints = 100;  // of a fraction
constexpr int kGrey = 7;           // style of lines to compare with

bool is_shown(const VariantGain& g) { return g.adjusted_p <= VerdictRules{}.alpha; }

const VariantGain* gain_of(const GainPoint& point, const std::string& variant) {
  for (const VariantGain& g : point.gains)
    if (g.variant == variant) return &g;
  return nullptr;
}

// Points of several variants at one ratio are moved apart so that their intervals can be
// seen: by this factor from one to the next. The axis has whole decades.
double step_aside(const GainStudy& s) {
  constexpr double kApart = .02;  // of the axis
  const double first = std::floor(std::log10(s.points.front().ratio));
  const double last = std::ceil(std::log10(s.points.back().ratio));
  return std::pow(10, kApart * std::max(1., last - first));
}

// A mark with its interval for each point, and a line through the means.
void add_curve(Panel& panel, const std::string& name, int style, const std::vector<double>& xs,
               const std::vector<SampleSummary>& values, double scale) {
  Series marks{.name = name, .mark = Series::Mark::ranges, .style = style}, line{.style = style};
  for (std::size_t i = 0; i < xs.size(); ++i) {
    if (values[i].values.empty()) continue;
    marks.x.push_back(xs[i]), marks.y.push_back(scale * values[i].mean);
    marks.low.push_back(scale * values[i].confidence.low);
    marks.high.push_back(scale * values[i].confidence.high);
  }
  line.x = marks.x, line.y = marks.y;
  panel.series.push_back(std::move(line)), panel.series.push_back(std::move(marks));
}

// So far from the baseline that an axis which shows it makes the others one line.
bool is_far(const GainStudy& s, const std::string& variant) {
  constexpr double kFar = .25;
  return std::ranges::any_of(s.points, [&](const GainPoint& point) {
    const VariantGain* const g = gain_of(point, variant);
    return g && !g->verdict.runs.differences.empty() &&
           std::abs(summarize(g->verdict.runs.differences).mean) >= kFar;
  });
}

// The variants of each panel: as many as there are colours, the baseline's among them; those that
// are far from it come last, in panels of their own.
constexpr std::size_t kInPanel = kStyles - 1;
std::vector<std::vector<std::string>> panels_of(const GainStudy& s) {
  std::vector<std::vector<std::string>> all;
  for (const bool far : {false, true}) {
    bool fresh = true;
    for (const std::string& variant : s.variants) {
      if (is_far(s, variant) != far) continue;
      if (fresh || all.back().size() == kInPanel) all.emplace_back();
      fresh = false;
      all.back().push_back(variant);
    }
  }
  return all;
}

SampleSummary differences_of(const VariantGain& g) {
  SampleSummary s = summarize(g.verdict.runs.differences);
  if (s.values.size() > 1) s.confidence = g.verdict.interval;
  return s;
}

Panel over_ratio(const std::string& title, const std::string& y_label) {
  Panel p{.title = title, .x_label = "negatives per positive", .y_label = y_label};
  p.log_x = true;
  return p;
}

using ValueOf = SampleSummary (*)(const VariantGain&);

// By which the marks of a variant are moved to the side of the others.
double aside_of(std::size_t variant, const GainStudy& s, std::size_t variants) {
  const double middle = static_cast<double>(variants - 1) / 2;
  return std::pow(step_aside(s), static_cast<double>(variant) - middle);
}

void add_variants(Panel& panel, const GainStudy& s, const std::vector<std::string>& variants,
                  ValueOf value_of) {
  for (std::size_t v = 0; v < variants.size(); ++v) {
    const double aside = aside_of(v, s, variants.size());
    std::vector<double> xs;
    std::vector<SampleSummary> values;
    for (const GainPoint& point : s.points)
      if (const VariantGain* g = gain_of(point, variants[v]))
        xs.push_back(point.ratio * aside), values.push_back(value_of(*g));
    add_curve(panel, variants[v], static_cast<int>(v), xs, values, kInPoints);
  }
}

// Over the marks of gains that may be claimed: dots without an interval, in place of coloured ones.
void add_shown(Panel& panel, const GainStudy& s, const std::vector<std::string>& variants) {
  Series dots{
      .name = "shown after Holm's adjustment", .mark = Series::Mark::intervals, .style = kGrey};
  for (std::size_t v = 0; v < variants.size(); ++v)
    for (const GainPoint& point : s.points)
      if (const VariantGain* g = gain_of(point, variants[v]); g && is_shown(*g)) {
        dots.x.push_back(point.ratio * aside_of(v, s, variants.size()));
        dots.y.push_back(kInPoints * differences_of(*g).mean);
      }
  dots.low = dots.high = std::vector<double>(dots.x.size(), std::nan(""));
  if (!dots.x.empty()) panel.series.push_back(std::move(dots));
}

Panel gains_panel(const GainStudy& s, const std::vector<std::string>& variants,
                  const std::string& part) {
  Panel p = over_ratio("Gain over " + s.baseline + " against imbalance" + part,
                       "points of mAP@0.5 above " + s.baseline);
  p.note =
      "Each mark: the mean over the seeds of one folder, with its 95 % interval, for that mark "
      "alone. One whose interval holds the line at 0 shows no difference; one that misses it need "
      "not be a claim. A grey dot marks what is shown after Holm's adjustment over all marks. "
      "Marks of one folder stand next to each other; the table has their imbalance.";
  if (!part.empty()) p.note += " Variants that are far from the rest have a chart of their own.";
  add_variants(p, s, variants, differences_of);
  add_shown(p, s, variants);
  if (!has_data(p)) return p;
  const double reach = std::pow(step_aside(s), static_cast<double>(variants.size()));
  p.series.push_back({.x = {s.points.front().ratio / reach, s.points.back().ratio * reach},
                      .y = {0, 0},
                      .style = kGrey});
  return p;
}

Panel values_panel(const GainStudy& s, const std::vector<std::string>& variants,
                   const std::string& part) {
  Panel p = over_ratio("mAP@0.5 against imbalance" + part, "mAP@0.5 in %");
  p.note =
      "Of different data: what falls here may be due to other things than the imbalance. Only the "
      "gain compares networks of one data set.";
  std::vector<double> xs;
  std::vector<SampleSummary> values;
  for (const GainPoint& point : s.points)
    xs.push_back(point.ratio), values.push_back(point.baseline);
  add_variants(p, s, variants, [](const VariantGain& g) { return g.map50; });
  add_curve(p, s.baseline, kGrey, xs, values, kInPoints);
  keep_within(p, 0, 100);
  return p;
}

std::string csv_number(double value) {
  return std::isfinite(value) ? fmt::format("{}", value) : "";
}

std::string points_text(double fraction) {
  return std::isfinite(fraction) ? fmt::format("{:+.2f}", kInPoints * fraction) : "-";
}

std::string with_chosen(const std::string& text, const std::string& chosen) {
  return chosen.empty() ? text : cat(text, " (", chosen, ")");
}

using Rows = std::vector<std::vector<std::string>>;

Rows gain_rows(const GainStudy& s) {
  Rows rows{{"folder", "negatives per positive", s.baseline + " in %", "variant", "pairs",
             "gain in points", "95 % interval", "p (t)", "p (Holm, all)"}};
  for (const GainPoint& p : s.points)
    for (const VariantGain& g : p.gains) {
      const SampleSummary d = differences_of(g);
      const bool many = d.values.size() > 1;
      rows.push_back(
          {p.name, fmt::format("{:.0f}", p.ratio),
           with_chosen(fmt::format("{:.2f}", kInPoints * p.baseline.mean), p.chosen),
           with_chosen(g.variant, g.chosen), std::to_string(d.values.size()),
           d.values.empty() ? "-" : points_text(d.mean),
           many ? points_text(d.confidence.low) + " to " + points_text(d.confidence.high) : "-",
           many ? p_text(g.verdict.p_value) : "-",
           many && g.may_claim ? p_text(g.adjusted_p) : "-"});
    }
  return rows;
}

// Whether gains grow with the imbalance, by rank alone.
Rows trend_rows(const GainStudy& s) {
  constexpr std::size_t kFewest = 3;
  Rows rows{{"variant", "folders", "rank correlation of gain and imbalance"}};
  for (const std::string& variant : s.variants) {
    std::vector<double> ratios, gains;
    for (const GainPoint& p : s.points)
      if (const VariantGain* g = gain_of(p, variant); g && !g->verdict.runs.differences.empty())
        ratios.push_back(p.ratio), gains.push_back(g->verdict.statistics.mean);
    if (ratios.size() < kFewest) continue;
    const double r = rank_correlation(ratios, gains);
    rows.push_back({variant, std::to_string(ratios.size()),
                    std::isfinite(r) ? fmt::format("{:+.2f}", r) : "-"});
  }
  if (rows.size() == 1) rows.clear();
  return rows;
}

// What shows a folder best: one that is kept for its figures alone has no page.
fs::path shown_file(const fs::path& folder) {
  for (const char* name : {"index.html", "table.txt"})
    if (is_present(folder / name)) return folder / name;
  return folder / "results.json";
}

std::string folders_list(const GainStudy& s, const fs::path& page) {
  std::string text = "<ul>\n";
  for (const GainPoint& p : s.points) {
    const fs::path to = whole_path(shown_file(p.folder));
    text += fmt::format("<li><a href=\"{}\">{}</a>: {:.0f} negatives per positive; {}, {}</li>\n",
                        url_path(to.lexically_relative(whole_path(page))), escaped_markup(p.name),
                        p.ratio, escaped_markup(p.data), escaped_markup(p.cfg));
  }
  return text + "</ul>\n";
}

}  // namespace

std::string gain_text(const GainStudy& s) {
  std::int64_t all = 0, better = 0, worse = 0, no_claim = 0;
  for (const GainPoint& p : s.points)
    for (const VariantGain& g : p.gains) {
      ++all;
      no_claim += !g.may_claim;
      if (!is_shown(g)) continue;
      (g.verdict.statistics.mean > 0 ? better : worse) += 1;
    }
  std::string text = fmt::format(
      "{} against {} in {}: {} of {} {} shown to be above {} and {} below it (mAP@0.5, t-test over "
      "seeds, Holm's adjustment over all of them).",
      plural(std::ssize(s.variants), "variant"), s.baseline, plural(std::ssize(s.points), "folder"),
      better, all, all == 1 ? "difference is" : "differences are", s.baseline, worse);
  if (no_claim > 0)
    text += fmt::format(
        " Of {} no claim is made: too few seeds, or runs that diverged or are missing.", no_claim);
  for (const GainPoint& p : s.points)
    if (p.missing > 0)
      text += fmt::format(
          " In {} {} missing: the call that made it finishes it, and then there are claims.",
          p.name, p.missing == 1 ? "1 run is" : fmt::format("{} runs are", p.missing));
  if (better + worse < all)
    text += " What is not shown may still be there: more seeds narrow the intervals.";
  return text;
}

Chart gain_chart(const GainStudy& s) {
  Chart chart{.title = "Gain over " + s.baseline + " against imbalance"};
  const auto panels = panels_of(s);
  for (std::size_t i = 0; i < panels.size(); ++i) {
    const std::string part =
        panels.size() > 1 ? fmt::format(" ({} of {})", i + 1, panels.size()) : "";
    chart.panels.push_back(gains_panel(s, panels[i], part));
    chart.panels.push_back(values_panel(s, panels[i], part));
  }
  return chart;
}

std::string gain_csv_header() {
  return "folder,data,cfg,negatives_per_positive,baseline,baseline_chosen,baseline_map50,variant,"
         "chosen,map50,verdict_in_folder,pairs,gain,gain_low,gain_high,p,p_holm\r\n";
}

std::string gain_csv(const GainStudy& s) {
  std::string text = gain_csv_header();
  for (const GainPoint& p : s.points)
    for (const VariantGain& g : p.gains) {
      const SampleSummary d = differences_of(g);
      const double none = std::nan("");
      const bool many = d.values.size() > 1;
      text += csv_line({p.folder.string(), p.data, p.cfg, csv_number(p.ratio), s.baseline, p.chosen,
                        csv_number(p.baseline.mean), g.variant, g.chosen,
                        csv_number(g.map50.values.empty() ? none : g.map50.mean),
                        name_of(g.verdict.kind), std::to_string(d.values.size()),
                        csv_number(d.values.empty() ? none : d.mean), csv_number(d.confidence.low),
                        csv_number(d.confidence.high), csv_number(many ? g.verdict.p_value : none),
                        csv_number(many && g.may_claim ? g.adjusted_p : none)});
    }
  return text;
}

std::string gain_page(const GainStudy& s, const fs::path& page, const std::string& command) {
  const Rows trends = trend_rows(s);
  std::string html = page_head("Gain over " + s.baseline + " against imbalance");
  html += paragraph(gain_text(s), "verdict") + chart_figures(gain_chart(s));
  html += page_table(gain_rows(s));
  if (!trends.empty())
    html += "<h2>Does the gain grow with the imbalance?</h2>\n" +
            paragraph(
                "Spearman's rank correlation over the folders: 1 where each step up in imbalance "
                "is one up in gain. With few folders such an order is often chance, and the "
                "folders may differ in more than imbalance.",
                "soft") +
            page_table(trends);
  html += "<h2>Terms</h2>\n" +
          definitions(
              {{"negatives per positive",
                "anchors trained as background for each anchor with an object; mean over the "
                "training runs of the baseline"},
               {"gain",
                "mAP@0.5 of a variant less that of the baseline with the same seed, mean "
                "over the seeds, in points"},
               {"95 % interval", "Student's t over the seeds of one folder, for this gain alone"},
               {"p (Holm, all)",
                "the p of the paired t-test, adjusted for all gains of this page; claims follow "
                "it"}});
  html += "<h2>Folders</h2>\n" + folders_list(s, page);
  html += paragraph("All figures are in summary.csv.", "soft");
  return html + "<h2>Again</h2>\n" + preformatted(command) + kPageEnd;
}

void require_writable_gain(const fs::path& folder) {
  require_writable_file(folder / "index.html", kHtmlFormat);
  require_writable_file(folder / "summary.csv", format_of(gain_csv_header()));
  require_writable_chart(folder / "gain");
}

void write_gain(const GainStudy& s, const fs::path& folder, const std::string& command) {
  write_chart(folder / "gain", gain_chart(s));
  write_file_atomically(folder / "summary.csv", gain_csv(s));
  write_file_atomically(folder / "index.html", gain_page(s, folder, command));
}

}  // namespace darknet
