#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "core/index.h"
#include "report/drawing.h"
#include "report/ticks.h"

namespace darknet {
namespace {

constexpr float kTitleBar = 46, kGapAbove = 8;
constexpr float kText = 9, kTitle = 11;  // heights of capital letters
constexpr float kLegendRow = 18;
constexpr float kAxisName = 26, kTickGap = 8;  // left of the labels of ticks, and right of them
constexpr float kRow = 46, kMapCell = 44;      // at least, of named rows and of heat maps
// A row's name stands above what it shows; in rows, which are 1 high.
constexpr double kNameOfRow = -.3;

// Sizes of a panel, pixels; around its plot: left, right, bottom, and above the first legend row.
struct PanelSize {
  float width, height, left, right, bottom, top;
  int ticks_x, ticks_y;
};
constexpr PanelSize kInChart{680, 330, 84, 28, 52, 34, 8, 6};
constexpr PanelSize kAlone{400, 270, 68, 16, 48, 8, 5, 5};

// Named rows and heat maps are as high as they need.
float height_of(const Panel& p, const PanelSize& size) {
  const float around = size.top + size.bottom + 8;
  if (p.heat)
    return std::max(size.height, around + kMapCell * static_cast<float>(p.heat->rows.size()));
  return p.rows.empty() ? size.height : around + kRow * static_cast<float>(p.rows.size());
}

struct Bounds {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();
  void add(double v) { low = std::min(low, v), high = std::max(high, v); }
  bool empty() const { return low > high; }
};

bool shows(const Panel& p, double x, double y) {
  return std::isfinite(x) && std::isfinite(y) && (!p.log_x || x > 0) && (!p.log_y || y > 0);
}
// The value and, of a band, its edges.
bool shows(const Panel& p, const Series& s, std::size_t i) {
  if (s.mark != Series::Mark::band) return shows(p, s.x[i], s.y[i]);
  return shows(p, s.x[i], s.low[i]) && shows(p, s.x[i], s.high[i]);
}
std::size_t size_of(const Series& s) {
  const std::size_t values = std::min(s.x.size(), s.y.size());
  const bool wide = s.mark == Series::Mark::intervals || s.mark == Series::Mark::ranges ||
                    s.mark == Series::Mark::band;
  return wide ? std::min({values, s.low.size(), s.high.size()}) : values;
}

bool has_interval(const Series& s, std::size_t i) {
  return i < std::min(s.low.size(), s.high.size()) && std::isfinite(s.low[i]) &&
         std::isfinite(s.high[i]);
}

void add_bounds(const Panel& p, const Series& s, Bounds& xs, Bounds& ys) {
  for (std::size_t i = 0; i < size_of(s); ++i) {
    if (!shows(p, s, i)) continue;
    xs.add(s.x[i]);
    if (s.mark == Series::Mark::band)
      ys.add(s.low[i]), ys.add(s.high[i]);
    else
      ys.add(s.y[i]);
    if (!has_interval(s, i)) continue;
    if (s.mark == Series::Mark::intervals) xs.add(s.low[i]), xs.add(s.high[i]);
    if (s.mark == Series::Mark::ranges) ys.add(s.low[i]), ys.add(s.high[i]);
  }
}
struct PanelBounds {
  Bounds xs, ys;
};
PanelBounds bounds_of(const Panel& p) {
  PanelBounds b;
  for (const Series& s : p.series) add_bounds(p, s, b.xs, b.ys);
  return b;
}

// A given end stays as it is, the other one is rounded as of axis_for().
Axis axis_of(const Bounds& data, const std::optional<double>& low,
             const std::optional<double>& high, int max_ticks, bool log) {
  const double from = low.value_or(data.low), to = std::max(from, high.value_or(data.high));
  if (low && high && !log) return fixed_axis(from, to, max_ticks);
  Axis axis = axis_for(from, to, max_ticks, log);
  if (log || to <= from) return axis;
  if (low) axis.low = from;
  if (high) axis.high = to;
  const double rounding = 1e-9 * (axis.high - axis.low);
  std::erase_if(axis.ticks, [&](const Tick& t) {
    return t.value < axis.low - rounding || t.value > axis.high + rounding;
  });
  return axis;
}

// One panel at its place.
class PanelLayout {
 public:
  PanelLayout(const Panel& panel, const PanelSize& size, CanvasPoint origin, Drawing& to)
      : panel_(panel),
        size_(size),
        to_(to),
        origin_(origin),
        right_(origin.x + size.width - size.right),
        measured_(!panel.heat && measure()) {
    left_ = origin.x + std::max(size.left, room_of_ticks());
    place_legend();
    top_ = origin.y + size.top + kLegendRow * static_cast<float>(legend_rows_) + 8;
    bottom_ = origin.y + size.height - size.bottom;
  }
  int legend_rows() const { return legend_rows_; }

