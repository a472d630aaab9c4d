#include <algorithm>
#include <cmath>
#include <limits>

#include "report/drawing.h"
#include "report/ticks.h"

namespace darknet {
namespace {

constexpr float kPanelWidth = 680, kPanelHeight = 330;
constexpr float kLeft = 84, kRight = 28, kTop = 62, kBottom = 52;  // around the plot of a panel
constexpr float kTitleBar = 46, kGapAbove = 8;
constexpr float kText = 9, kTitle = 11;  // heights of capital letters
constexpr int kTicksX = 8, kTicksY = 6;

struct Bounds {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();
  void add(double v) { low = std::min(low, v), high = std::max(high, v); }
  bool empty() const { return low > high; }
};

bool shows(const Panel& p, double x, double y) {
  return std::isfinite(x) && std::isfinite(y) && (!p.log_x || x > 0) && (!p.log_y || y > 0);
}

// One panel at its place.
class PanelLayout {
 public:
  PanelLayout(const Panel& panel, float x, float y, Drawing& to)
      : panel_(panel),
        to_(to),
        origin_{x, y},
        left_(x + kLeft),
        top_(y + kTop),
        right_(x + kPanelWidth - kRight),
        bottom_(y + kPanelHeight - kBottom) {}

  void draw() {
    label({(left_ + right_) / 2, origin_.y + 14}, panel_.title, Anchor::middle, kTitle);
    if (!measure()) {
      label({(left_ + right_) / 2, (top_ + bottom_) / 2}, "nothing to show yet", Anchor::middle);
      return;
    }
    axes();
    legend();
    for (std::size_t i = 0; i < panel_.series.size(); ++i) series(panel_.series[i], role_of(i));
  }

 private:
  bool measure() {
    Bounds xs, ys;
    for (const Series& s : panel_.series)
      for (std::size_t i = 0; i < std::min(s.x.size(), s.y.size()); ++i)
        if (shows(panel_, s.x[i], s.y[i])) xs.add(s.x[i]), ys.add(s.y[i]);
    if (xs.empty()) return false;
    xs = {panel_.x_low.value_or(xs.low), panel_.x_high.value_or(xs.high)};
    x_ = xs.high > xs.low && !panel_.log_x ? fixed_axis(xs.low, xs.high, kTicksX)
                                           : axis_for(xs.low, xs.high, kTicksX, panel_.log_x);
    const double low = panel_.y_low.value_or(ys.low), high = panel_.y_high.value_or(ys.high);
    y_ = panel_.y_low && panel_.y_high ? fixed_axis(low, high, kTicksY)
                                       : axis_for(low, std::max(low, high), kTicksY, panel_.log_y);
    return true;
  }

  Role role_of(std::size_t i) const {
    const int style = panel_.series[i].style;
    return series_role(style >= 0 ? style : static_cast<int>(i));
  }
  float pixel_x(double v) const {
    return left_ + (right_ - left_) * static_cast<float>(x_.place(v));
  }
  float pixel_y(double v) const {
    const double inside = std::clamp(y_.place(v), 0., 1.);
    return bottom_ - (bottom_ - top_) * static_cast<float>(inside);
  }
  void label(CanvasPoint at, const std::string& text, Anchor anchor, float height = kText) {
    to_.labels.push_back({at, text, height, Role::ink, anchor, false});
  }
  void line(CanvasPoint a, CanvasPoint b, Role role, float width = 1) {
    to_.strokes.push_back({{a, b}, role, width});
  }

  void axes() {
    for (const Tick& t : y_.ticks) {
      line({left_, pixel_y(t.value)}, {right_, pixel_y(t.value)}, Role::grid);
      label({left_ - 8, pixel_y(t.value)}, t.label, Anchor::end);
    }
    for (const Tick& t : x_.ticks) {
      line({pixel_x(t.value), top_}, {pixel_x(t.value), bottom_}, Role::grid);
      label({pixel_x(t.value), bottom_ + 13}, t.label, Anchor::middle);
    }
    line({left_, bottom_}, {right_, bottom_}, Role::soft);
    line({left_, top_}, {left_, bottom_}, Role::soft);
    label({(left_ + right_) / 2, bottom_ + 34}, panel_.x_label, Anchor::middle);
    to_.labels.push_back({{origin_.x + 14, (top_ + bottom_) / 2},
                          panel_.y_label,
                          kText,
                          Role::ink,
                          Anchor::middle,
                          true});
  }

