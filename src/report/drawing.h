// A chart laid out: strokes, areas, dots and labels at their pixels, with the part each plays
// instead of a colour. SVG and images are two ways to write one Drawing.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "image/canvas.h"
#include "report/chart.h"

namespace darknet {

inline constexpr int kStyles = 8;
// What an element is; series k is `series` + k.
enum class PaintRole : std::uint8_t { paper, ink, soft, grid, series };
PaintRole series_role(int style);

// Lengths of stroke and gap of a style's lines; empty: whole.
std::span<const float> dash_of(PaintRole);
Colour colour_of(PaintRole, Theme);

enum class Anchor : std::uint8_t { start, middle, end };

struct Stroke {
  std::vector<CanvasPoint> points;
  PaintRole role = PaintRole::ink;
  float width = 1;
  bool whole = false;  // without the dashes of its series
};
struct Dot {
  CanvasPoint centre;
  float radius = 1;
  PaintRole role = PaintRole::ink;
};
struct Area {  // beneath all strokes and dots of data
  std::vector<CanvasPoint> corners;
  PaintRole role = PaintRole::ink;
  float opacity = 1;
};
struct Label {
  CanvasPoint at;  // anchor across, middle of a capital letter up and down
  std::string text;
  float height = 9;  // of a capital letter, pixels
  PaintRole role = PaintRole::ink;
  Anchor anchor = Anchor::start;
  bool upwards = false;
  float max_width = 0;  // pixels; 0: no limit
};

struct Drawing {
  std::int64_t width = 0, height = 0;
  std::vector<Stroke> strokes;
  std::vector<Area> areas;
  std::vector<Dot> dots;
  std::vector<Label> labels;
};

Drawing lay_out(const Chart&);
Drawing lay_out(const Panel&);  // without its title

}  // namespace darknet
