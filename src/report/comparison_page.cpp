#include "report/comparison_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

#include "core/error.h"
#include "core/text.h"
#include "core/utf8.h"
#include "report/comparison_charts.h"
#include "report/comparison_tables.h"
#include "report/side_by_side.h"

namespace darknet {
namespace {

using Terms = std::vector<std::pair<std::string, std::string>>;

struct GeneralTerm {
  std::string name, meaning;
  std::string column = "";  // with which the name of its column begins; "": it is no column
};

// The words of the page that are no metric.
std::vector<GeneralTerm> general_terms() {
  return {
      {"seed",
       "the number that the random weights and the order of the images come from; another one "
       "moves mAP by a point or more"},
      {"mean, sd", "of the seeds' values; sd is their standard deviation"},
      {"95 % interval",
       "Student's t, of the seeds' values: 95 of 100 such intervals hold the mean of all possible "
       "seeds",
       "95 % "},
      {"difference, pairs",
       "a variant's value less the baseline's with the same seed; such a pair shares its first "
       "weights and batches, which leaves less to chance than two means",
       "pairs"},
      {"interval over seeds and images",
       "as wide as other seeds and another test set of this kind make it (bootstrap over both)",
       "over seeds and images"},
      {"p (t), p (Holm)",
       "how often chance alone gives a difference this large: the paired t-test for this variant "
       "alone, and adjusted for the number of variants. Claims follow the second",
       "p (t)"},
      {"p (sign-flip)",
       "the same without taking differences as normal, from all assignments of signs; the number "
       "in brackets is the lowest that so many seeds can give",
       "p (sign-flip)"},
      {"seeds needed",
       "so many show a true difference of this size in 8 of 10 experiments, with the spread seen "
       "here; in brackets what the spread might be at either end of its 95 % interval",
       "seeds needed"},
      {"IoU", "overlap of two boxes: their common area over their joint area; 1 is the same box"},
      {"TP, FP, FN",
       "true positive: a detection with IoU 0.5 or more with an object of its class that no better "
       "detection has; false positive: any other detection; false negative: an object without a "
       "true positive, missed"},
      {"objectness p",
       "the network's probability that an anchor (one of its candidate boxes) holds an object; "
       "most anchors are background"},
      {"easy background", "anchors without an object at p < .1: already classified well"},
  };
}

std::string runs_table(const Comparison& c, const ComparisonStatistics& s) {
  constexpr std::array kShown{"map50",           "ap",     "best_f1", "best_f1_threshold",
                              "precision",       "recall", "d_ece",   "lift_off_iteration",
                              "training_seconds"};
  std::vector<const RunMetric*> shown;
  std::vector<std::string> head{"variant", "seed", "state"};
  for (const RunMetric& m : kRunMetrics)
    if (std::find(kShown.begin(), kShown.end(), std::string_view(m.key)) != kShown.end())
      shown.push_back(&m), head.emplace_back(m.name);
  Cells cells{std::move(head)};
  for (std::size_t i = 0; i < c.runs.size(); ++i) {
    const ComparedRun& r = c.runs[i];
    std::vector<std::string> row{c.variants[r.variant].name, std::to_string(r.seed), state_text(r)};
    for (const RunMetric* m : shown) row.push_back(to_text(m->unit, s.runs[i].*m->value));
    cells.push_back(std::move(row));
  }
  return page_table(cells);
}

SampleSummary class_summary(const Comparison& c, std::size_t variant, std::size_t k) {
  std::vector<double> values;
  for (std::size_t s = 0; s < c.seeds.size(); ++s)
    if (const ComparedRun& r = c.run(variant, s); r.has_finished())
      values.push_back(r.at50.classes[k].average_precision);
  return summarize(values);
}

std::string classes_table(const Comparison& c) {
  const auto finished = std::find_if(c.runs.begin(), c.runs.end(),
                                     [](const ComparedRun& r) { return r.has_finished(); });
  if (finished == c.runs.end()) return "";
  std::vector<std::string> head{"AP at IoU 0.5 by class", "objects"};
  for (const ComparedVariant& v : c.variants) head.push_back(v.name);
  Cells cells{std::move(head)};
  for (std::size_t k = 0; k < c.names.size(); ++k) {
    const std::int64_t objects = finished->at50.classes[k].truths;
    std::vector<std::string> row{c.names[k], std::to_string(objects)};
    for (std::size_t v = 0; v < c.variants.size(); ++v)
      row.push_back(objects > 0 ? to_text(MetricUnit::percent, class_summary(c, v, k)) : "-");
    cells.push_back(std::move(row));
  }
  return page_table(cells);
}

// Runs that give no figure, by name.
std::string unfinished_list(const Comparison& c) {
  std::string items;
  for (const ComparedRun& r : c.runs)
    if (!r.has_finished())
      items += fmt::format("<li><b>{}, seed {}</b>: {}{}</li>\n",
                           escaped_markup(c.variants[r.variant].name), r.seed, state_text(r),
                           r.reason.empty() ? "" : ": " + escaped_markup(r.reason));
  return items.empty() ? "" : "<h2>Diverged and missing</h2>\n<ul>\n" + items + "</ul>\n";
}

std::string commands_list(const Comparison& c) {
  std::string text;
  for (const ComparedRun& r : c.runs)
    if (!r.command.empty())
      text += fmt::format("<h3>{}, seed {}</h3>\n", escaped_markup(c.variants[r.variant].name),
                          r.seed) +
              preformatted(r.command);
  return text.empty() ? "" : "<p>Each run by itself:</p>\n" + text;
}

std::string variants_list(const Comparison& c) {
  std::string text = "<ul>\n";
  for (const ComparedVariant& v : c.variants)
    text += fmt::format("<li><b>{}</b>: <code>{}</code></li>\n", escaped_markup(v.name),
                        escaped_markup(keys_text(v)));
  return text + "</ul>\n";
}

std::string scene(const PageScene& s) {
  return "<div class=\"scene\">" + paragraph(s.name, "soft") + image_figures(s.panels) + "</div>\n";
}

// Which variants have neither curves nor images; "" where all have.
std::string variants_left_out(const Comparison& c) {
  std::size_t finished = 0;
  for (std::size_t v = 0; v < c.variants.size(); ++v) finished += shown_run(c, v) != nullptr;
  const std::size_t shown = shown_variants(c).size();
  if (finished == shown) return "";
  return fmt::format(
      " Of {} variants {} are drawn: the baseline and those with the highest mean mAP@0.5; "
      "`darknet chart` draws the others from the logs in their folders.",
      finished, shown);
}

// The same of runs that diverged, which get the colours that are left.
std::string diverged_left_out(const Comparison& c) {
  std::size_t drawn = shown_variants(c).size(), all = 0;
  for (const ComparedRun& r : c.runs)
    all += r.state == RunState::diverged && !r.history.iteration.empty();
  const std::size_t left = all - std::min(all, kMaxShownVariants - drawn);
  return left == 0 ? ""
                   : fmt::format(" {} of {} that diverged are not drawn.", left,
                                 plural(static_cast<std::int64_t>(all), "run"));
}

// Whose networks curves and images show.
const char* const kMedianRuns =
    "Each variant's network is that of its median seed by mAP@0.5 (the lower of two in the "
    "middle).";

std::string scenes(const Comparison& c, const PageScenes& s) {
  if (s.different.empty() && s.spread.empty()) return "";
  std::string text = "<h2>Images</h2>\n<p>" + std::string(kMedianRuns) +
                     " Each is shown at the threshold where its own F1 is best." +
                     escaped_markup(variants_left_out(c)) + "<br>\n" +
                     colour_key(kTruthColour, "ground truth") + detection_colour_keys() + "</p>\n";
  if (!s.different.empty())
    text += "<h3>Where they differ most</h3>\n" +
            paragraph(
                "Chosen for it by the program from all test images: they show how the networks "
                "differ, not how often.",
                "soft");
  for (const PageScene& one : s.different) text += scene(one);
  if (!s.spread.empty()) text += "<h3>Spread evenly over the test list, not chosen</h3>\n";
  for (const PageScene& one : s.spread) text += scene(one);
  return text;
}

// A heading and what it is about, where there is anything to show.
std::string section(const std::string& heading, const std::string& about, const std::string& html) {
  if (html.empty()) return "";
  return "<h2>" + heading + "</h2>\n" + (about.empty() ? "" : paragraph(about, "soft")) + html;
}

std::string result_charts(const Comparison& c, const ComparisonStatistics& s) {
  Chart all = differences_chart(c, s);
  for (const Chart& more : {grid_chart(c, s), variants_chart(c, s)})
    all.panels.insert(all.panels.end(), more.panels.begin(), more.panels.end());
  return chart_figures(all);
}

std::string training_charts(const Comparison& c, const ComparisonStatistics& s) {
  Chart all = training_chart(c);
  const Chart first = first_step_chart(c, s);
  all.panels.insert(all.panels.end(), first.panels.begin(), first.panels.end());
  return section("Training",
                 "Lines: mean over the seeds that finished. Bands: from the lowest to the highest "
                 "of them. Runs that diverged have lines of their own." +
                     variants_left_out(c) + diverged_left_out(c),
                 chart_figures(all));
}

std::string detection_charts(const Comparison& c, const ComparisonStatistics& s) {
  if (shown_variants(c).empty()) return "";
  Chart all = precision_recall_chart(c, s);
  const Chart reliability = reliability_chart(c, s);
  all.panels.insert(all.panels.begin() + 2, reliability.panels.begin(), reliability.panels.end());
  return section("Precision, recall and confidence",
                 std::string("At IoU 0.5. ") + kMedianRuns + variants_left_out(c),
                 chart_figures(all));
}

// The columns of the tables that leave some out.
std::vector<std::string> columns_of(const Comparison& c, const ComparisonStatistics& s) {
  std::vector<std::string> columns;
  for (const Cells& cells : {variants_cells(c, s), differences_cells(c, s)})
    if (!cells.empty()) columns.insert(columns.end(), cells.front().begin(), cells.front().end());
  return columns;
}

std::string terms(const ComparisonStatistics& s, const std::vector<std::string>& columns) {
  Terms all;
  for (const GeneralTerm& t : general_terms())
    if (t.column.empty() || std::ranges::any_of(columns, [&](const std::string& column) {
          return column.starts_with(t.column);
        }))
      all.emplace_back(t.name, t.meaning);
  for (const RunMetric& m : kRunMetrics) all.emplace_back(m.name, m.meaning);
  return paragraph(fmt::format("Lift-off here is that of {}.",
                               s.lift_off_of_map ? "mAP on valid=" : "the loss"),
                   "soft") +
         definitions(all);
}

std::string title_of(const Comparison& c) {
  const std::string& baseline = c.variants.front().name;
  const std::string where = " on " + c.data.filename().string();
  if (c.variants.size() == 1) return baseline + where;
  if (c.variants.size() == 2) return baseline + " against " + c.variants[1].name + where;
  return fmt::format("{} variants against {}", c.variants.size() - 1, baseline) + where;
}

std::string what_was_done(const Comparison& c) {
  return fmt::format(
      "<p>The same network (<code>{}</code>), trained from the same random weights on the same "
      "batches: {}, {}; only the keys below differ. Tested on {} of {} with {}, with the "
      "weights of the last iteration.</p>\n",
      escaped_markup(c.cfg.string()), plural(c.training_images, "image"),
      plural(c.iterations, "iteration"), plural(std::ssize(c.images), "image"), evaluated_on(c),
      plural(c.objects, "object"));
}

std::string sentences(const Comparison& c, const ComparisonStatistics& s) {
  std::string html;
  for (const std::string& text : sentences_of(c, s)) html += paragraph(text, "verdict");
  return html;
}

// All of a comparison but its sentences and what explains them.
std::string body(const Comparison& c, const ComparisonStatistics& s, const PageScenes& images) {
  std::string html = what_was_done(c) + variants_list(c);
  html += section("Results", "", result_charts(c, s));
  html += page_table(variants_cells(c, s)) + page_table(differences_cells(c, s));
  html += unfinished_list(c);
  html += "<h2>All metrics</h2>\n" + page_table(metrics_cells(c, s)) + classes_table(c);
  html += scenes(c, images) + training_charts(c, s) + detection_charts(c, s);
  return html + "<h2>Runs</h2>\n" + runs_table(c, s);
}

std::string explained(const ComparisonStatistics& s, const std::vector<std::string>& columns,
                      const char* files) {
  return paragraph(cat("All metrics of every run are in ", files, "."), "soft") +
         "<h2>Terms</h2>\n" + terms(s, columns);
}

// Runs may be added to tuning after its confirmation, and change what it chooses.
std::string outdated_text(const Comparison& tuning, const Comparison& confirmation) {
  for (const TunedGroup& g : tuning.choice->groups)
    if (g.chosen && std::none_of(confirmation.variants.begin(), confirmation.variants.end(),
                                 [&](const ComparedVariant& v) {
                                   return v.name == tuning.variants[*g.chosen].name;
                                 }))
      return cat("This confirms what was chosen before: tuning now chooses ",
                 tuning.variants[*g.chosen].name, ", which is not confirmed.");
  return "";
}

std::string part(const PagePart& p) {
  const auto& [c, s, scenes] = p;
  return "<h1>" + escaped_markup(part_heading(c)) + "</h1>\n" + sentences(c, s) +
         body(c, s, scenes);
}

}  // namespace

std::string part_heading(const Comparison& c) {
  const std::string seeds = plural(std::ssize(c.seeds), "seed");
  if (c.purpose == Purpose::tuning)
    return fmt::format("Tuning: {} with {} on {} of the training list",
                       plural(std::ssize(c.variants), "variant"), seeds,
                       plural(std::ssize(c.images), "image"));
  return fmt::format("Confirmation: {} with {} that tuning did not use, on {} of valid=",
                     plural(std::ssize(c.variants), "variant"), seeds,
                     plural(std::ssize(c.images), "image"));
}

std::vector<std::string> sentences_of(const Comparison& c, const ComparisonStatistics& s) {
  if (c.choice) return choice_texts(*c.choice, c);
  if (!may_claim(c))
    return {fmt::format(
        "There is no verdict before all {} runs have ended, because a look at some of them would "
        "be one look more: {} missing.",
        c.runs.size(), missing_runs(c) == 1 ? "1 is" : fmt::format("{} are", missing_runs(c)))};
  std::vector<std::string> texts;
  for (const VariantDifference& d : s.differences) texts.push_back(verdict_text(c, d));
  return texts;
}

std::string comparison_page(const Comparison& c, const ComparisonStatistics& s,
                            const PageScenes& images, const std::string& command) {
  return page_head(title_of(c)) + sentences(c, s) + body(c, s, images) +
         explained(s, columns_of(c, s), "summary.csv and results.json") + "<h2>Again</h2>\n" +
         preformatted(command) + commands_list(c) + kPageEnd;
}

std::string tuning_page(const PagePart& tuning, const PagePart* confirmation,
                        const std::string& command) {
  const Comparison& c = tuning.comparison;
  std::string page = page_head(title_of(confirmation ? confirmation->comparison : c));
  page += paragraph(
      "Two parts: tuning chooses a variant on images kept from the training list; the "
      "confirmation trains what was chosen anew, on the whole training list with other seeds, and "
      "evaluates it once on valid=. Verdicts come from the confirmation alone, because figures "
      "that a variant was chosen by flatter it.",
      "soft");
  if (confirmation) {
    const std::string outdated = outdated_text(c, confirmation->comparison);
    page += (outdated.empty() ? "" : paragraph(outdated, "verdict")) + part(*confirmation);
  } else
    page += paragraph("Nothing is confirmed yet: -confirm K does it, with K seeds.", "verdict");
  page += part(tuning);
  std::vector<std::string> columns = columns_of(c, tuning.statistics);
  if (confirmation)
    std::ranges::copy(columns_of(confirmation->comparison, confirmation->statistics),
                      std::back_inserter(columns));
  page += explained(tuning.statistics, columns,
                    "summary.csv and results.json, those of the confirmation in its folder");
  page += "<h2>Again</h2>\n" + preformatted(command);
  if (confirmation) page += commands_list(confirmation->comparison);
  return page + commands_list(c) + kPageEnd;
}

}  // namespace darknet