  void draw(bool with_title) {
    if (panel_.heat && has_data(panel_)) return draw_heat(with_title);
    if (with_title)
      label({(left_ + right_) / 2, origin_.y + 14}, panel_.title, Anchor::middle, kTitle);
    if (!measured_) {
      label({(left_ + right_) / 2, (top_ + bottom_) / 2}, panel_.when_empty, Anchor::middle);
      return;
    }
    axes();
    for (const Entry& e : legend_) draw_entry(e);
    for (std::size_t i = 0; i < panel_.series.size(); ++i)
      draw_series(panel_.series[i], role_of(i));
  }

 private:
  bool measure() {
    const auto [xs, ys] = bounds_of(panel_);
    if (xs.empty()) return false;
    const double left = panel_.x_low.value_or(xs.low), right = panel_.x_high.value_or(xs.high);
    // Of named rows a free end is rounded: dots at the very edge would be cut.
    x_ = panel_.rows.empty() && !panel_.log_x && right > left
             ? fixed_axis(left, right, size_.ticks_x)
             : axis_of(xs, panel_.x_low, panel_.x_high, size_.ticks_x, panel_.log_x);
    if (panel_.whole_x) keep_whole_ticks(x_);
    if (!panel_.rows.empty()) {
      y_ = {.low = static_cast<double>(panel_.rows.size()) - .5, .high = -.5};
      return true;
    }
    y_ = axis_of(ys, panel_.y_low, panel_.y_high, size_.ticks_y, panel_.log_y);
    return true;
  }

  // What the labels on the left take, between the name of the axis and the plot.
  float room_of_ticks() const {
    float widest = 0;
    for (const Tick& t : y_.ticks) widest = std::max(widest, width_of(t.label));
    if (panel_.heat)
      for (const std::string& row : panel_.heat->rows) widest = std::max(widest, width_of(row));
    return widest > 0 ? std::min(kAxisName + widest + kTickGap, size_.width / 2) : 0;
  }
  static float width_of(const std::string& text) {
    return static_cast<float>(text_size(text, {static_cast<std::int64_t>(kText)}).width);
  }