  // In a row above the plot, where it covers no data; what has no room is left to the title.
  void legend() {
    float x = left_;
    const float y = origin_.y + 42;
    for (std::size_t i = 0; i < panel_.series.size(); ++i) {
      const std::string& name = panel_.series[i].name;
      if (name.empty()) continue;
      const auto width =
          static_cast<float>(text_size(name, static_cast<std::int64_t>(kText)).width);
      if (x + 34 + width > right_ + kRight) break;
      if (panel_.series[i].mark == Series::Mark::line)
        line({x, y}, {x + 26, y}, role_of(i), 2.2f);
      else
        to_.dots.push_back({{x + 13, y}, 4, role_of(i)});
      label({x + 32, y}, name, Anchor::start);
      x += 32 + width + 18;
    }
  }

  void series(const Series& s, Role role) {
    const std::size_t count = std::min(s.x.size(), s.y.size());
    Stroke stroke{.role = role, .width = 2};
    for (std::size_t i = 0; i <= count; ++i) {
      const bool gap = i == count || !shows(panel_, s.x[i], s.y[i]);
      if (!gap && s.mark == Series::Mark::points)
        to_.dots.push_back({{pixel_x(s.x[i]), pixel_y(s.y[i])}, 2.2f, role});
      else if (!gap)
        stroke.points.push_back({pixel_x(s.x[i]), pixel_y(s.y[i])});
      else
        finish(stroke);
    }
  }
  void finish(Stroke& stroke) {
    if (stroke.points.size() == 1) to_.dots.push_back({stroke.points.front(), 3, stroke.role});
    if (stroke.points.size() > 1) {
      thin(stroke.points);
      to_.strokes.push_back(stroke);
    }
    stroke.points.clear();
  }
  // Of the points in one pixel's column the first, the lowest, the highest and the last stay.
  static void thin(std::vector<CanvasPoint>& points) {
    std::vector<CanvasPoint> kept;
    for (std::size_t begin = 0; begin < points.size();) {
      std::size_t end = begin;
      while (end < points.size() && std::floor(points[end].x) == std::floor(points[begin].x)) ++end;
      std::vector<std::size_t> stay{begin, end - 1};
      const auto at = [&](std::size_t i) {
        return points.begin() + static_cast<std::ptrdiff_t>(i);
      };
      const auto [low, high] = std::minmax_element(
          at(begin), at(end), [](CanvasPoint a, CanvasPoint b) { return a.y < b.y; });
      stay.push_back(static_cast<std::size_t>(low - points.begin()));
      stay.push_back(static_cast<std::size_t>(high - points.begin()));
      std::sort(stay.begin(), stay.end());
      stay.erase(std::unique(stay.begin(), stay.end()), stay.end());
      for (const std::size_t i : stay) kept.push_back(points[i]);
      begin = end;
    }
    points = std::move(kept);
  }

  const Panel& panel_;
  Drawing& to_;
  CanvasPoint origin_;
  float left_, top_, right_, bottom_;
  Axis x_, y_;
};

}  // namespace

Drawing lay_out(const Chart& chart) {
  const auto panels = static_cast<std::int64_t>(chart.panels.size());
  const std::int64_t columns = std::clamp<std::int64_t>(panels, 1, 2), rows = (panels + 1) / 2;
  const float bar = chart.title.empty() ? kGapAbove : kTitleBar;
  Drawing d{
      .width = columns * static_cast<std::int64_t>(kPanelWidth),
      .height = static_cast<std::int64_t>(bar) + rows * static_cast<std::int64_t>(kPanelHeight)};
  d.labels.push_back({{static_cast<float>(d.width) / 2, kTitleBar / 2},
                      chart.title,
                      13,
                      Role::ink,
                      Anchor::middle,
                      false});
  for (std::int64_t i = 0; i < panels; ++i)
    PanelLayout(chart.panels[static_cast<std::size_t>(i)],
                static_cast<float>(i % columns) * kPanelWidth,
                bar + static_cast<float>(i / columns) * kPanelHeight, d)
        .draw();
  return d;
}

}  // namespace darknet
