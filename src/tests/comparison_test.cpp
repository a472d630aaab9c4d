// Comparing variants: what a variant may be, the folder that is taken up again, what is said of one
// seed and of several.
#include "report/comparison.h"

#include <gtest/gtest.h>

#include "cli_harness.h"
#include "comparison_samples.h"
#include "core/json.h"
#include "core/utf8.h"
#include "report/comparison_charts.h"
#include "report/comparison_page.h"
#include "report/comparison_tables.h"
#include "report/side_by_side.h"

namespace darknet::test {
namespace {

// A comparison whose variants find some of four objects, one an image.
Comparison synthetic_comparison(std::vector<std::uint64_t> seeds) {
  Comparison c{.data = "x.data", .cfg = "x.cfg", .variants = {{"ce", {}}, {"<b>", {"k=\"1\""}}}};
  c.seeds = std::move(seeds);
  c.names = {"a & b"};
  c.images = {"1.png", "2.png", "3.png", "4.png"};
  for (std::size_t variant = 0; variant < 2; ++variant)
    for (std::size_t s = 0; s < c.seeds.size(); ++s) {
      ComparedRun run{.variant = variant, .seed = c.seeds[s], .state = RunState::finished};
      for (std::size_t i = 0; i < 4; ++i) {
        const Box box{.5f, .5f, .2f, .2f};
        run.images.push_back({.truths = {{box, 0}}});
        if (i < 2 + variant) run.images.back().detections.push_back({box, 0, 1, .9f});
      }
      run.at50 = evaluate(run.images, {});
      c.runs.push_back(std::move(run));
    }
  return c;
}

TEST(Comparison, SaysThatOneSeedProvesNothing) {
  const Comparison c = synthetic_comparison({1});
  const auto found = statistics_of(c).differences;
  ASSERT_EQ(found.size(), 1u);
  EXPECT_NEAR(found[0].by_seed.at(0).value(), .25, 1e-12);
  EXPECT_LE(found[0].resampled.value().over_images.low, .25);
  EXPECT_GE(found[0].resampled.value().over_images.high, .25);
  const std::string text = verdict_text(c, found[0]);
  EXPECT_NE(text.find("one seed says nothing about others"), std::string::npos) << text;
  EXPECT_NE(text.find("the 4 test images alone leave"), std::string::npos) << text;
  EXPECT_NE(text.find(" points (95 %"), std::string::npos) << text;
}

TEST(Comparison, SaysWhatSeveralSeedsShow) {
  const Comparison c = synthetic_comparison({1, 2, 3});
  const ComparisonStatistics statistics = statistics_of(c);
  const auto& found = statistics.differences;
  EXPECT_EQ(found[0].verdict.statistics.pairs, 3);
  EXPECT_DOUBLE_EQ(found[0].verdict.statistics.p_value, .25);
  EXPECT_NE(verdict_text(c, found[0]).find("Over 3 seeds"), std::string::npos);
  const auto j = parse_json(comparison_json(c, statistics));
  EXPECT_NEAR(j["differences"][0]["mean"].get<double>(), .25, 1e-12);
  EXPECT_EQ(j["runs"].size(), 6u);
}

// Of variant 1, the run of seed 2 diverged and that of seed 3 is missing.
Comparison incomplete_comparison() {
  Comparison c = synthetic_comparison({1, 2, 3});
  ComparedRun& diverged = c.runs[4];
  diverged = {.variant = 1, .seed = 2, .state = RunState::diverged, .reason = "layer <3> is nan"};
  diverged.diverged_at = 17;
  c.runs[5] = {.variant = 1, .seed = 3};
  return c;
}

TEST(Comparison, RunsThatDivergedOrAreMissingGiveNoFigure) {
  const Comparison c = incomplete_comparison();
  const ComparisonStatistics statistics = statistics_of(c);
  const auto& found = statistics.differences;
  EXPECT_EQ(found[0].verdict.kind, VerdictKind::diverged);
  EXPECT_EQ(found[0].verdict.statistics.pairs, 1);
  EXPECT_NEAR(found[0].by_seed[0].value(), .25, 1e-12);
  EXPECT_FALSE(found[0].by_seed[1] || found[0].by_seed[2]);
  const std::string text = verdict_text(c, found[0]);
  EXPECT_NE(text.find("<b> diverged in 1 and ce in 0 of 3 seeds"), text.npos) << text;
  const std::string table = comparison_table(c, statistics);
  EXPECT_NE(table.find("<b>, seed 2: diverged at iteration 17: layer <3> is nan\n"), table.npos)
      << table;
  EXPECT_NE(table.find("<b>, seed 3: missing\n"), table.npos) << table;
  const auto j = parse_json(comparison_json(c, statistics));
  EXPECT_EQ(j["runs"].size(), 6u);
  EXPECT_EQ(j["runs"][4]["state"], "diverged");
  EXPECT_EQ(j["runs"][4]["iteration"], 17);
  EXPECT_FALSE(j["runs"][5].contains("map50"));
  EXPECT_TRUE(j["differences"][0]["map50_by_seed"][1].is_null());
  const std::string page = comparison_page(c, statistics, {}, "");
  EXPECT_NE(page.find("<td>diverged at iteration 17</td>"), page.npos);
  EXPECT_NE(page.find("layer &lt;3&gt; is nan"), page.npos);
}

TEST(Comparison, TheMedianSeedStandsForAVariant) {
  Comparison c = comparison_of({.3, .5, .4}, {.2, -1, .1});
  EXPECT_EQ(shown_run(c, 0)->seed, 3u);
  EXPECT_EQ(shown_run(c, 1)->seed, 3u);  // the lower of two
  c.runs[5].state = RunState::diverged;
  EXPECT_EQ(shown_run(c, 1)->seed, 1u);
  c.runs[3].state = RunState::missing;
  EXPECT_EQ(shown_run(c, 1), nullptr);
  EXPECT_EQ(shown_variants(c), (std::vector<std::size_t>{0}));
}

TEST(Comparison, CurvesAreOfTheMedianSeed) {
  Comparison c = incomplete_comparison();
  EXPECT_EQ(shown_variants(c), (std::vector<std::size_t>{0, 1}));
  EXPECT_EQ(precision_recall_chart(c, statistics_of(c)).panels.at(0).series.size(), 2u);
  // Seed 3 of the baseline now finds nothing: the median is of the others, which find two of four.
  for (EvaluatedImage& image : c.runs[2].images) image.detections.clear();
  c.runs[2].at50 = evaluate(c.runs[2].images, {});
  const Panel p = precision_recall_chart(c, statistics_of(c)).panels.at(0);
  EXPECT_DOUBLE_EQ(p.series[0].x.back(), .5);
  EXPECT_EQ(most_different_images(c, 4), (std::vector<std::size_t>{2}));
}

TEST(Comparison, WorksBeforeAnyRunHasFinished) {
  Comparison c = incomplete_comparison();
  for (ComparedRun& r : c.runs) r = {.variant = r.variant, .seed = r.seed};
  const ComparisonStatistics statistics = statistics_of(c);
  const auto& found = statistics.differences;
  EXPECT_TRUE(shown_variants(c).empty());
  EXPECT_TRUE(most_different_images(c, 4).empty());
  EXPECT_FALSE(found[0].resampled);
  const std::string text = verdict_text(c, found[0]);
  EXPECT_NE(text.find("ce no result"), text.npos) << text;
  EXPECT_NE(comparison_page(c, statistics, {}, "").find("<td>missing</td>"), std::string::npos);
  for (const Panel& panel : training_chart(c).panels) EXPECT_FALSE(has_data(panel));
}

TEST(ComparisonPage, EscapesWhatStrangersNamed) {
  const Comparison c = synthetic_comparison({1});
  const std::string page = comparison_page(
      c, statistics_of(c),
      {.different = {{"<i>\xFF", {{"images/a b\".png", "<u>"}}}}, .spread = {}}, "x <y>");
  EXPECT_EQ(page.find("<b>:"), std::string::npos);
  EXPECT_NE(page.find("&lt;b&gt;"), std::string::npos);
  EXPECT_NE(page.find("a &amp; b"), std::string::npos);
  EXPECT_NE(page.find("images/a%20b%22.png"), std::string::npos);
  EXPECT_NE(page.find("x &lt;y&gt;"), std::string::npos);
  EXPECT_NE(page.find("&lt;i&gt;\xEF\xBF\xBD"), std::string::npos);
  EXPECT_EQ(page.find("<u>"), std::string::npos);
}

TEST(ComparisonPage, IsValidUtf8WhateverNamesHold) {
  Comparison c = synthetic_comparison({1});
  c.names = {"\xC3("}, c.data = "\xFF.data", c.cfg = "\xED\xA0\x80.cfg";
  c.variants[1].overrides = {"a=\x80\x1b[31m"};
  const std::string page = comparison_page(c, statistics_of(c), {}, "\xF0\x9F");
  std::string lines = page;  // line ends are the page's own
  std::replace(lines.begin(), lines.end(), '\n', ' ');
  EXPECT_EQ(printable_utf8(lines), lines);
}

TEST(Comparison, TheMostDifferentImageIsWhereTheErrorsDifferMost) {
  const Comparison c =
      synthetic_comparison({1});  // variant 1 finds the object of the third image too
  EXPECT_EQ(most_different_images(c, 4), (std::vector<std::size_t>{2}));
  Comparison same = c;
  same.runs[1] = same.runs[0];
  EXPECT_TRUE(most_different_images(same, 4).empty());
  Comparison more = c;  // and two of them in the first, which is thus before the third
  more.runs[1].images[0].detections.assign(3, {{.1f, .1f, .1f, .1f}, 0, 1, .9f});
  EXPECT_EQ(most_different_images(more, 4), (std::vector<std::size_t>{0, 2}));
  EXPECT_EQ(most_different_images(more, 1), (std::vector<std::size_t>{0}));
}

TEST(SideBySide, HasAPanelForTheTruthAndOneForEachNetwork) {
  Image image(60, 40, 1);
  SideBySide sides{.truths = {{{.5f, .5f, .4f, .4f}, 0}}, .names = {"cell"}};
  sides.panels = {{"hit", {{{.5f, .5f, .4f, .4f}, 0, 1, .9f}}}, {"nothing", {}}};
  const Image sheet = side_by_side(image, sides);
  EXPECT_EQ(sheet.channels, 3);
  EXPECT_GE(sheet.width, 3 * 448);
  const auto count = [&](std::array<std::uint8_t, 3> colour) {
    std::int64_t n = 0;
    for (std::int64_t y = 0; y < sheet.height; ++y)
      for (std::int64_t x = 0; x < sheet.width; ++x)
        n += std::equal(colour.begin(), colour.end(), sheet.at(x, y));
    return n;
  };
  EXPECT_GT(count(kTruthColour), 100);
  EXPECT_GT(count(kHitColour), 100);
  EXPECT_GT(count(kMissedColour), 100);
  EXPECT_EQ(count(kFalseColour), 0);
}

TEST(SideBySide, CountsAreThoseOfItsPanels) {
  const Box here{.5f, .5f, .4f, .4f}, there{.1f, .1f, .1f, .1f};
  const std::vector<Truth> truths{{here, 0}, {there, 0}};
  const std::vector<Detection> found{{here, 0, 1, .5f}, {here, 0, 1, .9f}, {there, 1, 1, .8f}};
  const SceneCounts c = count_of(found, truths, .5f);
  EXPECT_EQ(c.hits, 1);
  EXPECT_EQ(c.false_positives, 2);  // a second one, and one of another class
  EXPECT_EQ(c.missed, 1);
  const auto panels = scene_panels(Image(60, 40, 3), {truths, {{"net", found}}, {"a", "b"}, .5f});
  ASSERT_EQ(panels.size(), 2u);
  EXPECT_EQ(panels[1].title, "net: TP 1, FP 2, FN 1");
}

class CompareTest : public CliTest {
 protected:
  CommandResult compare(std::vector<std::string> more) const {
    std::vector<std::string> words{"detector", "compare", "x.data",       "x.cfg",
                                   "-out",     "r",       "-max_batches", "6"};
    words.insert(words.end(), more.begin(), more.end());
    return work_.darknet(words);
  }
};

TEST_F(CompareTest, TrainsBothVariantsAndIsTakenUpAgain) {
  const CommandResult first = compare({"-images", "2"});
  ASSERT_EQ(first.exit_code, 0) << first.all();
  EXPECT_NE(first.out.find("one seed says nothing about others"), std::string::npos) << first.out;
  const std::string page = work_.get("r/index.html");
  for (std::size_t at = 0; (at = page.find("src=\"", at)) != page.npos; ++at) {
    const std::string file = page.substr(at + 5, page.find('"', at + 5) - at - 5);
    EXPECT_TRUE(work_.has("r/" + file)) << file;
  }
  for (const char* name :
       {"index.html", "results.json", "summary.csv", "table.txt", "variants.svg", "differences.png",
        "ce-seed1/x_final.weights", "focal-seed1/x_final.weights"})
    EXPECT_TRUE(work_.has(std::string("r/") + name)) << name;
  const std::string weights = work_.get("r/ce-seed1/x_final.weights");
  const CommandResult more = compare({"-images", "0", "-seed", "1..2"});
  ASSERT_EQ(more.exit_code, 0) << more.all();
  EXPECT_NE(more.out.find("With 2 seeds"), std::string::npos) << more.out;
  EXPECT_EQ(work_.get("r/ce-seed1/x_final.weights"), weights);
  const auto results = parse_json(work_.get("r/results.json"));
  EXPECT_EQ(results["runs"].size(), 4u);
}

TEST_F(CompareTest, AnInvalidVariantLeavesTheFolderToTheNextCall) {
  const std::string sound = "a: obj_loss=ce";
  expect_refused(compare({"-variant", sound, "-variant", "b: foo=1"}), "foo: unknown key");
  expect_refused(compare({"-variant", sound, "-variant", "a: obj_loss=focal"}), "have this name",
                 2);
  expect_refused(compare({"-variant", sound, "-variant", "b: obj_loss=foc"}),
                 "variant b: ");  // before anything is trained
  expect_refused(compare({"-variant", sound, "-variant", "b: obj_loss=ce"}), "the same keys as a",
                 2);
  EXPECT_FALSE(work_.has("r/sweep.json"));
  const CommandResult ran = compare({"-variant", sound, "-variant", "b: obj_loss=focal", "-map",
                                     "-images=0", "-seed=18446744073709551615"});
  EXPECT_EQ(ran.exit_code, 0) << ran.all();
  EXPECT_TRUE(work_.has("r/b-seed18446744073709551615"));
  // The page's command makes the same page.
  EXPECT_NE(work_.get("r/index.html").find("-seed 18446744073709551615 -map"), std::string::npos);
}

TEST_F(CompareTest, AnotherComparisonsFolderIsRefused) {
  ASSERT_EQ(compare({"-images", "0"}).exit_code, 0);
  expect_refused(compare({"-arm", "focal: obj_loss=mse", "-pictures", "0"}),
                 "this folder holds a variant focal with other keys");
  expect_refused(compare({"-set", "net.0.momentum=.8"}), "of other data or settings (set)");
  expect_refused(compare({"-seed", "5..1"}), "ends before it begins", 2);
  work_.put("r/variants.json", std::string("{}"));
  expect_refused(compare({}), "a comparison by an earlier version");
}

}  // namespace
}  // namespace darknet::test