  PaintRole role_of(std::size_t i) const {
    const int style = panel_.series[i].style;
    return series_role(style >= 0 ? style : static_cast<int>(i));
  }
  float pixel_x(double v) const {
    return left_ + (right_ - left_) * static_cast<float>(std::clamp(x_.place(v), 0., 1.));
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

  // Names stand over the plot, however long they are.
  void row_names() {
    for (std::size_t i = 0; i < panel_.rows.size(); ++i) {
      const double row = static_cast<double>(i);
      if (i > 0) line({left_, pixel_y(row - .5)}, {right_, pixel_y(row - .5)}, PaintRole::grid);
      label({left_ + 6, pixel_y(row + kNameOfRow)}, panel_.rows[i], Anchor::start);
      to_.labels.back().max_width = right_ - left_ - 12;
    }
  }

  void axes() {
    row_names();
    for (const Tick& t : y_.ticks) {
      line({left_, pixel_y(t.value)}, {right_, pixel_y(t.value)}, PaintRole::grid);
      label({left_ - kTickGap, pixel_y(t.value)}, t.label, Anchor::end);
    }
    for (const Tick& t : x_.ticks) {
      line({pixel_x(t.value), top_}, {pixel_x(t.value), bottom_}, PaintRole::grid);
      // Within the panel: "100000" at its edge would be cut to "10000".
      const float half = width_of(t.label) / 2 + 1;
      label({std::min(pixel_x(t.value), origin_.x + size_.width - half), bottom_ + 13}, t.label,
            Anchor::middle);
    }
    line({left_, bottom_}, {right_, bottom_}, PaintRole::soft);
    line({left_, top_}, {left_, bottom_}, PaintRole::soft);
    axis_names();
  }
  void axis_names() {
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
    if (s.mark == Series::Mark::ranges)
      line({x + 13, y - 8}, {x + 13, y + 8}, role_of(e.series), 2.2f);
    if (s.mark == Series::Mark::line || s.mark == Series::Mark::intervals)
      line({x, y}, {x + 26, y}, role_of(e.series), 2.2f);
    if (s.mark != Series::Mark::line) to_.dots.push_back({{x + 13, y}, 4, role_of(e.series)});
    label({x + kSample, y}, s.name, Anchor::start);
    to_.labels.back().max_width = static_cast<float>(name_style().max_width);
  }

  void draw_series(const Series& s, PaintRole role) {
    if (s.mark == Series::Mark::band) return draw_band(s, role);
    const std::size_t count = size_of(s);
    Stroke stroke{.role = role, .width = 2};
    for (std::size_t i = 0; i <= count; ++i) {
      const bool gap = i == count || !shows(panel_, s, i);
      if (!gap && s.mark == Series::Mark::points)
        to_.dots.push_back(
            {{pixel_x(s.x[i]), pixel_y(s.y[i])}, panel_.rows.empty() ? 2.2f : 3.2f, role});
      else if (!gap && (s.mark == Series::Mark::intervals || s.mark == Series::Mark::ranges))
        draw_interval(s, i, role);
      else if (!gap)
        stroke.points.push_back({pixel_x(s.x[i]), pixel_y(s.y[i])});
      else
        finish(stroke);
    }
  }
  // Its ends have caps; where it leaves the plot it has none.
  void draw_interval(const Series& s, std::size_t i, PaintRole role) {
    constexpr float kCap = 4;
    const CanvasPoint centre{pixel_x(s.x[i]), pixel_y(s.y[i])};
    to_.dots.push_back({centre, 4.5f, role});
    if (!has_interval(s, i)) return;
    const bool upright = s.mark == Series::Mark::ranges;
    const auto place = [&](double v) {
      return upright ? CanvasPoint{centre.x, pixel_y(v)} : CanvasPoint{pixel_x(v), centre.y};
    };
    to_.strokes.push_back({{place(s.low[i]), place(s.high[i])}, role, 2, true});
    const float across = upright ? kCap : 0, along = kCap - across;
    for (const double end : {s.low[i], s.high[i]}) {
      const double inside = (upright ? y_ : x_).place(end);
      if (inside < 0 || inside > 1) continue;
      const auto [x, y] = place(end);
      to_.strokes.push_back({{{x - across, y - along}, {x + across, y + along}}, role, 2, true});
    }
  }

  void draw_band(const Series& s, PaintRole role) {
    constexpr float kOpacity = .16f;
    std::vector<CanvasPoint> upper, lower;
    const auto close = [&] {
      upper.insert(upper.end(), lower.rbegin(), lower.rend());
      if (upper.size() > 2) to_.areas.push_back({std::move(upper), role, kOpacity});
      upper.clear(), lower.clear();
    };
    for (std::size_t i = 0; i < size_of(s); ++i) {
      if (!shows(panel_, s, i)) {
        close();
        continue;
      }
      upper.push_back({pixel_x(s.x[i]), pixel_y(s.high[i])});
      lower.push_back({pixel_x(s.x[i]), pixel_y(s.low[i])});
    }
    close();
  }

  void draw_heat(bool with_title) {
    const HeatMap& heat = *panel_.heat;
    if (with_title)
      label({(left_ + right_) / 2, origin_.y + 14}, panel_.title, Anchor::middle, kTitle);
    Bounds values;
    for (const HeatCell& c : heat.cells)
      if (std::isfinite(c.value)) values.add(c.value);
    x_ = {.low = -.5, .high = static_cast<double>(heat.columns.size()) - .5};
    y_ = {.low = -.5, .high = static_cast<double>(heat.rows.size()) - .5};
    for (const HeatCell& c : heat.cells)
      if (std::isfinite(c.value)) draw_cell(c, values);
    for (std::size_t k = 0; k < heat.columns.size(); ++k)
      label({pixel_x(static_cast<double>(k)), bottom_ + 13}, heat.columns[k], Anchor::middle);
    for (std::size_t k = 0; k < heat.rows.size(); ++k) {
      label({left_ - kTickGap, pixel_y(static_cast<double>(k))}, heat.rows[k], Anchor::end);
      to_.labels.back().max_width = left_ - kTickGap - origin_.x - kAxisName;
    }
    axis_names();
  }
  // Shades that text can be read on in both themes.
  void draw_cell(const HeatCell& c, const Bounds& values) {
    constexpr float kFaint = .06f, kFull = .6f, kGap = 1.5f;
    const double column = static_cast<double>(c.column), row = static_cast<double>(c.row);
    const double range = values.high - values.low;
    const double place = range > 0 ? (c.value - values.low) / range : .5;
    const float l = pixel_x(column - .5) + kGap, r = pixel_x(column + .5) - kGap;
    const float t = pixel_y(row + .5) + kGap, b = pixel_y(row - .5) - kGap;
    to_.areas.push_back({{{l, t}, {r, t}, {r, b}, {l, b}},
                         series_role(0),
                         kFaint + (kFull - kFaint) * static_cast<float>(place)});
    const float middle = (l + r) / 2, centre = (t + b) / 2, apart = c.note.empty() ? 0 : 8;
    label({middle, centre - apart}, c.text, Anchor::middle);
    to_.labels.back().max_width = r - l;
    if (c.note.empty()) return;
    label({middle, centre + apart}, c.note, Anchor::middle);
    to_.labels.back().max_width = r - l;
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
  float left_ = 0, right_, top_ = 0, bottom_ = 0;
  std::vector<Entry> legend_;
  int legend_rows_ = 0;
  Axis x_, y_;
  bool measured_;  // there is something to show; after x_ and y_, which measure() sets
};

// What the legend of a panel in a chart takes that its height does not hold already.
float room_of_legend(const Panel& p) {
  constexpr int kHeld = 2;  // rows
  Drawing unused;
  const int rows = PanelLayout(p, kInChart, {}, unused).legend_rows();
  return kLegendRow *
         static_cast<float>(p.rows.empty() ? std::max(0, rows - kHeld) : std::max(rows, kHeld));
}

}  // namespace

void keep_within(Panel& p, double low, double high) {
  const auto [xs, ys] = bounds_of(p);
  const Bounds& reached = p.rows.empty() ? ys : xs;
  if (reached.low < low) (p.rows.empty() ? p.y_low : p.x_low) = low;
  if (reached.high > high) (p.rows.empty() ? p.y_high : p.x_high) = high;
}

bool has_data(const Panel& p) {
  if (p.heat)
    return std::any_of(p.heat->cells.begin(), p.heat->cells.end(),
                       [](const HeatCell& c) { return std::isfinite(c.value); });
  for (const Series& s : p.series)
    for (std::size_t i = 0; i < size_of(s); ++i)
      if (shows(p, s, i)) return true;
  return false;
}

Drawing lay_out(const Chart& chart) {
  std::vector<const Panel*> shown;
  for (const Panel& p : chart.panels)
    if (has_data(p)) shown.push_back(&p);
  if (shown.empty() && !chart.panels.empty()) shown.push_back(&chart.panels.front());
  const std::size_t columns = std::clamp<std::size_t>(shown.size(), 1, to_size(chart.columns));
  Drawing d{.width =
                static_cast<std::int64_t>(columns) * static_cast<std::int64_t>(kInChart.width)};
  float top = chart.title.empty() ? kGapAbove : kTitleBar;
  for (std::size_t first = 0; first < shown.size(); first += columns) {
    PanelSize size = kInChart;
    const std::size_t end = std::min(first + columns, shown.size());
    for (std::size_t i = first; i < end; ++i)
      size.height =
          std::max(size.height, height_of(*shown[i], kInChart) + room_of_legend(*shown[i]));
    for (std::size_t i = first; i < end; ++i)
      PanelLayout(*shown[i], size, {static_cast<float>(i - first) * size.width, top}, d).draw(true);
    top += size.height;
  }
  d.height = static_cast<std::int64_t>(top);
  d.labels.push_back({{static_cast<float>(d.width) / 2, kTitleBar / 2},
                      chart.title,
                      13,
                      PaintRole::ink,
                      Anchor::middle,
                      false});
  return d;
}

// Higher by the rows of its legend, so that the plot is as high as any.
Drawing lay_out(const Panel& panel) {
  Drawing d{.width = static_cast<std::int64_t>(kAlone.width)};
  PanelSize size = kAlone;
  size.height = height_of(panel, kAlone);
  if (!panel.rows.empty()) size.left = size.right;  // there are no ticks
  size.height += kLegendRow * static_cast<float>(PanelLayout(panel, size, {}, d).legend_rows());
  d.height = static_cast<std::int64_t>(size.height);
  PanelLayout(panel, size, {}, d).draw(false);
  return d;
}

}  // namespace darknet
