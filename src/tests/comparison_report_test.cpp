// The report of a comparison: its figures against values worked out by hand, a panel of every kind,
// and pages of experiments that are incomplete.
#include <gtest/gtest.h>

#include <fstream>

#include "comparison_samples.h"
#include "core/error.h"
#include "core/file.h"
#include "core/json.h"
#include "image/image.h"
#include "report/comparison_charts.h"
#include "report/comparison_files.h"
#include "report/comparison_grid.h"
#include "report/comparison_page.h"
#include "report/comparison_tables.h"
#include "temporary_folder.h"

namespace darknet::test {
namespace {

// Differences 3, 2 and 4 points: mean 3, deviation 1, t(2) = 4.3027, t = 3 sqrt(3) = 5.196, and p
// of two degrees of freedom is 1 - t / sqrt(2 + t^2) = .0351. Seeds needed: the power of the paired
// t-test integrated numerically, for deviations of 1 and of .5207 and 6.285, the ends of its
// 95 % interval.
Comparison worked_out() { return comparison_of({.50, .52, .54}, {.53, .54, .58}); }

std::string line_of(const std::string& text, const std::string& beginning, std::size_t from = 0) {
  const auto at = text.find("\n" + beginning, from);
  if (at == std::string::npos) return "no line begins with " + beginning + " in:\n" + text;
  std::string line = text.substr(at + 1, text.find('\n', at + 1) - at - 1);
  line.erase(
      std::unique(line.begin(), line.end(), [](char a, char b) { return a == ' ' && b == ' '; }),
      line.end());
  return line;
}

TEST(ComparisonTable, HoldsWhatWasWorkedOutByHand) {
  const Comparison c = worked_out();
  const std::string table = comparison_table(c, statistics_of(c));
  EXPECT_EQ(line_of(table, "ce "), "ce 3 52.00 2.00 47.03 to 56.97 50.00 52.00 54.00");
  EXPECT_EQ(line_of(table, "focal "), "focal 3 55.00 2.65 48.43 to 61.57 53.00 54.00 58.00");
  EXPECT_EQ(line_of(table, "focal ", table.find("points of mAP@0.5 above ce")),
            "focal 3 +3.00 1.00 +0.52 to +5.48 0.035 0.035 0.250 (0.250) 10 (5 to 312) 5 (3 to 80) "
            "4 (3 to 37)");
  EXPECT_EQ(table.find("over seeds and images"), std::string::npos) << "no row has a figure of it";
  EXPECT_EQ(line_of(table, "mAP@0.5 ", table.find("mean ± sd")),
            "mAP@0.5 52.0 ± 2.0 % 55.0 ± 2.6 %");
}

TEST(ComparisonJson, HoldsTheSameFigures) {
  const Comparison c = worked_out();
  const auto j = parse_json(comparison_json(c, statistics_of(c)));
  const auto& d = j["differences"][0];
  EXPECT_NEAR(d["mean"].get<double>(), .03, 1e-12);
  EXPECT_NEAR(d["p"].get<double>(), .0351, 5e-5);
  EXPECT_NEAR(d["lowest_sign_flip_p"].get<double>(), .25, 1e-12);
  EXPECT_EQ(d["seeds_needed"][0]["seeds"], 10);
  EXPECT_EQ(j["variants"][1]["metrics"]["map50"]["values"].size(), 3u);
  EXPECT_NEAR(j["variants"][0]["metrics"]["map50"]["deviation"].get<double>(), .02, 1e-12);
}

TEST(ComparisonJson, AdjustsForTheNumberOfVariants) {
  Comparison c = worked_out();
  c.variants.push_back({"other", {"k=2"}});
  for (std::size_t s = 0; s < 3; ++s) {
    c.runs.push_back(c.runs[3 + s]);
    c.runs.back().variant = 2;
  }
  const ComparisonStatistics s = statistics_of(c);
  EXPECT_NEAR(s.differences[0].verdict.adjusted_p, 2 * .03510, 1e-4);
  EXPECT_GT(s.power[0].rows[0].pairs.value(), 10);  // at half the alpha
}

TEST(ComparisonCsv, HasALineForEachRunWithEveryMetric) {
  Comparison c = comparison_of({.5, .52}, {.6, -1});
  c.variants[1].overrides = {"k=\"1,2\""};
  c.runs[1].state = RunState::diverged, c.runs[1].diverged_at = 9, c.runs[1].reason = "a\nb";
  const std::string csv = comparison_csv(c, statistics_of(c));
  EXPECT_EQ(csv.find("variant,seed,keys,state,diverged_at,reason,map50,ap,"), 0u) << csv;
  EXPECT_NE(csv.find("\r\nce,1,,finished,,,0.5,"), csv.npos) << csv;
  EXPECT_NE(csv.find("\r\nce,2,,diverged,9,\"a\nb\",,"), csv.npos) << csv;
  EXPECT_NE(csv.find("\r\nfocal,2,\"k=\"\"1,2\"\"\",missing,,,,"), csv.npos) << csv;
  for (const RunMetric& m : kRunMetrics) EXPECT_NE(csv.find(m.key), csv.npos) << m.key;
}

TEST(ComparisonStatistics, AreThoseOfTheFunctionsOfEval) {
  const Comparison c = grid_comparison(2, 10);
  const ComparisonStatistics s = statistics_of(c);
  const ComparedRun& r = c.run(3, 1);
  const RunMetrics& m = s.runs[3 * 2 + 1];
  EXPECT_DOUBLE_EQ(m.map50, r.at50.mean_average_precision);
  EXPECT_DOUBLE_EQ(m.first_step_positive_share, r.history.figures[Figure::gradient_positive][0]);
  // mAP grows as 1 - exp(-5 t); its end is the mean of the last tenth, here one of ten values:
  // half of it is passed at t = .1387, and evaluated at .2.
  EXPECT_DOUBLE_EQ(m.lift_off, 60);
  EXPECT_TRUE(s.lift_off_of_map);
  for (const RunMetric& metric : kRunMetrics) {
    EXPECT_TRUE(std::isfinite(m.*metric.value)) << metric.key;
    EXPECT_EQ(s.variants[3][metric].values.size(), 2u) << metric.key;
  }
  EXPECT_GT(m.ap_large, m.ap_small);  // boxes are found with the same error in pixels
  std::int64_t detections = 0;
  for (const ReliabilityBin& b : s.variants[3].calibration.bins) detections += b.detections;
  EXPECT_EQ(detections, s.variants[3].calibration.detections);
  EXPECT_GT(detections, calibration(s.matched[6]).detections);
}

TEST(ComparisonStatistics, LiftOffIsOfTheLossWhereARunHasNoEvaluations) {
  Comparison c = grid_comparison(1, 4);
  std::fill(c.runs[1].history.map.begin(), c.runs[1].history.map.end(), kNotLogged);
  const ComparisonStatistics s = statistics_of(c);
  EXPECT_FALSE(s.lift_off_of_map);
  // exp(-4 t) has gone half of its way at t = .165: iteration 50, but for the noise.
  EXPECT_NEAR(s.runs[0].lift_off, 50, 10);
}

TEST(VariantGrid, IsFoundWhereTwoKeysVaryTogether) {
  const Comparison c = grid_comparison(1, 1);
  const auto grids = variant_grids(c.variants);
  ASSERT_EQ(grids.size(), 1u);
  EXPECT_EQ(grids[0].x_key, "obj_gamma");
  EXPECT_EQ(grids[0].ys, (std::vector<double>{.25, .5}));
  EXPECT_EQ(grids[0].cells[1][0], (std::vector<std::size_t>{2}));  // gamma 1, alpha .5
}

TEST(VariantGrid, IsNotFoundInARandomSearch) {
  std::vector<ComparedVariant> variants{{"ce", {"yolo.*.obj_loss=ce"}}};
  for (int k = 1; k < 6; ++k)
    variants.push_back({cat(k), {cat("yolo.*.obj_gamma=", k), cat("net.0.momentum=.9", 7 * k)}});
  EXPECT_TRUE(variant_grids(variants).empty());
  variants = {{"a", {"yolo.0.x=1", "yolo.1.x=2", "y=1"}},
              {"b", {"yolo.*.x=1", "y=2"}},
              {"c", {"yolo.*.x=2", "y=1"}}};  // in the first, sections differ: no value
  EXPECT_TRUE(variant_grids(variants).empty());
}

std::size_t count_of(const std::string& text, const std::string& what) {
  std::size_t count = 0;
  for (std::size_t at = 0; (at = text.find(what, at)) != text.npos; at += what.size()) ++count;
  return count;
}

std::string page_of(const Comparison& c) {
  return comparison_page(c, statistics_of(c), {}, "darknet detector compare \\\n  -seed 1..3");
}

TEST(ComparisonPage, HasAPanelOfEveryKindAndNeedsNoOtherFile) {
  const Comparison c = grid_comparison(3, 8);
  const std::string page = page_of(c);
  for (const char* panel :
       {"Differences to ce by seed", "Mean mAP@0.5 in %: obj_gamma and obj_alpha", "mAP@0.5",
        "class-agnostic AP50", "lift-off", "Average precision on valid=", "Loss (smoothed)",
        "Objectness gradient from objects (smoothed)", "Mean objectness of background (smoothed)",
        "Objects in the objectness gradient of the first step",
        "Precision over recall, all classes", "F1 against threshold, all classes", "Reliability",
        "Precision over recall, white"})
    EXPECT_NE(page.find(std::string("<h3>") + panel + "</h3><svg"), page.npos) << panel;
  EXPECT_EQ(count_of(page, "<svg"), count_of(page, "<figure>"));
  EXPECT_GT(count_of(page, "<polygon"), 20u);  // bands and cells
  EXPECT_NE(page.find(">n = 3<"), page.npos);
  for (const char* outside : {"src=", "http:", "https:", "<script", "@import", "url("})
    EXPECT_EQ(page.find(outside), page.npos) << outside;
  EXPECT_LT(page.size(), std::size_t{1} << 20);
  for (const RunMetric& m : kRunMetrics)
    EXPECT_NE(page.find(std::string("<dt>") + m.name + "</dt>"), page.npos) << m.name;
  for (const ComparedRun& r : c.runs) EXPECT_NE(page.find(r.command), page.npos);
  EXPECT_NE(page.find("compare \\\n  -seed 1..3"), page.npos);  // lines stay lines
  EXPECT_EQ(page.find("<h2>Images"), page.npos);                // there are none
  EXPECT_LT(page.find("class=\"verdict\""), page.find("<svg"));
}

TEST(ComparisonPage, NamesWhatDivergedOrIsMissing) {
  Comparison c = grid_comparison(2, 4);
  for (std::size_t s = 0; s < 2; ++s) {  // of variant 4, all
    ComparedRun& r = c.runs[to_size(4) * 2 + s];
    r.state = RunState::diverged, r.diverged_at = 120, r.reason = "a <b> is nan";
  }
  c.runs[2 * 2 + 1] = {.variant = 2, .seed = 2};
  const std::string page = page_of(c);
  EXPECT_NE(
      page.find("focal-gamma2-alpha.5, seed 2</b>: diverged at iteration 120: a &lt;b&gt; is"),
      page.npos);
  EXPECT_NE(page.find("focal-gamma1-alpha.5, seed 2</b>: missing"), page.npos);
  EXPECT_NE(page.find("focal-gamma2-alpha.5 (n = 0, 2 diverged)"), page.npos);
  EXPECT_NE(page.find("focal-gamma2-alpha.5, seed 1, diverged"), page.npos);  // its curve
  EXPECT_NE(page.find("focal-gamma1-alpha.5 (n = 1, 1 missing)"), page.npos);
  for (std::size_t at = 0; (at = page.find("<svg", at)) != page.npos; ++at) {
    const std::string svg = page.substr(at, page.find("</svg>", at) - at);
    EXPECT_TRUE(svg.find("nan") == svg.npos && svg.find("inf") == svg.npos) << svg;
  }
}

TEST(ComparisonPage, OfOneSeedClaimsNoInterval) {
  const Comparison c = grid_comparison(1, 6);
  const std::string page = page_of(c);
  EXPECT_NE(page.find("one seed says nothing about others"), page.npos);
  EXPECT_NE(page.find("(1 pair)"), page.npos);
  EXPECT_EQ(count_of(page, " ± "), 1u);  // the heading
  const Panel differences = differences_chart(c, statistics_of(c)).panels.at(0);
  EXPECT_FALSE(std::isfinite(differences.series[1].high[0]));
}

TEST(ComparisonPage, OfNothingFinishedIsWhole) {
  Comparison c = grid_comparison(2, 4);
  for (ComparedRun& r : c.runs) r = {.variant = r.variant, .seed = r.seed};
  const std::string page = page_of(c);
  EXPECT_NE(page.find("No seed of focal-gamma1-alpha.25 and ce has finished"), page.npos);
  EXPECT_EQ(page.find("<svg"), page.npos);
  EXPECT_NE(page.find("</html>"), page.npos);
}

TEST(ComparisonPage, EscapesEveryNameInItsCharts) {
  Comparison c = grid_comparison(2, 4);
  for (ComparedVariant& v : c.variants) v.name += "<script>\"\xff";
  c.names[1] = "</svg><script>", c.runs[0].command = "<script>";
  c.variants[1].overrides[1] = "yolo.*.<script>=1",
  c.variants[2].overrides[1] = "yolo.*.<script>=1";
  c.variants[3].overrides[1] = "yolo.*.<script>=2",
  c.variants[4].overrides[1] = "yolo.*.<script>=2";
  const std::string page = page_of(c);
  EXPECT_EQ(page.find("<script"), page.npos);
  EXPECT_EQ(page.find('\xff'), page.npos);
  EXPECT_NE(page.find("Mean mAP@0.5 in %: &lt;script&gt; and obj_alpha"), page.npos);
}

TEST(ComparisonCharts, DifferencesHaveTheLineAtZero) {
  const Comparison c = worked_out();
  const Panel p = differences_chart(c, statistics_of(c)).panels.at(0);
  ASSERT_EQ(p.series.size(), 3u);
  EXPECT_EQ(p.series[0].x.size(), 3u);
  EXPECT_NEAR(p.series[1].x[0], 3, 1e-9);
  EXPECT_NEAR(p.series[1].low[0], .516, 1e-3);
  EXPECT_EQ(p.series[2].x, (std::vector<double>{0, 0, 0}));
  EXPECT_DOUBLE_EQ(p.series[2].y[1], .5);  // to the end of its row
}

TEST(ComparisonCharts, BandsReachFromTheLowestSeedToTheHighest) {
  const Comparison c = grid_comparison(3, 1);
  const Panel p = training_chart(c).panels.at(0);  // mAP
  ASSERT_EQ(p.series.size(), 10u);
  ASSERT_EQ(p.series[0].mark, Series::Mark::band);
  std::vector<double> first;
  for (std::size_t s = 0; s < 3; ++s) first.push_back(c.run(0, s).history.map[29]);
  EXPECT_DOUBLE_EQ(p.series[0].low[0], *std::min_element(first.begin(), first.end()));
  EXPECT_DOUBLE_EQ(p.series[0].high[0], *std::max_element(first.begin(), first.end()));
  EXPECT_DOUBLE_EQ(p.series[1].y[0], mean_of(first));
  EXPECT_EQ(p.series[1].style, p.series[0].style);
}

TEST(ComparisonCharts, CellsAreMeansOverTheRunsThatFinished) {
  Comparison c = grid_comparison(3, 4);
  c.runs[3 * 3 + 1].state = RunState::diverged;  // gamma 2, alpha .25
  const HeatMap heat = grid_chart(c, statistics_of(c)).panels.at(0).heat.value();
  ASSERT_EQ(heat.cells.size(), 4u);
  EXPECT_EQ(heat.columns, (std::vector<std::string>{"1", "2"}));
  const HeatCell& cell = heat.cells[1];
  EXPECT_EQ(cell.column, 1u);
  EXPECT_EQ(cell.note, "n = 2, 1 div.");
  EXPECT_NEAR(
      cell.value,
      (c.run(3, 0).at50.mean_average_precision + c.run(3, 2).at50.mean_average_precision) / 2,
      1e-12);
}

// A variant for each of these, with runs of the same figures but for their mAP.
Comparison many_variants(const std::vector<double>& maps) {
  const Comparison c = grid_comparison(1, 4);
  Comparison many = c;
  many.variants.clear(), many.runs.clear();
  for (std::size_t v = 0; v < maps.size(); ++v) {
    many.variants.push_back({cat("v", v), {cat("k=", v)}});
    many.runs.push_back(c.runs.front());
    many.runs.back().variant = v, many.runs.back().at50.mean_average_precision = maps[v];
  }
  return many;
}

TEST(ComparisonCharts, OfManyVariantsTheBestAreDrawnAndThePageSaysSo) {
  Comparison c = many_variants({.1, .2, .9, .3, .8, .7, .6, .5, .4, .15});
  const std::vector<std::size_t> shown{0, 2, 3, 4, 5, 6, 7, 8};
  EXPECT_EQ(shown_variants(c), shown);
  const Panel p = training_chart(c).panels.at(1);
  ASSERT_EQ(p.series.size(), 8u);
  for (std::size_t i = 0; i < shown.size(); ++i) EXPECT_EQ(p.series[i].name, cat("v", shown[i]));
  std::string page = page_of(c);
  EXPECT_EQ(count_of(page, "Of 10 variants 8 are drawn"), 2u);  // of training, and of detections
  c.runs[9].state = c.runs[1].state = RunState::diverged;
  c.runs[9].diverged_at = c.runs[1].diverged_at = 300;
  page = page_of(c);
  EXPECT_EQ(count_of(page, "variants 8 are drawn"), 0u);
  EXPECT_EQ(count_of(page, "2 of 2 runs that diverged are not drawn"), 1u);
  EXPECT_EQ(count_of(page_of(grid_comparison(2, 4)), "are drawn"), 0u);
}

class ComparisonFilesTest : public testing_files::InFolder {};

TEST_F(ComparisonFilesTest, AreWrittenAndReplaced) {
  const Comparison c = grid_comparison(2, 4);
  for (int again = 0; again < 2; ++again) {
    EXPECT_NO_THROW(require_writable_comparison(folder_ / "none"));
    write_comparison(c, {.folder = folder_, .command = "x", .images = 0});
    for (const char* name :
         {"index.html", "table.txt", "results.json", "summary.csv", "chart.svg", "chart.png",
          "variants.png", "differences.svg", "precision-recall.png"})
      EXPECT_GT(std::filesystem::file_size(folder_ / name), 100u) << name;
  }
}

// Each variant by its median seed, where they differ and elsewhere.
TEST_F(ComparisonFilesTest, ImagesAreOfTheMedianSeeds) {
  Comparison c = grid_comparison(3, 6);
  c.images = {};
  for (int i = 0; i < 6; ++i) {
    const auto file = folder_ / cat(i, ".png");
    write_image(file, Image(64, 48, 3));
    c.images.push_back(file);
  }
  write_comparison(c, {.folder = folder_, .command = "x", .images = 2});
  std::ifstream in(folder_ / "index.html");
  const std::string page(std::istreambuf_iterator<char>(in), {});
  const std::size_t scenes = most_different_images(c, 4).size() + 2;
  EXPECT_GT(scenes, 4u);
  EXPECT_EQ(count_of(page, "class=\"scene\""), scenes);
  for (std::size_t v = 0; v < c.variants.size(); ++v)
    EXPECT_EQ(
        count_of(page, cat("<h3>", c.variants[v].name, ", seed ", shown_run(c, v)->seed, ": ")),
        scenes)
        << v;
  EXPECT_GT(std::filesystem::file_size(folder_ / "difference.jpg"), 1000u);
}

}  // namespace
}  // namespace darknet::test
