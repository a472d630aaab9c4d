#include <algorithm>

#include "core/error.h"
#include "core/file.h"
#include "core/input.h"
#include "core/json.h"
#include "core/text.h"
#include "dataset/data_set_files.h"
#include "report/comparison_files.h"
#include "report/gain.h"

namespace darknet {
namespace {
namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::uint64_t kMaxResults = 1u << 28;  // bytes

// The runs of one variant of a results.json, one for each of its seeds.
VariantRuns runs_of(const json& results, const std::string& variant) {
  VariantRuns all{.name = variant, .runs = {}};
  for (const json& seed : results.at("seeds")) {
    RunOutcome outcome = RunOutcome::missing();
    for (const json& run : results.at("runs"))
      if (run.at("variant") == variant && run.at("seed") == seed) {
        if (run.at("state") == "diverged") outcome = RunOutcome::diverged();
        if (run.at("state") == "finished")
          outcome = RunOutcome::finished(run.at("map50").get<double>());
      }
    all.runs.push_back(outcome);
  }
  return all;
}

SampleSummary summary_of(const VariantRuns& runs) {
  std::vector<double> values;
  for (const RunOutcome& r : runs.runs)
    if (r.has_finished()) values.push_back(r.value());
  return summarize(values);
}

double ratio_of(const json& results, const std::string& baseline) {
  std::vector<double> ratios;
  for (const json& run : results.at("runs"))
    if (run.at("variant") == baseline && run.contains("negatives_per_positive"))
      ratios.push_back(run.at("negatives_per_positive").get<double>());
  return ratios.empty() ? 0 : mean_of(ratios);
}

bool is_of_seeds(const Verdict& v) {
  return v.kind != VerdictKind::too_few_seeds && v.kind != VerdictKind::diverged;
}

// A variant of one folder, and the name that joins it with those of others: tuning may choose other
// keys for each data set.
struct NamedVariant {
  std::string name, series;
  std::string chosen() const { return name == series ? "" : name; }
  std::string text() const { return name == series ? name : cat(series, " (", name, ")"); }
};

struct FolderVariants {
  std::vector<NamedVariant> all;
  std::string chosen_for;  // the keys for each value of which tuning chose: "obj_loss"; "": none
};

FolderVariants variants_of(const json& results) {
  FolderVariants variants;
  for (const json& v : results.at("variants"))
    if (const std::string group = v.value("group", ""); !group.empty())
      variants.chosen_for = group.substr(0, group.find('='));
  for (const json& v : results.at("variants")) {
    const auto name = v.at("name").get<std::string>();
    const std::string group = v.value("group", "");
    if (!group.empty())
      variants.all.push_back({name, group.substr(std::min(group.find('=') + 1, group.size()))});
    else
      variants.all.push_back({name, variants.chosen_for.empty() ? name : name + ", not tuned"});
  }
  return variants;
}

// Figures by which variants were chosen are too good to be claimed.
void refuse_tuning(const json& results, const fs::path& folder) {
  if (results.contains("choice") || results.value("purpose", "") == "tuning")
    fail("these are the figures by which a tuning chose its variants; give ",
         printable((folder / kConfirmFolder).string()),
         ", which detector sweep -tune -confirm leaves, instead");
}

std::int64_t missing_of(const VariantRuns& runs) {
  return std::count_if(runs.runs.begin(), runs.runs.end(),
                       [](const RunOutcome& r) { return !r.has_finished() && !r.has_diverged(); });
}

// Baseline first.
std::vector<NamedVariant> variants_from(const json& results, const std::string& baseline) {
  std::vector<NamedVariant> all = variants_of(results).all;
  const auto place = std::find_if(all.begin(), all.end(),
                                  [&](const NamedVariant& v) { return v.series == baseline; });
  if (place == all.end()) {
    std::string known;
    for (const NamedVariant& v : all) known += (known.empty() ? "" : "; ") + shown(v.text());
    fail("there is no '", shown(baseline),
         "' there; give one that every folder has as -baseline: ", known);
  }
  std::rotate(all.begin(), place, place + 1);
  return all;
}

std::string name_of_folder(const fs::path& folder) {
  const fs::path path = whole_path(folder / "").parent_path();
  return path.filename() == kConfirmFolder
             ? (path.parent_path().filename() / kConfirmFolder).string()
             : path.filename().string();
}

GainPoint point_of(const json& results, const fs::path& folder, const std::string& baseline) {
  refuse_tuning(results, folder);
  const std::vector<NamedVariant> variants = variants_from(results, baseline);
  std::vector<VariantRuns> runs;
  for (const NamedVariant& v : variants) runs.push_back(runs_of(results, v.name));
  GainPoint point{.folder = folder,
                  .data = results.at("data").get<std::string>(),
                  .cfg = results.at("cfg").get<std::string>(),
                  .chosen = variants.front().chosen(),
                  .name = name_of_folder(folder),
                  .ratio = ratio_of(results, variants.front().name),
                  .baseline = summary_of(runs.front())};
  if (point.baseline.values.empty() || !(point.ratio > 0))
    fail("no run of '", shown(baseline),
         "' has finished there; -baseline names another variant, which every folder needs");
  for (const VariantRuns& one : runs) point.missing += missing_of(one);
  const std::vector<VariantRuns> others(runs.begin() + 1, runs.end());
  const std::vector<Verdict> found = verdicts(runs.front(), others);
  for (std::size_t i = 0; i < others.size(); ++i)
    point.gains.push_back({.variant = variants[i + 1].series,
                           .chosen = variants[i + 1].chosen(),
                           .verdict = found[i],
                           .map50 = summary_of(others[i]),
                           .may_claim = point.missing == 0 && is_of_seeds(found[i])});
  return point;
}

json read_results(const fs::path& file) {
  if (!is_present(file))
    fail_at({file.parent_path().string(), 0},
            "no comparison or sweep: it has no results.json; detector compare and detector sweep "
            "make such folders");
  json results = parse_json(read_file(file, kMaxResults), false);
  if (!results.is_object())
    fail_at({file.string(), 0}, "this is not a results.json of a comparison or sweep");
  return results;
}

// All claims of the page are one family.
void adjust(GainStudy& study) {
  std::vector<double> p;
  for (const GainPoint& point : study.points)
    for (const VariantGain& g : point.gains) p.push_back(g.may_claim ? g.verdict.p_value : 1);
  const std::vector<double> adjusted = holm_adjusted(p);
  for (std::size_t i = 0; GainPoint & point : study.points)
    for (VariantGain& g : point.gains) g.adjusted_p = adjusted[i++];
}

std::string choice_of(const std::string& keys) {
  return keys.empty() ? "as they were given" : cat("chosen by tuning for each ", printable(keys));
}

// Series of one name would be of different things.
void require_same_choice(const std::string& keys, const std::string& of_first,
                         const fs::path& first) {
  if (keys != of_first)
    fail("its variants are ", choice_of(keys), ", those of ", printable(first.string()), " ",
         choice_of(of_first), "; give folders of one kind");
}

}  // namespace

GainStudy read_gain_study(const std::vector<fs::path>& folders, const std::string& baseline) {
  GainStudy study{.baseline = baseline};
  std::string chosen_for;
  for (const fs::path& folder : folders) {
    const fs::path file = folder / "results.json";
    const json results = read_results(file);
    try {
      const FolderVariants variants = variants_of(results);
      if (study.points.empty()) chosen_for = variants.chosen_for;
      require_same_choice(variants.chosen_for, chosen_for, folders.front());
      if (study.baseline.empty()) study.baseline = variants.all.at(0).series;
      study.points.push_back(point_of(results, folder, study.baseline));
    } catch (const json::exception&) {
      fail_at(
          {file.string(), 0},
          "this is not a results.json of a comparison or sweep, or of an older program; the same "
          "call with -collect writes it again");
    } catch (const Error& e) {
      fail_at({file.string(), 0}, e.what());
    }
  }
  std::stable_sort(study.points.begin(), study.points.end(),
                   [](const auto& a, const auto& b) { return a.ratio < b.ratio; });
  for (const GainPoint& p : study.points)
    for (const VariantGain& g : p.gains)
      if (std::find(study.variants.begin(), study.variants.end(), g.variant) ==
          study.variants.end())
        study.variants.push_back(g.variant);
  adjust(study);
  return study;
}

}  // namespace darknet
