// Charts: the layout that SVG and image share, logs as they really are, and hostile names.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "cli_harness.h"
#include "image/canvas.h"
#include "report/chart.h"
#include "report/drawing.h"
#include "report/training_chart.h"
#include "train/progress.h"

namespace darknet::test {
namespace {

Chart one_panel(Series s) { return {"title", {Panel{.title = "panel", .series = {std::move(s)}}}}; }

TEST(Layout, ThinsALongLineAndKeepsItsExtremes) {
  Series s;
  for (int i = 0; i < 100000; ++i) s.x.push_back(i), s.y.push_back(i == 77777 ? 50 : std::sin(i));
  const Drawing d = lay_out(one_panel(s));
  const Stroke* longest = &d.strokes.front();
  for (const Stroke& one : d.strokes)
    if (one.points.size() > longest->points.size()) longest = &one;
  EXPECT_LT(longest->points.size(), 3000u);
  float top = 1e9f, bottom = 0;
  for (const CanvasPoint& p : longest->points)
    top = std::min(top, p.y), bottom = std::max(bottom, p.y);
  EXPECT_GT(bottom - top, 100);  // the one high value is there
}

TEST(Layout, BreaksALineAtGapsAndDrawsLonelyPoints) {
  const double none = std::numeric_limits<double>::quiet_NaN();
  const Drawing d = lay_out(one_panel({.x = {0, 1, 2, 3, 4}, .y = {1, 2, none, 4, INFINITY}}));
  std::size_t lines = 0;
  for (const Stroke& s : d.strokes) lines += s.role >= PaintRole::series;
  EXPECT_EQ(lines, 1u);
  EXPECT_EQ(d.dots.size(), 1u);
}

TEST(Layout, DecadesAreEquallyWideOnALogarithmicAxis) {
  Chart chart = one_panel({.x = {0, 1, 10, 100}, .y = {9, 1, 2, 3}});  // 0 has no place there
  chart.panels[0].log_x = true;
  for (const Stroke& s : lay_out(chart).strokes) {
    if (s.role < PaintRole::series) continue;
    ASSERT_EQ(s.points.size(), 3u);
    EXPECT_NEAR(s.points[1].x - s.points[0].x, s.points[2].x - s.points[1].x, .01);
    EXPECT_GT(s.points[1].x - s.points[0].x, 100);
  }
}

TEST(Layout, AGivenRangeIsKeptWhateverTheDataIs) {
  Chart chart = one_panel({.x = {.2, .4}, .y = {.2, .4}});
  chart.panels[0].x_low = chart.panels[0].y_low = 0;
  chart.panels[0].x_high = chart.panels[0].y_high = 1;
  const Drawing d = lay_out(chart);
  EXPECT_EQ(std::count_if(d.labels.begin(), d.labels.end(),
                          [](const Label& l) { return l.text == "1.0"; }),
            2);
}

TEST(Layout, LabelsOfTicksStayInThePanelAndOffTheNameOfTheAxis) {
  const auto width = [](const Label& l) {
    return static_cast<float>(text_size(l.text, {static_cast<std::int64_t>(l.height)}).width);
  };
  Panel p{.x_label = "across", .y_label = "up", .series = {{.x = {1, 1e5}, .y = {0, 1000000}}}};
  p.log_x = true;
  const Drawing d = lay_out(p);
  float name = 0;
  for (const Label& l : d.labels)
    if (l.upwards) name = l.at.x + l.height / 2;
  int seen = 0;
  for (const Label& l : d.labels) {
    if (l.text == "100000") {
      EXPECT_LE(l.at.x + width(l) / 2, static_cast<float>(d.width));
      ++seen;
    }
    if (l.anchor == Anchor::end) {
      EXPECT_GT(l.at.x - width(l), name) << l.text;
      ++seen;
    }
  }
  EXPECT_GT(seen, 3);
}

TEST(Layout, LongLegendTakesNothingOfThePlot) {
  const auto plot_height = [](int names) {
    Chart chart = one_panel({.x = {0, 1}, .y = {0, 1}});
    chart.panels[0].series[0].name = "a";
    for (int k = 1; k < names; ++k)
      chart.panels[0].series.push_back({.name = std::string(80, 'x'), .x = {0, 1}, .y = {0, 1}});
    const Drawing d = lay_out(chart);
    float low = 1e9f, high = 0;
    for (const Stroke& s : d.strokes)
      if (s.role == PaintRole::grid)
        for (const CanvasPoint& at : s.points)
          low = std::min(low, at.y), high = std::max(high, at.y);
    return high - low;
  };
  EXPECT_FLOAT_EQ(plot_height(2), plot_height(9));
}

TEST(Layout, IntervalsEndWhereValuesDo) {
  Panel p{.series = {{.x = {1, 2},
                      .y = {1, 99},
                      .mark = Series::Mark::ranges,
                      .low = {-30, 98},
                      .high = {32, 130}}}};
  keep_within(p, 0, 100);
  EXPECT_EQ(p.y_low, 0);
  EXPECT_EQ(p.y_high, 100);
  p.rows = {"a", "b"}, p.y_low.reset(), p.y_high.reset();
  p.series = {{.x = {1, 99},
               .y = {0, 1},
               .mark = Series::Mark::intervals,
               .low = {0, 98},
               .high = {32, 130}}};
  keep_within(p, 0, 100);
  EXPECT_EQ(p.x_high, 100);
  EXPECT_FALSE(p.x_low || p.y_low || p.y_high);
}

TEST(Layout, SaysThatThereIsNothing) {
  bool said = false;
  for (const Label& l : lay_out(one_panel({})).labels) said |= l.text == "nothing to show yet";
  EXPECT_TRUE(said);
  EXPECT_GT(to_image(Chart{}).width, 0);
}

TEST(Layout, LeavesPanelsWithoutDataOut) {
  Chart chart = one_panel({.x = {0, 1}, .y = {0, 1}});
  const std::int64_t one = lay_out(chart).height;
  chart.panels.insert(chart.panels.begin(), {Panel{.title = "empty"}, Panel{.title = "log"}});
  chart.panels[1].log_y = true, chart.panels[1].series = {{.x = {0, 1}, .y = {0, -1}}};
  const Drawing d = lay_out(chart);
  EXPECT_EQ(d.height, one);
  EXPECT_EQ(d.width, lay_out(one_panel({})).width);
  for (const Label& l : d.labels) EXPECT_TRUE(l.text != "empty" && l.text != "log") << l.text;
  EXPECT_FALSE(has_data(chart.panels[0]) || has_data(chart.panels[1]));
  EXPECT_TRUE(has_data(chart.panels[2]));
}

TEST(Layout, EverySeriesIsInTheLegendHoweverManyThereAre) {
  Chart chart = one_panel({.name = "0", .x = {0, 1}, .y = {0, 1}});
  for (int k = 1; k < 12; ++k)
    chart.panels[0].series.push_back(
        {.name = cat("a series of a long name ", k), .x = {0, 1}, .y = {0, 1}});
  for (const Drawing& d : {lay_out(chart), lay_out(chart.panels[0])}) {
    std::vector<CanvasPoint> at;
    for (const Label& l : d.labels)
      if (l.text == "0" || l.text.starts_with("a series")) at.push_back(l.at);
    EXPECT_GE(at.size(), 12u);
    for (const CanvasPoint& p : at)
      EXPECT_TRUE(p.x > 0 && p.x < static_cast<float>(d.width) - 20 && p.y > 0 &&
                  p.y < static_cast<float>(d.height));
  }
}

TEST(Layout, APanelAloneCanBeReadOnAPhone) {
  const Drawing d = lay_out(one_panel({.x = {0, 1000}, .y = {0, 1}}).panels[0]);
  constexpr float kPhone = 358, kCapitalShare = .73f, kLegible = 10;  // CSS pixels of a font
  for (const Label& l : d.labels)
    EXPECT_GE(l.height / kCapitalShare * kPhone / static_cast<float>(d.width), kLegible) << l.text;
}

std::int64_t pixels_of(const Image& image, const Colour& c) {
  std::int64_t n = 0;
  for (std::int64_t y = 0; y < image.height; ++y)
    for (std::int64_t x = 0; x < image.width; ++x)
      n += std::equal(c.begin(), c.end(), image.at(x, y));
  return n;
}

TEST(Chart, DrawsItsLinesInBothThemes) {
  if (!has_canvas()) GTEST_SKIP() << text_library();
  const Chart chart = one_panel({.x = {0, 1}, .y = {0, 1}});
  for (const Theme theme : {Theme::light, Theme::dark}) {
    const Image image = to_image(chart, theme);
    EXPECT_GT(pixels_of(image, colour_of(series_role(0), theme)), 200);
    EXPECT_GT(pixels_of(image, colour_of(PaintRole::paper, theme)), image.width * image.height / 2);
  }
}

TEST(Chart, AFolderIsNoBeginningOfAFileName) {
  EXPECT_THROW(require_writable_chart(testing::TempDir() + "/"), Error);
  EXPECT_NO_THROW(require_writable_chart(testing::TempDir() + "/chart"));
}

TEST(Chart, PointsLieOverTheGridAndUnderTheLines) {
  Chart chart = one_panel({.x = {0, 1, 2}, .y = {0, 1, 2}, .mark = Series::Mark::points});
  chart.panels[0].series.push_back({.x = {0, 2}, .y = {2, 0}});
  const std::string svg = to_svg(chart);
  EXPECT_LT(svg.rfind("class=\"l grid\""), svg.find("<circle"));
  EXPECT_LT(svg.rfind("<circle"), svg.find("class=\"l s1\""));
}

std::vector<std::string> parts(const std::string& text, const std::string& separator) {
  std::vector<std::string> all;
  std::size_t from = 0;
  for (std::size_t at = 0; (at = text.find(separator, from)) != text.npos; from = at + 1)
    all.push_back(text.substr(from, at - from));
  all.push_back(text.substr(from));
  return all;
}

TEST(Chart, ABandFillsTheAreaBetweenItsEdgesInImageAndSvg) {
  if (!has_canvas()) GTEST_SKIP() << text_library();
  const Chart chart = one_panel({.x = {0, 1, 2, 3},
                                 .y = {1, 1, 1, 1},
                                 .mark = Series::Mark::band,
                                 .low = {0, 0, 0, NAN},
                                 .high = {2, 2, 2, 2}});
  const Drawing d = lay_out(chart);
  ASSERT_EQ(d.areas.size(), 1u);  // the gap is no part of it
  EXPECT_EQ(d.areas[0].corners.size(), 6u);
  EXPECT_EQ(parts(to_svg(chart), "<polygon").size(), 2u);
  const CanvasPoint a = d.areas[0].corners[0], b = d.areas[0].corners[3];
  const Image image = to_image(chart);
  const auto x = std::lround((a.x + b.x) / 2 + 3), y = std::lround((a.y + b.y) / 2 + 5);
  const Colour full = colour_of(series_role(0), Theme::light);
  const float expected = 255 + (static_cast<float>(full[0]) - 255) * d.areas[0].opacity;
  EXPECT_NEAR(image.at(x, y)[0], expected, 2);
}

TEST(Chart, IntervalsReachFromLowToHighInTheirNamedRow) {
  Panel p{.rows = {"first", "second"}};
  p.series = {{.x = {5, 7},
               .y = {0, 1},
               .mark = Series::Mark::intervals,
               .low = {4, -INFINITY},
               .high = {8, INFINITY}}};
  const Drawing d = lay_out(p);
  ASSERT_EQ(d.dots.size(), 2u);
  std::vector<const Stroke*> lines;
  for (const Stroke& s : d.strokes)
    if (s.role >= PaintRole::series) lines.push_back(&s);
  ASSERT_EQ(lines.size(), 3u);  // one interval and its caps; an unbounded one has no line
  const Stroke& line = *lines.front();
  const float width = line.points[1].x - line.points[0].x;
  EXPECT_NEAR(d.dots[0].centre.x - line.points[0].x, width / 4, .01f);
  EXPECT_LT(d.dots[0].centre.y, d.dots[1].centre.y);  // the first row is above
  for (const char* name : {"first", "second"})
    EXPECT_EQ(std::count_if(d.labels.begin(), d.labels.end(),
                            [&](const Label& l) { return l.text == name; }),
              1);
}

TEST(Chart, CellsOfAHeatMapAreDeeperTheHigherTheirValueIs) {
  Panel p{.x_label = "gamma", .y_label = "alpha"};
  p.heat = {{"1", "2"}, {".25", ".5"}, {{0, 0, 10, "10.0", "n = 3"}, {1, 1, 30, "30.0", "n = 2"}}};
  const Drawing d = lay_out(p);
  ASSERT_EQ(d.areas.size(), 2u);
  EXPECT_LT(d.areas[0].opacity, d.areas[1].opacity);
  EXPECT_LT(d.areas[0].corners[0].x, d.areas[1].corners[0].x);
  EXPECT_GT(d.areas[0].corners[0].y, d.areas[1].corners[0].y);  // row 0 is below
  const std::string svg = inline_svg(p);
  for (const char* text : {">10.0<", ">n = 2<", ">gamma<", ">alpha<", ">.25<"})
    EXPECT_NE(svg.find(text), svg.npos) << text;
  EXPECT_FALSE(has_data(Panel{.heat = HeatMap{}}));
}

TEST(Chart, SvgKeepsStrangersTextApartFromItsMarkup) {
  Chart chart = one_panel({.name = "a<b>&\x01\xff\xed\xa0\x80", .x = {0, 1}, .y = {0, 1}});
  chart.title = "</svg><script>";
  const std::string svg = to_svg(chart);
  EXPECT_EQ(svg.find("<script>"), std::string::npos);
  EXPECT_NE(svg.find("a&lt;b&gt;&amp;\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"),
            std::string::npos);
  EXPECT_NE(svg.find("@media screen and (prefers-color-scheme: dark)"), std::string::npos);
  EXPECT_EQ(svg.find("nan"), std::string::npos);
}

TEST(Canvas, ALineCoversItsArea) {
  if (!has_canvas()) GTEST_SKIP() << text_library();
  Image image(100, 40, 1);
  const std::vector<CanvasPoint> line{{10, 20.5f}, {90, 20.5f}};
  draw_polyline(image, line, {{255, 255, 255}, 4});
  double sum = 0;
  for (const std::uint8_t p : image.pixels) sum += p / 255.;
  EXPECT_NEAR(sum, 80 * 4 + 3.14159 * 4, 3);  // with its round ends
  const std::vector<CanvasPoint> wild{{NAN, 0}, {1e30f, 5}, {5, 5}, {-1e30f, INFINITY}};
  draw_polyline(image, wild, {{255, 255, 255}, 4});
  draw_disc(image, {NAN, NAN}, 5, {1, 2, 3});
}

TEST(Canvas, ADashedLineHasGaps) {
  if (!has_canvas()) GTEST_SKIP() << text_library();
  Image whole(200, 20, 1), dashed(200, 20, 1);
  const std::vector<CanvasPoint> line{{10, 10}, {190, 10}};
  const std::array<float, 2> dash{10, 10};
  draw_polyline(whole, line, {{255, 255, 255}, 2});
  draw_polyline(dashed, line, {{255, 255, 255}, 2, dash});
  const auto lit = [](const Image& i) {
    return std::count_if(i.pixels.begin(), i.pixels.end(), [](auto p) { return p > 128; });
  };
  EXPECT_NEAR(static_cast<double>(lit(dashed)) / static_cast<double>(lit(whole)), .58, .1);
}

const std::string kLine =
    R"({"iteration":1,"loss":3,"average_loss":4,"learning_rate":0.1,"load_seconds":1,"step_seconds":2,)"
    R"("images_per_second":5,"heads":[{"positives":1,"negatives":9,"mean_p_positive":0.5,)"
    R"("mean_p_negative":0.1,"class_loss":1,"gradient_share_easy_negative":0.25},{"positives":3,)"
    R"("negatives":1,"mean_p_positive":0.9,"mean_p_negative":0.5,"class_loss":2,)"
    R"("gradient_share_easy_negative":0.75}]})";

TEST(TrainingHistory, SumsAndWeighsTheHeads) {
  TrainingHistory h;
  ASSERT_TRUE(h.add(kLine));
  EXPECT_DOUBLE_EQ(h.figures[Figure::class_loss][0], 3);
  EXPECT_DOUBLE_EQ(h.figures[Figure::p_positive][0], .8);   // (.5 + 3 * .9) / 4
  EXPECT_DOUBLE_EQ(h.figures[Figure::p_negative][0], .14);  // (9 * .1 + .5) / 10
  EXPECT_DOUBLE_EQ(h.figures[Figure::gradient_easy_negative][0], .5);
  EXPECT_DOUBLE_EQ(h.seconds[0], 3);
  EXPECT_TRUE(std::isnan(h.map[0]));
}

// What a run draws while it goes is what `darknet chart` draws of its log.
TEST(TrainingHistory, OfAnIterationIsThatOfItsLine) {
  StepResult step{.loss = 1.25};
  step.heads.resize(2);
  double value = 1;
  for (HeadTelemetry& head : step.heads)
    for (const TelemetryFigure& f : kTelemetryFigures)
      head.*f.sum = f.scale == TelemetryScale::count ? ++value : ++value / 3;
  IterationReport report{.iteration = 7,
                         .images = 8,
                         .average_loss = 1.1,
                         .learning_rate = .001f,
                         .load_seconds = .1,
                         .step_seconds = .7,
                         .seconds_per_iteration = .3,
                         .step = &step,
                         .head_layers = {16, 23}};
  EXPECT_EQ(json_line(report).find("positives_average"), std::string::npos);
  step.positives = 12, step.positives_average = 90.5;
  EXPECT_NE(json_line(report).find(R"("positives_average":90.5,"positives_of_batch":12)"),
            std::string::npos);
  TrainingHistory drawn, read;
  for (const double map : {-1., .25}) {
    report.map = map;
    drawn.add(logged(report));
    ASSERT_TRUE(read.add(json_line(report)));
  }
  using H = TrainingHistory;
  for (const auto values : {&H::iteration, &H::loss, &H::average_loss, &H::learning_rate,
                            &H::images_per_second, &H::seconds})
    EXPECT_EQ(drawn.*values, read.*values);
  EXPECT_TRUE(std::isnan(drawn.map[0]) && std::isnan(read.map[0]));
  EXPECT_EQ(drawn.map[1], read.map[1]);
  ASSERT_EQ(drawn.heads.size(), 2u);
  ASSERT_EQ(read.heads.size(), 2u);
  for (const TelemetryFigure& f : kTelemetryFigures) {
    if (f.scale == TelemetryScale::unlogged) continue;
    EXPECT_EQ(drawn.figures[f.figure], read.figures[f.figure]) << f.key;
    for (std::size_t h = 0; h < 2; ++h)
      EXPECT_EQ(drawn.heads[h].figures[f.figure], read.heads[h].figures[f.figure]) << f.key;
  }
  EXPECT_EQ(drawn.heads[1].name, read.heads[1].name);
}

// Each figure has values of its own here, which its line must show.
TEST(TrainingChart, DrawsEveryFigureThatNamesAPanel) {
  TrainingHistory h;
  LoggedIteration i{.iteration = 1, .heads = std::vector<LoggedHead>(2)};
  for (double k = 1; LoggedHead & head : i.heads) {
    head.layer = k;
    for (double& value : head.figures) value = ++k / 100;
  }
  h.add(i);
  const Chart chart = training_chart(h);
  const auto drawn = [&](const TelemetryFigure& f, const FigureHistory& figures) {
    return std::any_of(chart.panels.begin(), chart.panels.end(), [&](const Panel& p) {
      return std::any_of(p.series.begin(), p.series.end(), [&](const Series& s) {
        return s.name == f.series && s.y == figures[f.figure];
      });
    });
  };
  std::size_t shown = 0;
  for (const TelemetryFigure& f : kTelemetryFigures) {
    const bool wanted = f.panel != TelemetryPanel::none;
    shown += wanted;
    EXPECT_EQ(drawn(f, h.figures), wanted) << f.key;
    EXPECT_EQ(drawn(f, h.heads[1].figures), wanted && f.panel != TelemetryPanel::boxes) << f.key;
  }
  EXPECT_GE(shown, 10u);
}

TEST(TrainingHistory, KeepsEachHeadByItself) {
  TrainingHistory h;
  ASSERT_TRUE(h.add(R"({"iteration":1})"));  // a line without heads
  ASSERT_TRUE(h.add(R"({"iteration":2,"heads":[{"layer":16,"class_loss":1},)"
                    R"({"layer":23,"class_loss":2}]})"));
  ASSERT_TRUE(h.add(R"({"iteration":3,"heads":[{"layer":16,"class_loss":5}]})"));
  ASSERT_EQ(h.heads.size(), 2u);
  EXPECT_EQ(h.heads[1].name, "layer 23");
  ASSERT_EQ(h.heads[1].figures[Figure::class_loss].size(), 3u);
  EXPECT_TRUE(std::isnan(h.heads[1].figures[Figure::class_loss][0]));
  EXPECT_DOUBLE_EQ(h.heads[1].figures[Figure::class_loss][1], 2);
  EXPECT_TRUE(std::isnan(h.heads[1].figures[Figure::class_loss][2]));
  EXPECT_DOUBLE_EQ(h.heads[0].figures[Figure::class_loss][2], 5);
  const std::string svg = to_svg(training_chart(h));
  EXPECT_NE(svg.find("layer 16: parts of the loss"), std::string::npos);
  EXPECT_NE(svg.find("layer 23: parts of the loss"), std::string::npos);
  EXPECT_EQ(svg.find("who moves the objectness"), std::string::npos) << "without a value, no panel";
}

TEST(TrainingHistory, LeavesOutWhatAKillCut) {
  TrainingHistory h;
  EXPECT_FALSE(h.add(kLine.substr(0, 50)));
  EXPECT_FALSE(h.add("[]"));
  EXPECT_FALSE(h.add(R"({"iteration":"x"})"));
  EXPECT_TRUE(h.add(R"({"iteration":2,"heads":[7,null]})"));
  EXPECT_TRUE(h.add(R"({"iteration":3,"loss":null,"heads":{}})"));
  EXPECT_GT(to_svg(training_chart(h)).size(), 1000u);
  EXPECT_GT(to_svg(comparison_chart({h, h})).size(), 1000u);
}

TEST(TrainingChart, PanelsShareTheIterationsAndCountThem) {
  TrainingHistory h;
  for (int i = 1; i <= 3; ++i)
    ASSERT_TRUE(h.add(cat(R"({"iteration":)", i, R"(,"loss":2,"average_loss":2)",
                          i == 3 ? R"(,"map":0.5})" : "}")));
  for (const Chart& chart : {training_chart(h), comparison_chart({h, h})})
    for (const Panel& p : chart.panels) {
      EXPECT_EQ(p.x_low, 1) << p.title;  // that of the mAP, too
      EXPECT_EQ(p.x_high, 3) << p.title;
    }
  for (const Label& l : lay_out(training_chart(h).panels[0]).labels)
    EXPECT_TRUE(l.text != "1.5" && l.text != "1.0") << l.text;
}

class ChartTest : public CliTest {};

TEST_F(ChartTest, LogsOfOneNameAreNamedWithTheirFolders) {
  const std::string line = R"({"iteration":1,"loss":2})";
  for (const char* log : {"ce/x_log.jsonl", "focal/x_log.jsonl", "p/ce/x_log.jsonl"})
    work_.put(log, line + "\n");
  const auto title = [&](std::vector<std::string> logs) {
    logs.insert(logs.begin(), "chart");
    EXPECT_EQ(work_.darknet(logs).exit_code, 0);
    return work_.get("chart.svg");
  };
  EXPECT_NE(title({"ce/x_log.jsonl", "focal/x_log.jsonl"}).find("ce/x_log against focal/x_log"),
            std::string::npos);
  EXPECT_NE(
      title({"ce/x_log.jsonl", "p/ce/x_log.jsonl"}).find("ce/x_log.jsonl against p/ce/x_log.jsonl"),
      std::string::npos);
  EXPECT_NE(
      title({"ce/x_log.jsonl", "ce/x_log.jsonl"}).find("ce/x_log.jsonl against ce/x_log.jsonl (2)"),
      std::string::npos);
}

TEST_F(ChartTest, ATrainingLeavesItsChart) {
  ASSERT_EQ(train({"-max_batches=4", "-backup", "b"}).exit_code, 0);
  EXPECT_TRUE(work_.has("b/x_chart.svg"));
  EXPECT_EQ(work_.has("b/x_chart.png"), has_canvas());
  const CommandResult drawn =
      work_.darknet({"chart", "b/x_log.jsonl", "b/x_log.jsonl", "-label", "one", "-out", "two"});
  ASSERT_EQ(drawn.exit_code, 0) << drawn.all();
  EXPECT_NE(work_.get("two.svg").find("one against x_log"), std::string::npos);
  ASSERT_EQ(work_.darknet({"chart", "b/x_log.jsonl", "b/x_log.jsonl", "-label", "-", "-out", "two"})
                .exit_code,
            0);
  EXPECT_NE(work_.get("two.svg").find("- against x_log"), std::string::npos);
}

TEST_F(ChartTest, WhatIsNoLogIsRefused) {
  work_.put("no.jsonl", std::string("{\"iteration\":1}\n"));
  work_.put("text.txt", std::string("hello\n"));
  work_.put("empty", std::string());
  expect_refused(work_.darknet({"chart", "text.txt"}), "text.txt:1");
  expect_refused(work_.darknet({"chart", "empty"}), "is empty");
  expect_refused(work_.darknet({"chart", "missing"}), "cannot read");
  const std::string sound = R"({"iteration":1,"loss":2,"heads":[{"positives":3}]})";
  for (const auto& [from, key] :
       {std::pair{"1,", "iteration"}, {"2,", "loss"}, {"3}", "positives"}}) {
    const std::string wrong = replaced(sound, from, cat("\"abc\"", std::string(from).substr(1)));
    for (const std::string& before : {std::string(), sound + "\n"}) {
      work_.put("words.jsonl", before + wrong + "\n");
      expect_refused(work_.darknet({"chart", "words.jsonl"}),
                     cat("words.jsonl:", before.empty() ? 1 : 2, ": ", key,
                         ": expected a number, got \"abc\"; mend or remove this line"));
    }
  }
  expect_refused(work_.darknet({"chart", "no.jsonl", "-label", "a", "-label", "b"}), "more labels",
                 2);
}

}  // namespace
}  // namespace darknet::test
