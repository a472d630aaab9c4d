// What tuning chooses, what it refuses to take for an optimum, and what the protocol as a whole
// claims where there is nothing to find.
#include "report/tuning_choice.h"

#include <gtest/gtest.h>

#include "comparison_samples.h"
#include "core/json.h"
#include "eval/normal_numbers.h"
#include "report/comparison_files.h"
#include "report/comparison_page.h"
#include "report/comparison_tables.h"
#include "temporary_folder.h"

namespace darknet::test {
namespace {

using testing_files::holds;

constexpr double kDiverged = -1, kMissing = -2;

struct Tried {
  std::string loss;
  std::vector<std::string> keys;
  std::vector<double> maps;  // by seed
};

Comparison tuning_of(const std::vector<Tried>& tried) {
  Comparison c{.purpose = Purpose::tuning, .data = "a.data", .cfg = "a.cfg", .names = {"thing"}};
  for (std::uint64_t s = 1; s <= tried.front().maps.size(); ++s) c.seeds.push_back(s);
  for (std::size_t v = 0; v < tried.size(); ++v) {
    ComparedVariant variant{cat(tried[v].loss, v), {"yolo.*.obj_loss=" + tried[v].loss}};
    for (const std::string& key : tried[v].keys) variant.overrides.push_back("yolo.*." + key);
    c.variants.push_back(std::move(variant));
    for (std::size_t s = 0; s < c.seeds.size(); ++s) {
      const double map = tried[v].maps[s];
      ComparedRun run{.variant = v, .seed = c.seeds[s]};
      run.state = map == kMissing    ? RunState::missing
                  : map == kDiverged ? RunState::diverged
                                     : RunState::finished;
      run.at50.mean_average_precision = map;
      run.at50.classes.resize(1);
      c.runs.push_back(std::move(run));
    }
  }
  return c;
}

TuningChoice chosen_of(
    const Comparison& c, const IsSound& sound = [](const auto&) { return true; }) {
  std::vector<std::string> groups;
  for (const ComparedVariant& v : c.variants)
    groups.push_back(v.overrides.front().substr(v.overrides.front().find('=') + 1));
  return choose_variants(c, "yolo.*.obj_loss", groups, sound);
}

std::string text_of(const TuningChoice& t, const Comparison& c) {
  std::string all;
  for (const std::string& text : choice_texts(t, c)) all += text + "\n";
  return all;
}

TEST(TuningChoice, IsTheBestMeanOfEachLoss) {
  const Comparison c = tuning_of({{"ce", {"a=x"}, {.5, .6}},
                                  {"focal", {"a=x"}, {.9, .1}},
                                  {"ce", {"a=y"}, {.56, .56}},
                                  {"focal", {"a=y"}, {.5, .5}}});
  const TuningChoice t = chosen_of(c);
  ASSERT_EQ(t.groups.size(), 2u);
  EXPECT_EQ(t.key, "obj_loss");
  EXPECT_EQ(t.groups[0].chosen, 2u);
  EXPECT_NEAR(t.groups[0].mean, .56, 1e-12);
  EXPECT_EQ(t.groups[1].chosen, 1u) << "of equal means the first";
  EXPECT_TRUE(t.equal_budgets());
  EXPECT_FALSE(t.at_an_edge()) << "words have no edge";
  EXPECT_TRUE(holds(text_of(t, c),
                    "obj_loss=ce: ce2 is chosen of 2 variants with 2 seeds each, "
                    "mean mAP@0.5 56.0 % on the tuning split."));
  EXPECT_FALSE(holds(text_of(t, c), "Budgets differ"));
}

TEST(TuningChoice, SaysWhereBudgetsDiffer) {
  const Comparison c =
      tuning_of({{"ce", {}, {.5}}, {"focal", {"a=x"}, {.6}}, {"focal", {"a=y"}, {.4}}});
  const TuningChoice t = chosen_of(c);
  EXPECT_FALSE(t.equal_budgets());
  EXPECT_TRUE(holds(text_of(t, c),
                    "Budgets differ: obj_loss=ce had 1 variant, obj_loss=focal had "
                    "2 variants."))
      << text_of(t, c);
}

TEST(TuningChoice, WaitsForAllRunsAndPassesOverWhatDiverged) {
  const Comparison open = tuning_of({{"ce", {}, {.5, kMissing}}, {"focal", {}, {.6, .6}}});
  EXPECT_FALSE(chosen_of(open).groups[1].chosen);
  EXPECT_TRUE(holds(text_of(chosen_of(open), open), "1 run is missing"));
  const Comparison ended = tuning_of({{"ce", {"a=x"}, {.9, kDiverged}},
                                      {"ce", {"a=y"}, {.5, .5}},
                                      {"focal", {}, {kDiverged, kDiverged}}});
  const TuningChoice t = chosen_of(ended);
  EXPECT_EQ(t.groups[0].chosen, 1u);
  EXPECT_FALSE(t.groups[1].chosen);
  EXPECT_TRUE(holds(text_of(t, ended), "1 variant with a run that diverged could not be chosen"));
  EXPECT_TRUE(holds(text_of(t, ended), "obj_loss=focal: none of 1 variant"));
}

TEST(TuningChoice, IsNoneWhereNothingIsFound) {
  const Comparison c = tuning_of({{"focal", {"obj_gamma=1"}, {0, .0004}},
                                  {"focal", {"obj_gamma=2"}, {0, 0}},
                                  {"ce", {"obj_gamma=1"}, {0, 0}},
                                  {"ce", {"obj_gamma=2"}, {0, .01}}});
  const TuningChoice t = chosen_of(c);
  EXPECT_FALSE(t.groups[0].chosen);
  EXPECT_TRUE(t.groups[0].nothing_found);
  EXPECT_TRUE(t.groups[0].edges.empty());
  EXPECT_EQ(t.groups[1].chosen, 3u);
  EXPECT_FALSE(t.groups[1].nothing_found);
  const std::string said =
      "With obj_loss=focal nothing can be chosen, since no variant that finished reaches a "
      "mAP@0.5 of 0.1 % on the tuning split";
  EXPECT_TRUE(holds(text_of(t, c), said + "; train longer")) << text_of(t, c);
  const Comparison diverged =
      tuning_of({{"focal", {"obj_gamma=1"}, {0, 0}}, {"focal", {"obj_gamma=2"}, {.5, kDiverged}}});
  const std::string text = text_of(chosen_of(diverged), diverged);
  EXPECT_TRUE(holds(text, said + " (1 variant with a run that diverged); train longer")) << text;
}

// The values of one key, of which the one at `best` wins.
std::vector<GridEdge> edges_of(
    const std::string& key, const std::vector<std::string>& values, std::size_t best,
    const IsSound& sound = [](const auto&) { return true; }) {
  std::vector<Tried> tried;
  for (std::size_t i = 0; i < values.size(); ++i)
    tried.push_back({"focal", {key + "=" + values[i]}, {i == best ? .9 : .5}});
  const Comparison c = tuning_of(tried);
  const TuningChoice t = chosen_of(c, sound);
  EXPECT_EQ(t.groups.front().chosen, best);
  return t.groups.front().edges;
}

void expect_edge(const std::vector<GridEdge>& edges, const std::string& value, bool largest,
                 const std::string& beyond) {
  ASSERT_EQ(edges.size(), 1u) << value;
  EXPECT_EQ(edges[0].value, value);
  EXPECT_EQ(edges[0].largest, largest);
  EXPECT_EQ(edges[0].beyond, beyond);
}

TEST(TuningChoice, AnOptimumAtTheEdgeIsFoundAndWhatToTryNext) {
  EXPECT_TRUE(edges_of("obj_gamma", {".5", "1", "2"}, 1).empty()) << "not at an edge";
  expect_edge(edges_of("obj_gamma", {"2", ".5", "1"}, 1), ".5", false, "0.25");
  expect_edge(edges_of("obj_gamma", {"2", ".5", "1"}, 0), "2", true, "4");
  expect_edge(edges_of("x", {"10", "12", "14"}, 2), "14", true, "16");  // steps, not factors
  expect_edge(edges_of("x", {"-1", "0"}, 0), "-1", false, "-2");
  expect_edge(edges_of("x", {"1e-4", "1e-3"}, 0), "1e-4", false, "1e-05");
  expect_edge(edges_of("w", {"auto*.5", "auto", "auto*2"}, 2), "auto*2", true, "auto*4");
  EXPECT_TRUE(edges_of("w", {"auto*.5", "auto", "auto*2"}, 1).empty());
  EXPECT_TRUE(edges_of("w", {"auto", ".01", ".1"}, 0).empty()) << "its only multiple";
  EXPECT_TRUE(edges_of("x", {"1", "1.0"}, 0).empty()) << "one value";
  EXPECT_TRUE(edges_of("x", {"word", "1"}, 1).empty()) << "the only number";
}

double value_in(const std::vector<std::string>& overrides) {
  return std::stod(overrides.back().substr(overrides.back().find('=') + 1));
}

TEST(TuningChoice, TheEndOfAKeysRangeIsNoEdge) {
  const IsSound at_least_0 = [](const auto& set) { return value_in(set) >= 0; };
  EXPECT_TRUE(edges_of("obj_gamma", {"0", "1", "2"}, 0, at_least_0).empty());
  expect_edge(edges_of("obj_gamma", {"1", "3", "5"}, 0, at_least_0), "1", false, "0.3333");
  const IsSound at_most_1 = [](const auto& set) { return value_in(set) <= 1; };
  expect_edge(edges_of("obj_alpha", {".5", ".7", ".9"}, 2, at_most_1), ".9", true, "1");
  EXPECT_TRUE(edges_of("obj_alpha", {".5", ".75", "1"}, 2, at_most_1).empty());
  const IsSound whole = [](const auto& set) {
    return value_in(set) == std::floor(value_in(set)) && value_in(set) >= 1;
  };
  expect_edge(edges_of("max", {"3", "10", "30"}, 0, whole), "3", false, "1");
  EXPECT_TRUE(edges_of("max", {"1", "10", "30"}, 0, whole).empty());
}

TEST(TuningChoice, WhatToTryNextIsWrittenSoThatKeysOfIntegersTakeIt) {
  const IsSound digits = [](const auto& set) {
    const std::string value = set.back().substr(set.back().find('=') + 1);
    return value.find_first_not_of("0123456789") == value.npos && value != "0";
  };
  expect_edge(edges_of("max_batches", {"10000", "20000"}, 1, digits), "20000", true, "40000");
  expect_edge(edges_of("max_batches", {"10001", "10003"}, 1, digits), "10003", true, "10005");
  expect_edge(edges_of("max_batches", {"1000000", "3000000"}, 0, digits), "1000000", false,
              "333300");
  // Four digits would be less than what was tried.
  const auto edges = edges_of("x", {"10000.25", "10000.5"}, 1);
  expect_edge(edges, "10000.5", true, "10000.75");
}

TEST(TuningChoice, AnEdgeIsOneOfItsOwnGroup) {
  // ce's best rate is its largest; focal tried a larger one.
  const Comparison c = tuning_of({{"ce", {"rate=1"}, {.5}},
                                  {"ce", {"rate=2"}, {.6}},
                                  {"focal", {"rate=1", "obj_gamma=3"}, {.5}},
                                  {"focal", {"rate=2", "obj_gamma=3"}, {.6}},
                                  {"focal", {"rate=4", "obj_gamma=3"}, {.5}}});
  const TuningChoice t = chosen_of(c);
  expect_edge(t.groups[0].edges, "2", true, "4");
  EXPECT_TRUE(t.groups[1].edges.empty());
  EXPECT_EQ(edges_text(t, c),
            "rate=2 of ce1 is the largest value tried with obj_loss=ce, so the optimum may lie "
            "beyond: add 4 to -vary rate.");
}

// --- the page ---

Comparison with_choice(Comparison c) {
  c.choice = chosen_of(c);
  return c;
}
Comparison tuned() {
  return with_choice(tuning_of({{"ce", {"rate=1"}, {.5, .5, .6}},
                                {"ce", {"rate=2"}, {.6, .6, .7}},
                                {"focal", {"rate=1"}, {.5, .5, .5}},
                                {"focal", {"rate=2"}, {.9, .9, .8}}}));
}
Comparison confirmed(const std::vector<double>& focal) {
  Comparison c = comparison_of({.50, .52, .54}, focal);
  c.purpose = Purpose::confirmation;
  c.variants[0].name = "ce1", c.variants[1].name = "focal3";  // what tuned() chooses
  return c;
}
std::string page_of(const Comparison& tuning, const Comparison* confirmation) {
  const ComparisonStatistics s = statistics_of(tuning);
  const PagePart part{tuning, s, {}};
  if (!confirmation) return tuning_page(part, nullptr, "again");
  const ComparisonStatistics of_confirmation = statistics_of(*confirmation);
  const PagePart other{*confirmation, of_confirmation, {}};
  return tuning_page(part, &other, "again");
}

TEST(TuningPage, ClaimsFromTheConfirmationAlone) {
  const Comparison tuning = tuned(), confirmation = confirmed({.53, .54, .58});
  const std::string page = page_of(tuning, &confirmation);
  const auto first = page.find("<h1>Confirmation: 2 variants with 3 seeds that tuning did not use"),
             second = page.find("<h1>Tuning: 4 variants with 3 seeds");
  ASSERT_TRUE(first != page.npos && second != page.npos && first < second) << page;
  EXPECT_TRUE(holds(page.substr(first, second - first), "focal3 is better than ce1"));
  for (const char* claim : {" is better than ", " is worse than ", "no difference is shown"})
    EXPECT_FALSE(holds(page.substr(second), claim)) << claim;
  EXPECT_FALSE(holds(page.substr(second, page.find("<h2>Terms") - second), "p (Holm)"));
  EXPECT_TRUE(holds(page.substr(second), "focal3 is chosen of 2 variants"));
  EXPECT_TRUE(holds(page.substr(second), "add 4 to -vary rate"));
  EXPECT_TRUE(holds(page.substr(second), "of the tuning split"));
  EXPECT_TRUE(holds(page_of(tuning, nullptr), "Nothing is confirmed yet"));
  const auto j = parse_json(comparison_json(tuning, statistics_of(tuning)));
  EXPECT_TRUE(j["differences"].empty());
  EXPECT_EQ(j["choice"]["groups"][1]["chosen"], "focal3");
  EXPECT_EQ(j["choice"]["groups"][1]["edges"][0]["add"], "4");
}

TEST(TuningPage, SaysThatTuningHasChangedItsChoice) {
  const std::string said = "tuning now chooses focal3, which is not confirmed";
  Comparison confirmation = confirmed({.53, .54, .58});
  EXPECT_FALSE(holds(page_of(tuned(), &confirmation), said));
  confirmation.variants[1].name = "focal2";
  EXPECT_TRUE(holds(page_of(tuned(), &confirmation), said));
}

TEST(TuningPage, AnUnfinishedConfirmationClaimsNothing) {
  const Comparison confirmation = confirmed({.53, .54, -1});
  const std::string page = page_of(tuned(), &confirmation);
  EXPECT_TRUE(holds(page, "There is no verdict before all 6 runs have ended")) << page;
  EXPECT_FALSE(holds(page, " is better than "));
  EXPECT_TRUE(statistics_of(confirmation).differences.empty());
}

using TuningReports = testing_files::InFolder;

TEST_F(TuningReports, HoldBothParts) {
  const Comparison tuning = tuned(), confirmation = confirmed({.53, .54, .58});
  std::filesystem::create_directories(folder_ / kConfirmFolder);
  const TuningStatistics found =
      write_tuning(tuning, &confirmation, {.folder = folder_, .command = "x", .images = 0});
  EXPECT_EQ(found.confirmation.value().differences.size(), 1u);
  for (const char* name : {"index.html", "table.txt", "results.json", "summary.csv",
                           "confirm/index.html", "confirm/table.txt", "confirm/results.json"})
    EXPECT_GT(std::filesystem::file_size(folder_ / name), 100u) << name;
}

// --- nothing to find ---

struct Null {
  int confirmed = 0, by_tuning_alone = 0;
};

// Two losses that do the same, each with so many variants that do the same too. Every seed moves
// all runs of it together, and each run by itself.
Null simulate(int experiments, std::size_t ce_variants, std::size_t focal_variants) {
  constexpr std::size_t kSeeds = 5;
  Null found;
  for (int k = 0; k < experiments; ++k) {
    NormalNumbers normal(11, static_cast<std::uint64_t>(k));
    const auto run = [&](double of_seed) { return .6 + of_seed + .015 * normal.next(); };
    std::vector<Tried> tried;
    for (std::size_t v = 0; v < ce_variants + focal_variants; ++v)
      tried.push_back({v < ce_variants ? "ce" : "focal", {}, std::vector<double>(kSeeds)});
    std::vector<double> fresh;
    for (std::size_t s = 0; s < kSeeds; ++s) {
      const double of_seed = .03 * normal.next();
      for (Tried& t : tried) t.maps[s] = run(of_seed);
      fresh.push_back(.03 * normal.next());
    }
    const TuningChoice t = chosen_of(tuning_of(tried));
    const auto claimed = [&](const auto& value) {
      VariantRuns ce{.name = "ce"}, focal{.name = "focal"};
      for (std::size_t s = 0; s < kSeeds; ++s) {
        ce.runs.push_back(RunOutcome::finished(value(*t.groups[0].chosen, s)));
        focal.runs.push_back(RunOutcome::finished(value(*t.groups[1].chosen, s)));
      }
      const VerdictKind kind = verdicts(ce, std::span(&focal, 1)).front().kind;
      return kind == VerdictKind::better || kind == VerdictKind::worse;
    };
    found.confirmed += claimed([&](std::size_t, std::size_t s) { return run(fresh[s]); });
    found.by_tuning_alone +=
        claimed([&](std::size_t v, std::size_t s) { return tried[v].maps[s]; });
  }
  return found;
}

// That the confirmation keeps its level is by construction: its figures are drawn anew, whatever
// was chosen. What tuning by itself would claim is not. A binomial of 2000 and .05 has mean 100 and
// standard deviation 9.75.
TEST(NullExperiment, IsConfirmedAsADifferenceInOneOfTwenty) {
  const Null equal = simulate(2000, 6, 6);
  EXPECT_NEAR(equal.confirmed, 100, 3 * 9.75);
  // Ten tries against one: figures that were chosen by themselves claim far too often, fresh ones
  // do not, whatever the budgets.
  const Null unequal = simulate(2000, 1, 10);
  EXPECT_NEAR(unequal.confirmed, 100, 3 * 9.75);
  EXPECT_GT(unequal.by_tuning_alone, 200);
}

}  // namespace
}  // namespace darknet::test
