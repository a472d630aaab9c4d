#include <algorithm>
#include <cmath>
#include <limits>

#include "core/index.h"
#include "report/drawing.h"
#include "report/ticks.h"

namespace darknet {
namespace {

constexpr float kTitleBar = 46, kGapAbove = 8;
constexpr float kText = 9, kTitle = 11;  // heights of capital letters
constexpr float kLegendRow = 18;

// Sizes of a panel, pixels; around its plot: left, right, bottom, and above the first legend row.
struct PanelSize {
  float width, height, left, right, bottom, top;
  int ticks_x, ticks_y;
};
constexpr PanelSize kInChart{680, 330, 84, 28, 52, 34, 8, 6};
constexpr PanelSize kAlone{400, 270, 68, 16, 48, 8, 5, 5};

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
  PanelLayout(const Panel& panel, const PanelSize& size, CanvasPoint origin, Drawing& to)
      : panel_(panel),
        size_(size),
        to_(to),
        origin_(origin),
        left_(origin.x + size.left),
        right_(origin.x + size.width - size.right) {
    place_legend();
    top_ = origin.y + size.top + kLegendRow * static_cast<float>(legend_rows_) + 8;
    bottom_ = origin.y + size.height - size.bottom;
  }
  int legend_rows() const { return legend_rows_; }

  void draw(bool with_title) {
    if (with_title)
      label({(left_ + right_) / 2, origin_.y + 14}, panel_.title, Anchor::middle, kTitle);
    if (!measure()) {
      label({(left_ + right_) / 2, (top_ + bottom_) / 2}, "nothing to show yet", Anchor::middle);
      return;
    }
    axes();
    for (const Entry& e : legend_) draw_entry(e);
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
    x_ = xs.high > xs.low && !panel_.log_x ? fixed_axis(xs.low, xs.high, size_.ticks_x)
                                           : axis_for(xs.low, xs.high, size_.ticks_x, panel_.log_x);
    const double low = panel_.y_low.value_or(ys.low), high = panel_.y_high.value_or(ys.high);
    y_ = panel_.y_low && panel_.y_high
             ? fixed_axis(low, high, size_.ticks_y)
             : axis_for(low, std::max(low, high), size_.ticks_y, panel_.log_y);
    return true;
  }

  PaintRole role_of(std::size_t i) const {
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
    to_.labels.push_back({at, text, height, PaintRole::ink, anchor, false});
  }
  void line(CanvasPoint a, CanvasPoint b, PaintRole role, float width = 1) {
    to_.strokes.push_back({{a, b}, role, width});
  }

  void axes() {
    for (const Tick& t : y_.ticks) {
      line({left_, pixel_y(t.value)}, {right_, pixel_y(t.value)}, PaintRole::grid);
      label({left_ - 8, pixel_y(t.value)}, t.label, Anchor::end);
    }
    for (const Tick& t : x_.ticks) {
      line({pixel_x(t.value), top_}, {pixel_x(t.value), bottom_}, PaintRole::grid);
      label({pixel_x(t.value), bottom_ + 13}, t.label, Anchor::middle);
    }
    line({left_, bottom_}, {right_, bottom_}, PaintRole::soft);
    line({left_, top_}, {left_, bottom_}, PaintRole::soft);
    label({(left_ + right_) / 2, bottom_ + 32}, panel_.x_label, Anchor::middle);
    to_.labels.push_back({{origin_.x + 14, (top_ + bottom_) / 2},
                          panel_.y_label,
                          kText,
                          PaintRole::ink,
                          Anchor::middle,
                          true});
  }

  struct Entry {
    std::size_t series;
    CanvasPoint at;
  };
  static constexpr float kSample = 32, kApart = 16;  // the sample of a line; between entries

  // In rows above the plot, where it covers no data.
  void place_legend() {
    float x = left_;
    for (std::size_t i = 0; i < panel_.series.size(); ++i) {
      if (panel_.series[i].name.empty()) continue;
      const float width =
          kSample + static_cast<float>(text_size(panel_.series[i].name, name_style()).width);
      if (legend_rows_ == 0 || x + width > right_ + 8) ++legend_rows_, x = left_;
      legend_.push_back(
          {i, {x, origin_.y + size_.top + kLegendRow * static_cast<float>(legend_rows_) - 9}});
      x += width + kApart;
    }
  }
  TextStyle name_style() const {
    return {static_cast<std::int64_t>(kText), {}, std::llround(right_ - left_ - kSample)};
  }
  void draw_entry(const Entry& e) {
    const Series& s = panel_.series[e.series];
    const auto [x, y] = e.at;
    if (s.mark == Series::Mark::line)
      line({x, y}, {x + 26, y}, role_of(e.series), 2.2f);
    else
      to_.dots.push_back({{x + 13, y}, 4, role_of(e.series)});
    label({x + kSample, y}, s.name, Anchor::start);
    to_.labels.back().max_width = static_cast<float>(name_style().max_width);
  }

  void series(const Series& s, PaintRole role) {
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
      stay.push_back(to_size(low - points.begin()));
      stay.push_back(to_size(high - points.begin()));
      std::sort(stay.begin(), stay.end());
      stay.erase(std::unique(stay.begin(), stay.end()), stay.end());
      for (const std::size_t i : stay) kept.push_back(points[i]);
      begin = end;
    }
    points = std::move(kept);
  }

  const Panel& panel_;
  const PanelSize& size_;
  Drawing& to_;
  CanvasPoint origin_;
  float left_, right_, top_ = 0, bottom_ = 0;
  std::vector<Entry> legend_;
  int legend_rows_ = 0;
  Axis x_, y_;
};

}  // namespace

bool has_data(const Panel& p) {
  for (const Series& s : p.series)
    for (std::size_t i = 0; i < std::min(s.x.size(), s.y.size()); ++i)
      if (shows(p, s.x[i], s.y[i])) return true;
  return false;
}

Drawing lay_out(const Chart& chart) {
  std::vector<const Panel*> shown;
  for (const Panel& p : chart.panels)
    if (has_data(p)) shown.push_back(&p);
  if (shown.empty() && !chart.panels.empty()) shown.push_back(&chart.panels.front());
  const auto panels = std::ssize(shown);
  const std::int64_t columns = std::clamp<std::int64_t>(panels, 1, chart.columns);
  const std::int64_t rows = (panels + columns - 1) / columns;
  const float bar = chart.title.empty() ? kGapAbove : kTitleBar;
  Drawing d{
      .width = columns * static_cast<std::int64_t>(kInChart.width),
      .height = static_cast<std::int64_t>(bar) + rows * static_cast<std::int64_t>(kInChart.height)};
  d.labels.push_back({{static_cast<float>(d.width) / 2, kTitleBar / 2},
                      chart.title,
                      13,
                      PaintRole::ink,
                      Anchor::middle,
                      false});
  for (std::int64_t i = 0; i < panels; ++i)
    PanelLayout(*shown[to_size(i)], kInChart,
                {static_cast<float>(i % columns) * kInChart.width,
                 bar + static_cast<float>(i / columns) * kInChart.height},
                d)
        .draw(true);
  return d;
}

// Higher by the rows of its legend, so that the plot is as high as any.
Drawing lay_out(const Panel& panel) {
  Drawing d{.width = static_cast<std::int64_t>(kAlone.width)};
  PanelSize size = kAlone;
  size.height += kLegendRow * static_cast<float>(PanelLayout(panel, size, {}, d).legend_rows());
  d.height = static_cast<std::int64_t>(size.height);
  PanelLayout(panel, size, {}, d).draw(false);
  return d;
}

}  // namespace darknet
