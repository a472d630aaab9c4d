// Axes: where they end, and their ticks.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "report/chart.h"
#include "report/drawing.h"
#include "report/ticks.h"

namespace darknet::test {
namespace {

TEST(Ticks, StandAtRoundNumbersAndHoldTheData) {
  const Axis axis = axis_for(.13, 9.7, 6, false);
  EXPECT_DOUBLE_EQ(axis.low, 0);
  EXPECT_DOUBLE_EQ(axis.high, 10);
  ASSERT_EQ(axis.ticks.size(), 6u);
  EXPECT_EQ(axis.ticks[1].label, "2");
  EXPECT_EQ(axis_for(0, .0025, 6, false).ticks.back().label, "0.0025");
}

std::vector<std::string> labels_of(const Axis& axis) {
  std::vector<std::string> labels;
  for (const Tick& t : axis.ticks) labels.push_back(t.label);
  return labels;
}

TEST(Ticks, LogarithmicOnesAreDecadesWithinTightBounds) {
  const Axis axis = axis_for(.003, 40, 6, true);
  EXPECT_NEAR(axis.low, .002, 1e-12);
  EXPECT_NEAR(axis.high, 50, 1e-9);
  EXPECT_NEAR(axis.place(std::sqrt(.002 * 50)), .5, 1e-6);
  EXPECT_EQ(labels_of(axis), (std::vector<std::string>{"0.01", "0.1", "1", "10"}));
  EXPECT_EQ(labels_of(axis_for(148, 14971, 5, true)),
            (std::vector<std::string>{"100", "1000", "10000"}));
  EXPECT_EQ(labels_of(axis_for(3e-7, .9, 6, true)),
            (std::vector<std::string>{"1e-6", "1e-5", "0.0001", "0.001", "0.01", "0.1", "1"}));
}

TEST(Ticks, LogarithmicOnesEndForAnyValues) {
  for (const auto& [low, high] : {std::pair{5e-324, 1.}, {1., 1.7e308}, {5e-324, 1.7e308}}) {
    const Axis axis = axis_for(low, high, 6, true);
    EXPECT_LT(axis.low, axis.high);
    EXPECT_GE(axis.ticks.size(), 2u);
    EXPECT_LE(axis.ticks.size(), 7u);
    EXPECT_GE(axis.place(1), 0);
    EXPECT_LE(axis.place(1), 1);
  }
}

TEST(Ticks, LogarithmicOnesOfLessThanTwoDecadesAreMoreThanDecades) {
  EXPECT_EQ(labels_of(axis_for(3, 40, 6, true)),
            (std::vector<std::string>{"2", "5", "10", "20", "50"}));
  const Axis one = axis_for(5, 5, 6, true);
  EXPECT_LT(one.low, one.high);
  EXPECT_EQ(labels_of(one), (std::vector<std::string>{"5", "10"}));
}

TEST(Ticks, OneValueAndWideRangesHaveAnAxisToo) {
  for (const double v : {0., 5., -3., 1e-300, 1e300}) {
    const Axis axis = axis_for(v, v, 6, false);
    EXPECT_LT(axis.low, axis.high) << v;
    EXPECT_GE(axis.ticks.size(), 2u) << v;
  }
}

TEST(Ticks, LogarithmicOnesAreAsFewAsAskedFor) {
  constexpr int kMost = 5;
  EXPECT_EQ(labels_of(axis_for(1.5, 60, kMost, true)),
            (std::vector<std::string>{"1", "10", "100"}));
  EXPECT_EQ(labels_of(axis_for(1.5, 25, kMost, true)),
            (std::vector<std::string>{"1", "2", "5", "10", "20", "50"}));
  for (double low = .01; low < 20; low *= 1.3)
    for (double factor = 1.1; factor < 1e9; factor *= 1.7) {
      const Axis axis = axis_for(low, low * factor, kMost, true);
      EXPECT_GE(axis.ticks.size(), 2u) << low << " to " << low * factor;
      EXPECT_LE(axis.ticks.size(), kMost + 1u) << low << " to " << low * factor;
      EXPECT_LE(axis.low, low * (1 + 1e-9));
      EXPECT_GE(axis.high, low * factor * (1 - 1e-9));
    }
}

TEST(Ticks, BoundsThatAreNoNumbersHaveAnAxisToo) {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  constexpr double kInfinite = std::numeric_limits<double>::infinity();
  for (const bool log : {false, true})
    for (const auto& [low, high] : {std::pair{kNan, 1.},
                                    {1., kNan},
                                    {kNan, kNan},
                                    {1., kInfinite},
                                    {-kInfinite, 1.},
                                    {-kInfinite, kInfinite},
                                    {kInfinite, kInfinite}}) {
      const Axis axis = axis_for(low, high, 5, log);
      EXPECT_TRUE(std::isfinite(axis.low) && std::isfinite(axis.high)) << low << " to " << high;
      EXPECT_LT(axis.low, axis.high) << low << " to " << high;
      EXPECT_GE(axis.ticks.size(), 2u) << low << " to " << high;
      EXPECT_LE(axis.ticks.size(), 12u) << low << " to " << high;
    }
}

// As in a comparison where one variant has the lowest value, of one seed, and the interval of
// another reaches beyond 100 %.
TEST(Layout, AFreeEndOfNamedRowsIsRoundedWhereTheOtherIsGiven) {
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  Panel p{.series = {{.x = {61.3, 97},
                      .y = {0, 1},
                      .mark = Series::Mark::intervals,
                      .low = {kNone, 92},
                      .high = {kNone, 102}}},
          .rows = {"one seed", "three seeds"}};
  keep_within(p, 0, 100);
  ASSERT_EQ(p.x_high, 100);
  ASSERT_FALSE(p.x_low);
  const Drawing d = lay_out(p);
  float plot_left = 1e9f, plot_right = 0;
  for (const Stroke& s : d.strokes)
    if (s.role == PaintRole::grid)
      for (const CanvasPoint& at : s.points)
        plot_left = std::min(plot_left, at.x), plot_right = std::max(plot_right, at.x);
  float first = 1e9f;
  for (const Dot& dot : d.dots) first = std::min(first, dot.centre.x);
  EXPECT_GT(first, plot_left + 4.5f);
  std::vector<std::string> labels;
  for (const Label& l : d.labels) labels.push_back(l.text);
  for (const char* end : {"60", "100"}) EXPECT_EQ(std::ranges::count(labels, end), 1) << end;
  EXPECT_EQ(std::ranges::count(labels, "110"), 0);
}

TEST(Layout, OnlyIntervalsThatAreDrawnEndWhereValuesDo) {
  Panel p{.series = {{.x = {1, 2}, .y = {1, 2}, .low = {-5, 0}, .high = {500, 3}}}};  // a line
  keep_within(p, 0, 100);
  EXPECT_FALSE(p.y_low || p.y_high);
  p.series[0].mark = Series::Mark::ranges;
  p.series[0].high[0] = std::numeric_limits<double>::infinity();
  keep_within(p, 0, 100);
  EXPECT_FALSE(p.y_low || p.y_high);
  p.series[0].high[0] = 500, p.series[0].x[0] = 0, p.log_x = true;
  keep_within(p, 0, 100);
  EXPECT_FALSE(p.y_low || p.y_high);
  p.log_x = false;
  keep_within(p, 0, 100);
  EXPECT_EQ(p.y_low, 0);
  EXPECT_EQ(p.y_high, 100);
}

}  // namespace
}  // namespace darknet::test
