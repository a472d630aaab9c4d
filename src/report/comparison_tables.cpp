#include "report/comparison_tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/index.h"
#include "core/json.h"
#include "core/text.h"
#include "report/csv.h"

namespace darknet {
namespace {

using nlohmann::json;

constexpr double kPoints = 100;  // of a fraction

// Columns as wide as their widest cell; the first is aligned left, the others right.
class TextTable {
 public:
  explicit TextTable(const Cells& rows) {
    for (const auto& row : rows) add(row);
  }
  std::string text() const {
    std::string all;
    for (const auto& row : rows_) {
      std::string line;
      for (std::size_t k = 0; k < row.size(); ++k) {
        const std::string blanks(widths_[k] + extra_bytes(row[k]) - row[k].size(), ' ');
        line += (k == 0 ? "" : "  ") + (k == 0 ? row[k] + blanks : blanks + row[k]);
      }
      while (line.ends_with(' ')) line.pop_back();
      all += line + "\n";
    }
    return all;
  }

 private:
  void add(std::vector<std::string> cells) {
    widths_.resize(std::max(widths_.size(), cells.size()));
    for (std::size_t k = 0; k < cells.size(); ++k)
      widths_[k] =
          std::max(widths_[k], fmt::formatted_size("{}", cells[k]) - extra_bytes(cells[k]));
    rows_.push_back(std::move(cells));
  }
  // Continuation bytes of UTF-8 take no column.
  static std::size_t extra_bytes(const std::string& text) {
    return to_size(std::count_if(text.begin(), text.end(),
                                 [](char c) { return (static_cast<unsigned char>(c) >> 6) == 2; }));
  }
  std::vector<std::size_t> widths_;
  std::vector<std::vector<std::string>> rows_;
};

std::string points(double fraction) { return fmt::format("{:+.2f}", kPoints * fraction); }
std::string percent(double fraction) { return fmt::format("{:.2f}", kPoints * fraction); }

std::string interval_text(const Interval& i, std::string (*text)(double)) {
  if (!std::isfinite(i.low) || !std::isfinite(i.high)) return "-";
  return text(i.low) + " to " + text(i.high);
}

std::string sign_flip_text(const PairedStatistics& s) {
  return fmt::format("{} ({})", std::isfinite(s.p_value) ? p_text(s.p_value) : "-",
                     p_text(smallest_sign_flip_p(s.pairs)));
}

// "12 (5 to 61)".
std::string seeds_needed_text(const PowerRow& r) {
  const auto text = [](const std::optional<std::int64_t>& n) {
    return n ? std::to_string(*n) : fmt::format("over {}", kMaxPlannedPairs);
  };
  return fmt::format("{} ({} to {})", text(r.pairs), text(r.at_low), text(r.at_high));
}

// The figures that take more than one pair.
std::vector<std::string> spread_cells(const VariantDifference& d, const PowerTable& power) {
  const PairedStatistics& p = d.verdict.statistics;
  std::vector<std::string> cells{percent(p.deviation),
                                 interval_text(p.confidence, points),
                                 d.resampled ? interval_text(d.resampled->over_both, points) : "-",
                                 p_text(d.verdict.p_value),
                                 p_text(d.verdict.adjusted_p),
                                 sign_flip_text(p)};
  for (const PowerRow& row : power.rows) cells.push_back(seeds_needed_text(row));
  return cells;
}

std::string unfinished_text(const Comparison& c) {
  std::string text;
  for (const ComparedRun& r : c.runs)
    if (!r.has_finished())
      text += fmt::format("{}, seed {}: {}{}\n", c.variants[r.variant].name, r.seed, state_text(r),
                          r.reason.empty() ? "" : ": " + r.reason);
  return text.empty() ? "" : "\n" + text;
}

json number(double value) { return std::isfinite(value) ? json(value) : json(); }
json interval_json(const Interval& i) { return {number(i.low), number(i.high)}; }

json run_json(const Comparison& c, const ComparedRun& r, const RunMetrics& metrics) {
  json out{{"variant", c.variants[r.variant].name},
           {"seed", r.seed},
           {"state", name_of(r.state)},
           {"folder", r.folder.string()},
           {"command", r.command}};
  if (r.state == RunState::diverged) out["iteration"] = r.diverged_at, out["reason"] = r.reason;
  if (!r.has_finished()) return out;
  for (const RunMetric& m : kRunMetrics)
    if (const double value = metrics.*m.value; std::isfinite(value)) out[m.key] = value;
  json classes = json::object();
  for (std::size_t i = 0; i < c.names.size(); ++i)
    classes[c.names[i]] = r.at50.classes[i].average_precision;
  out["classes"] = classes, out["weights"] = r.weights.string();
  return out;
}

json summary_json(const SampleSummary& s) {
  json out{{"n", s.values.size()}, {"values", s.values}};
  if (!s.values.empty()) out["mean"] = s.mean;
  if (s.values.size() < 2) return out;
  out["deviation"] = s.deviation, out["mean_95"] = interval_json(s.confidence);
  return out;
}

const char* name_of(Purpose p) {
  switch (p) {
    case Purpose::comparison:
      return "comparison";
    case Purpose::tuning:
      return "tuning";
    case Purpose::confirmation:
      return "confirmation";
  }
  fail("a purpose of no name");
}

json variant_json(const ComparedVariant& v, const VariantStatistics& s) {
  json out{{"name", v.name},         {"keys", v.overrides},  {"finished", s.finished},
           {"diverged", s.diverged}, {"missing", s.missing}, {"metrics", json::object()}};
  if (!v.group.empty()) out["group"] = v.group;
  for (const RunMetric& m : kRunMetrics) out["metrics"][m.key] = summary_json(s[m]);
  out["reliability"] = json::array();
  for (const ReliabilityBin& b : s.calibration.bins)
    out["reliability"].push_back({{"low", b.low},
                                  {"high", b.high},
                                  {"detections", b.detections},
                                  {"hits", b.hits},
                                  {"mean_confidence", b.mean_confidence}});
  return out;
}

json power_json(const PowerTable& power) {
  const auto seeds = [](const std::optional<std::int64_t>& n) { return n ? json(*n) : json(); };
  json rows = json::array();
  for (const PowerRow& r : power.rows)
    rows.push_back({{"difference", r.difference},
                    {"seeds", seeds(r.pairs)},
                    {"seeds_95", {seeds(r.at_low), seeds(r.at_high)}}});
  return rows;
}

json difference_json(const Comparison& c, const VariantDifference& d, const PowerTable& power) {
  const PairedStatistics& s = d.verdict.statistics;
  json out{{"variant", c.variants[d.variant].name},
           {"baseline", c.variants.front().name},
           {"verdict", name_of(d.verdict.kind)},
           {"sentence", d.verdict.sentence},
           {"pairs", s.pairs},
           {"map50_by_seed", json::array()}};
  for (const std::optional<double>& one : d.by_seed)
    out["map50_by_seed"].push_back(one ? json(*one) : json());
  if (d.resampled) out["over_images_95"] = interval_json(d.resampled->over_images);
  if (s.pairs > 0) out["mean"] = s.mean;
  if (s.pairs < 2) return out;
  out["deviation"] = s.deviation;
  out["over_seeds_95"] = interval_json(s.confidence);
  if (d.resampled) out["over_seeds_and_images_95"] = interval_json(d.resampled->over_both);
  out["p"] = d.verdict.p_value;
  out["adjusted_p"] = d.verdict.adjusted_p;
  if (std::isfinite(s.p_value)) out["sign_flip_p"] = s.p_value;
  out["lowest_sign_flip_p"] = smallest_sign_flip_p(s.pairs);
  out["seeds_needed"] = power_json(power);
  return out;
}

json choice_json(const TuningChoice& t, const Comparison& c) {
  json groups = json::array();
  for (const TunedGroup& g : t.groups) {
    json group{{"value", g.value}, {"variants", json::array()}, {"edges", json::array()}};
    for (const std::size_t v : g.variants) group["variants"].push_back(c.variants[v].name);
    if (g.chosen) group["chosen"] = c.variants[*g.chosen].name, group["mean_map50"] = g.mean;
    for (const GridEdge& e : g.edges)
      group["edges"].push_back({{"key", e.key},
                                {"value", e.value},
                                {"which", e.largest ? "largest" : "smallest"},
                                {"add", e.beyond}});
    groups.push_back(std::move(group));
  }
  return {{"key", t.key},
          {"equal_budgets", t.equal_budgets()},
          {"groups", groups},
          {"sentences", choice_texts(t, c)}};
}

// Without the columns that no row has a figure for, such as intervals of a single seed.
Cells without_empty_columns(Cells cells) {
  if (cells.size() < 2) return cells;
  for (std::size_t k = cells.front().size(); k-- > 1;)
    if (std::all_of(cells.begin() + 1, cells.end(),
                    [&](const std::vector<std::string>& row) { return row[k] == "-"; }))
      for (std::vector<std::string>& row : cells)
        row.erase(row.begin() + static_cast<std::ptrdiff_t>(k));
  return cells;
}

}  // namespace

Cells variants_cells(const Comparison& c, const ComparisonStatistics& s) {
  Cells cells{{"mAP@0.5 in %", "n", "mean", "sd", "95 % interval"}};
  for (const std::uint64_t seed : c.seeds) cells.front().push_back(fmt::format("seed {}", seed));
  for (std::size_t v = 0; v < c.variants.size(); ++v) {
    const SampleSummary& map = s.variants[v][metric_of("map50")];
    const std::size_t n = map.values.size();
    std::vector<std::string> row{
        c.variants[v].name, std::to_string(n), n > 0 ? percent(map.mean) : "-",
        n > 1 ? percent(map.deviation) : "-", interval_text(map.confidence, percent)};
    for (std::size_t seed = 0; seed < c.seeds.size(); ++seed) {
      const ComparedRun& r = c.run(v, seed);
      row.push_back(r.has_finished() ? percent(r.at50.mean_average_precision) : name_of(r.state));
    }
    cells.push_back(std::move(row));
  }
  return without_empty_columns(std::move(cells));
}

Cells differences_cells(const Comparison& c, const ComparisonStatistics& s) {
  if (s.differences.empty()) return {};
  Cells cells{{"points of mAP@0.5 above " + c.variants.front().name, "pairs", "mean", "sd",
               "95 % over seeds", "over seeds and images", "p (t)", "p (Holm)", "p (sign-flip)",
               "seeds needed for 1 point", "for 2 points", "for 3 points"}};
  for (std::size_t k = 0; k < s.differences.size(); ++k) {
    const VariantDifference& d = s.differences[k];
    const PairedStatistics& p = d.verdict.statistics;
    std::vector<std::string> row{c.variants[d.variant].name, std::to_string(p.pairs),
                                 p.pairs > 0 ? points(p.mean) : "-"};
    if (p.pairs > 1)
      for (std::string& cell : spread_cells(d, s.power[k])) row.push_back(std::move(cell));
    row.resize(cells.front().size(), "-");
    cells.push_back(std::move(row));
  }
  return without_empty_columns(std::move(cells));
}

Cells metrics_cells(const Comparison& c, const ComparisonStatistics& s) {
  Cells cells{{"mean ± sd"}};
  for (const ComparedVariant& v : c.variants) cells.front().push_back(v.name);
  for (const RunMetric& m : kRunMetrics) {
    std::vector<std::string> row{m.name};
    bool any = false;
    for (const VariantStatistics& v : s.variants)
      row.push_back(to_text(m.unit, v[m])), any |= !v[m].values.empty();
    if (any) cells.push_back(std::move(row));
  }
  return cells;
}

std::string state_text(const ComparedRun& r) {
  return r.state == RunState::diverged ? fmt::format("diverged at iteration {}", r.diverged_at)
                                       : name_of(r.state);
}

std::string keys_text(const ComparedVariant& v) {
  return v.overrides.empty() ? "the cfg as it is" : joined(v.overrides);
}

std::string comparison_table(const Comparison& c, const ComparisonStatistics& s) {
  std::string text = TextTable(variants_cells(c, s)).text() + "\n";
  if (!s.differences.empty()) text += TextTable(differences_cells(c, s)).text() + "\n";
  return text + TextTable(metrics_cells(c, s)).text() + unfinished_text(c);
}

std::string comparison_json(const Comparison& c, const ComparisonStatistics& s) {
  json out{{"data", c.data.string()},
           {"cfg", c.cfg.string()},
           {"seeds", c.seeds},
           {"iterations", c.iterations},
           {"training_images", c.training_images},
           {"test_images", c.images.size()},
           {"objects", c.objects},
           {"evaluated_on", evaluated_on(c)},
           {"purpose", name_of(c.purpose)},
           {"may_claim", may_claim(c)},
           {"lift_off_of", s.lift_off_of_map ? "map" : "loss"},
           {"variants", json::array()},
           {"runs", json::array()},
           {"differences", json::array()}};
  if (c.choice) out["choice"] = choice_json(*c.choice, c);
  for (std::size_t v = 0; v < c.variants.size(); ++v)
    out["variants"].push_back(variant_json(c.variants[v], s.variants[v]));
  for (std::size_t i = 0; i < c.runs.size(); ++i)
    out["runs"].push_back(run_json(c, c.runs[i], s.runs[i]));
  for (std::size_t k = 0; k < s.differences.size(); ++k)
    out["differences"].push_back(difference_json(c, s.differences[k], s.power[k]));
  return dump_json(out, 2, InvalidUtf8::replace) + "\n";
}

std::string comparison_csv_header() {
  std::vector<std::string> head{"variant", "seed", "keys", "state", "diverged_at", "reason"};
  for (const RunMetric& m : kRunMetrics) head.emplace_back(m.key);
  head.emplace_back("command");
  return csv_line(head);
}

std::string comparison_csv(const Comparison& c, const ComparisonStatistics& s) {
  std::string text = comparison_csv_header();
  for (std::size_t i = 0; i < c.runs.size(); ++i) {
    const ComparedRun& r = c.runs[i];
    const bool diverged = r.state == RunState::diverged;
    std::vector<std::string> row{c.variants[r.variant].name,
                                 std::to_string(r.seed),
                                 joined(c.variants[r.variant].overrides),
                                 name_of(r.state),
                                 diverged ? std::to_string(r.diverged_at) : "",
                                 r.reason};
    for (const RunMetric& m : kRunMetrics) {
      const double value = s.runs[i].*m.value;
      row.push_back(std::isfinite(value) ? fmt::format("{}", value) : "");
    }
    row.push_back(r.command);
    text += csv_line(row);
  }
  return text;
}

}  // namespace darknet
