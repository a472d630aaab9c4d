// The gain over a baseline against the imbalance, from folders of comparisons whose figures are
// worked out by hand.
#include "report/gain.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "cli_harness.h"
#include "comparison_samples.h"
#include "core/file.h"
#include "report/comparison_tables.h"
#include "temporary_folder.h"

namespace darknet::test {
namespace {
namespace fs = std::filesystem;
using testing_files::error_of;
using testing_files::holds;

class GainTest : public testing_files::InFolder {
 protected:
  // results.json as a comparison writes it; a value below 0: the run is missing.
  fs::path folder_of(const std::string& name, double ratio, const std::vector<double>& ce,
                     const std::vector<double>& focal,
                     Purpose purpose = Purpose::comparison) const {
    Comparison c = comparison_of(ce, focal);
    c.purpose = purpose;
    return folder_of(name, ratio, std::move(c));
  }
  fs::path folder_of(const std::string& name, double ratio, Comparison c) const {
    for (ComparedRun& r : c.runs) {
      r.negatives_per_positive = ratio;
      r.history.add(LoggedIteration{.iteration = 1});
    }
    file(name + "/results.json", comparison_json(c, statistics_of(c)));
    return folder_ / name;
  }
  // Differences 3, 2 and 4 points: 95 % are .516 to 5.484, p = .0351 (comparison_report_test.cpp).
  fs::path worked_out(const std::string& name, double ratio) const {
    return folder_of(name, ratio, {.50, .52, .54}, {.53, .54, .58});
  }
};

TEST_F(GainTest, APointHasItsRatioAndItsGain) {
  const GainStudy s = read_gain_study({worked_out("b", 15000), worked_out("a", 150)}, "");
  EXPECT_EQ(s.baseline, "ce");
  EXPECT_EQ(s.variants, (std::vector<std::string>{"focal"}));
  ASSERT_EQ(s.points.size(), 2u);
  EXPECT_EQ(s.points[0].name, "a");  // by imbalance
  EXPECT_DOUBLE_EQ(s.points[0].ratio, 150);
  EXPECT_NEAR(s.points[0].baseline.mean, .52, 1e-12);
  const VariantGain& g = s.points[1].gains.at(0);
  EXPECT_NEAR(g.verdict.statistics.mean, .03, 1e-12);
  EXPECT_NEAR(g.verdict.interval.low, .00516, 1e-5);
  EXPECT_NEAR(g.verdict.p_value, .0351, 1e-4);
  EXPECT_NEAR(g.adjusted_p, .0702, 1e-4);  // of the two gains of the page
}

// What one folder shows, two together need not.
TEST_F(GainTest, ClaimsAreOfAllFoldersTogether) {
  const fs::path a = worked_out("a", 150), b = worked_out("b", 15000);
  EXPECT_TRUE(holds(gain_text(read_gain_study({a}, "")),
                    "1 of 1 difference is shown to be above ce and 0 below it"));
  EXPECT_TRUE(holds(gain_text(read_gain_study({a, b}, "")),
                    "0 of 2 differences are shown to be above ce and 0 below it"));
  const fs::path few = folder_of("few", 10, {.5, .5}, {.9, -1});
  const GainStudy s = read_gain_study({few}, "");
  EXPECT_EQ(s.points[0].gains[0].adjusted_p, 1);
  EXPECT_TRUE(holds(gain_text(s), "Of 1 no claim is made"));
}

TEST_F(GainTest, NothingIsClaimedBeforeAllRunsHaveEnded) {
  const std::vector<double> ce{.50, .52, .54, .50}, focal{.53, .54, .58, -1};
  for (const Purpose purpose : {Purpose::comparison, Purpose::confirmation}) {
    const GainStudy s = read_gain_study({folder_of("part", 10, ce, focal, purpose)}, "");
    EXPECT_EQ(s.points[0].missing, 1);
    EXPECT_LT(s.points[0].gains[0].verdict.p_value, .05);
    EXPECT_EQ(s.points[0].gains[0].adjusted_p, 1);
    const std::string said = gain_text(s);
    EXPECT_TRUE(holds(said, "0 of 1 difference is shown")) << said;
    EXPECT_TRUE(holds(said, "In part 1 run is missing: the call that made it finishes it")) << said;
    EXPECT_EQ(gain_chart(s).panels.at(0).series.size(), 3u) << "no grey dot";
  }
}

// Its figures are those that its variants were chosen by.
TEST_F(GainTest, ATuningIsRefusedAndItsConfirmationIsNot) {
  const std::vector<double> ce{.50, .52, .54}, focal{.53, .54, .58};
  const fs::path tuning = folder_of("sweep", 10, ce, focal, Purpose::tuning);
  const std::string said = error_of([&] { read_gain_study({tuning}, ""); });
  EXPECT_TRUE(holds(said, "sweep/results.json") && holds(said, "sweep/confirm")) << said;
  const fs::path confirm = folder_of("sweep/confirm", 10, ce, focal, Purpose::confirmation);
  EXPECT_TRUE(holds(gain_text(read_gain_study({confirm}, "")), "1 of 1 difference is shown"));
}

// Tuning chooses other keys for each data set; it is still the loss that is compared.
TEST_F(GainTest, WhatTuningChoseIsJoinedByWhatItWasChosenFor) {
  const auto confirmation = [&](const std::string& name, double ratio, const char* suffix) {
    Comparison c = comparison_of({.50, .52, .54}, {.53, .54, .58});
    c.purpose = Purpose::confirmation;
    for (ComparedVariant& v : c.variants) v.group = "obj_loss=" + v.name, v.name += suffix;
    c.variants.push_back({.name = "ce", .overrides = {}, .group = {}});
    for (const std::uint64_t seed : c.seeds) c.runs.push_back({.variant = 2, .seed = seed});
    return folder_of(name, ratio, std::move(c));
  };
  const fs::path b = confirmation("b/confirm", 15000, "-1"),
                 a = confirmation("a/confirm", 150, "-4");
  const GainStudy s = read_gain_study({b, a}, "");
  EXPECT_EQ(s.baseline, "ce");
  EXPECT_EQ(s.variants, (std::vector<std::string>{"focal", "ce, not tuned"}));
  EXPECT_EQ(s.points[0].name, "a/confirm");
  EXPECT_EQ(s.points[0].chosen, "ce-4");
  EXPECT_EQ(s.points[0].missing, 3);
  EXPECT_EQ(s.points[1].gains[0].chosen, "focal-1");
  EXPECT_NEAR(s.points[1].gains[0].verdict.statistics.mean, .03, 1e-12);
  EXPECT_TRUE(s.points[1].gains[1].map50.values.empty());
  const std::string page = gain_page(s, folder_, "x");
  EXPECT_TRUE(holds(page, "<td>52.00 (ce-4)</td><td>focal (focal-4)</td>")) << page;
  EXPECT_TRUE(holds(error_of([&] { read_gain_study({a}, "ce-4"); }),
                    "-baseline: ce (ce-4); focal (focal-4); ce, not tuned (ce)"));
  EXPECT_TRUE(holds(gain_csv(s), ",150,ce,ce-4,0.52,focal,focal-4,")) << gain_csv(s);
}

TEST_F(GainTest, TheChartHasALogarithmicAxisAndIntervals) {
  const GainStudy s = read_gain_study({worked_out("a", 150), worked_out("b", 15000)}, "");
  const Panel p = gain_chart(s).panels.at(0);
  EXPECT_TRUE(p.log_x);
  ASSERT_EQ(p.series.size(), 3u);  // line, marks, zero
  EXPECT_EQ(p.series[1].mark, Series::Mark::ranges);
  EXPECT_EQ(p.series[1].x, (std::vector<double>{150, 15000}));
  EXPECT_NEAR(p.series[1].y[0], 3, 1e-9);
  EXPECT_NEAR(p.series[1].low[0], .516, 1e-3);
  EXPECT_NEAR(p.series[1].high[0], 5.484, 1e-3);
  EXPECT_EQ(p.series[2].y, (std::vector<double>{0, 0}));
  EXPECT_TRUE(holds(p.note, "need not be a claim"));
  const Panel shown = gain_chart(read_gain_study({worked_out("a", 150)}, "")).panels.at(0);
  ASSERT_EQ(shown.series.size(), 4u);  // alone it is a claim, and has a dot of its own
  EXPECT_EQ(shown.series[2].mark, Series::Mark::intervals);
  EXPECT_EQ(shown.series[2].low.size(), shown.series[2].x.size());  // else it is not drawn
  EXPECT_EQ(shown.series[2].x, shown.series[1].x);
  EXPECT_EQ(shown.series[2].y, shown.series[1].y);
  const Panel values = gain_chart(s).panels.at(1);
  EXPECT_NEAR(values.series.back().y[0], 52, 1e-9);  // the baseline
  EXPECT_EQ(values.series.back().name, "ce");
}

TEST_F(GainTest, ManyVariantsTakeSeveralPanels) {
  GainStudy s = read_gain_study({worked_out("a", 150)}, "");
  const VariantGain one = s.points[0].gains[0];
  s.points[0].gains.clear(), s.variants.clear();
  for (int k = 0; k < 9; ++k) {
    s.variants.push_back(cat("v", k));
    s.points[0].gains.push_back(one), s.points[0].gains.back().variant = cat("v", k);
  }
  const Chart chart = gain_chart(s);
  ASSERT_EQ(chart.panels.size(), 4u);
  EXPECT_TRUE(holds(chart.panels[2].title, "(2 of 2)"));
  EXPECT_EQ(chart.panels[2].series.at(1).name, "v7");
  const std::vector<Series>& all = chart.panels[0].series;
  EXPECT_LT(all.at(1).x[0], all.at(3).x[0]);  // apart
}

TEST_F(GainTest, AVariantThatIsFarAwayHasAPanelOfItsOwn) {
  GainStudy s = read_gain_study({worked_out("a", 150)}, "");
  VariantGain far = s.points[0].gains[0];
  far.variant = "far";
  for (double& difference : far.verdict.runs.differences) difference -= .5;
  s.variants.insert(s.variants.begin(), "far");
  s.points[0].gains.push_back(far);
  const Chart chart = gain_chart(s);
  ASSERT_EQ(chart.panels.size(), 4u);
  EXPECT_EQ(chart.panels[0].series.at(1).name, "focal");
  EXPECT_EQ(chart.panels[2].series.at(1).name, "far");
}

TEST_F(GainTest, AnyVariantMayBeTheBaseline) {
  const GainStudy s = read_gain_study({worked_out("a", 150)}, "focal");
  EXPECT_EQ(s.variants, (std::vector<std::string>{"ce"}));
  EXPECT_NEAR(s.points[0].gains[0].verdict.statistics.mean, -.03, 1e-12);
}

TEST_F(GainTest, SaysWhatIsWrongWithAFolder) {
  const fs::path good = worked_out("a", 150);
  const auto said = [&](const fs::path& folder, const std::string& baseline = "") {
    return error_of([&] { read_gain_study({good, folder}, baseline); });
  };
  fs::create_directory(folder_ / "other");
  for (const char* none : {"none", "other"})
    EXPECT_EQ(said(folder_ / none),
              (folder_ / none).string() +
                  ": no comparison or sweep: it has no results.json; detector compare and detector "
                  "sweep make such folders");
  file("text/results.json", "text");
  EXPECT_TRUE(holds(said(folder_ / "text"), "not a results.json of a comparison"));
  file("other/results.json", R"({"variants":[{"name":3}]})");
  EXPECT_TRUE(holds(said(folder_ / "other"), "not a results.json of a comparison"));
  file("wrong/results.json", "[1]");
  EXPECT_TRUE(holds(said(folder_ / "wrong"), "not a results.json of a comparison"));
  EXPECT_TRUE(holds(said(good, "x"),
                    "there is no 'x' there; give one that every folder has as "
                    "-baseline: ce; focal"));
  Comparison chosen = comparison_of({.5, .5}, {.5, .5});
  for (ComparedVariant& v : chosen.variants) v.group = "obj_loss,obj_gamma=" + v.name;
  EXPECT_TRUE(holds(said(folder_of("chosen", 10, chosen)),
                    "its variants are chosen by tuning for each obj_loss,obj_gamma, those of " +
                        good.string() + " as they were given"));
  const fs::path empty = folder_of("empty", 10, {-1}, {.5});
  EXPECT_TRUE(holds(said(empty), "no run of 'ce' has finished there; -baseline"));
}

TEST_F(GainTest, TheFilesHoldTheSameFigures) {
  const GainStudy s = read_gain_study({worked_out("a", 150), worked_out("b", 15000)}, "");
  make_folder(folder_ / "out");
  file("a/index.html", "<!DOCTYPE html>");
  for (int again = 0; again < 2; ++again) {
    EXPECT_NO_THROW(require_writable_gain(folder_ / "out"));
    write_gain(s, folder_ / "out", "x <y>");
  }
  const auto text_of = [&](const char* name) {
    std::ifstream in(folder_ / "out" / name);
    return std::string(std::istreambuf_iterator<char>(in), {});
  };
  const std::string csv = text_of("summary.csv"), page = text_of("index.html");
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 3);
  EXPECT_TRUE(holds(csv, "/a,x.data,x.cfg,150,ce,,")) << csv;
  EXPECT_TRUE(holds(csv, cat(",focal,,", fmt::format("{}", s.points[0].gains[0].map50.mean), ",",
                             name_of(VerdictKind::better), ",3,")))
      << csv;
  EXPECT_TRUE(holds(page, "<td>+3.00</td><td>+0.52 to +5.48</td><td>0.035</td><td>0.070</td>"));
  EXPECT_TRUE(holds(page, "<a href=\"../a/index.html\">a</a>"));
  EXPECT_TRUE(holds(page, "<a href=\"../b/results.json\">b</a>"));  // it has no page
  EXPECT_TRUE(holds(page, "x &lt;y&gt;"));
  for (const char* outside : {"src=", "http:", "https:", "<script", "@import", "url("})
    EXPECT_FALSE(holds(page, outside)) << outside;
  file("sweep/summary.csv", comparison_csv_header());
  EXPECT_FALSE(error_of([&] { require_writable_gain(folder_ / "sweep"); }).empty());
}

TEST_F(GainTest, IsACommand) {
  const Workspace work;
  for (const auto& [name, ratio] : {std::pair{"a", 150.}, {"b", 1500.}}) {
    worked_out(name, ratio);
    std::ifstream in(folder_ / name / "results.json");
    work.put(std::string(name) + "/results.json",
             std::string(std::istreambuf_iterator<char>(in), {}));
  }
  const CommandResult ran = work.darknet({"report", "gain", "a", "b", "-out", "o p"});
  EXPECT_EQ(ran.exit_code, 0) << ran.all();
  EXPECT_TRUE(holds(ran.out, "1 variant against ce in 2 folders")) << ran.all();
  EXPECT_TRUE(holds(work.get("o p/index.html"), "darknet report gain a b -out &#39;o p&#39;"));
  EXPECT_TRUE(work.has("o p/gain.svg"));
  expect_refused(work.darknet({"report", "gain", "a", "-out", "a"}), "its own page", 2);
  expect_refused(work.darknet({"report", "gain", "none"}), "'none': there is no such folder");
  expect_refused(work.darknet({"report", "gain", "a", ""}), "folders: it is empty", 2);
  expect_refused(work.darknet({"report", "gain", "a", "./a/"}), "given twice", 2);
  EXPECT_FALSE(work.has("runs"));
}

}  // namespace
}  // namespace darknet::test
