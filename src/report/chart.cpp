#include "report/chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "core/file.h"
#include "core/index.h"
#include "core/utf8.h"
#include "image/canvas.h"
#include "report/drawing.h"

namespace darknet {
namespace {

// Okabe and Ito's palette, apart for colour-blind eyes; the dashes keep the lines apart in grey.
constexpr std::array<Colour, kStyles> kOnLight{{{0, 114, 178},
                                                {213, 94, 0},
                                                {0, 128, 92},
                                                {170, 70, 140},
                                                {40, 40, 40},
                                                {60, 150, 210},
                                                {190, 130, 0},
                                                {110, 110, 110}}};
constexpr std::array<Colour, kStyles> kOnDark{{{86, 180, 233},
                                               {255, 140, 66},
                                               {60, 200, 150},
                                               {226, 150, 200},
                                               {230, 230, 230},
                                               {120, 160, 255},
                                               {240, 200, 80},
                                               {160, 160, 160}}};

constexpr std::array<float, 2> kDashed{9, 5}, kDotted{2, 4}, kLong{16, 5};
constexpr std::array<float, 4> kDashDot{10, 4, 2, 4};

int style_of(PaintRole role) {
  return static_cast<int>(role) - static_cast<int>(PaintRole::series);
}

const char* anchor_name(Anchor a) {
  return a == Anchor::start ? "start" : a == Anchor::middle ? "middle" : "end";
}

std::string css_class(PaintRole role) {
  switch (role) {
    case PaintRole::paper:
      return "paper";
    case PaintRole::ink:
      return "ink";
    case PaintRole::soft:
      return "soft";
    case PaintRole::grid:
      return "grid";
    default:
      return fmt::format("s{}", style_of(role));
  }
}

std::string rules(Theme theme) {
  std::string css;
  for (int i = -static_cast<int>(PaintRole::series); i < kStyles; ++i) {
    const PaintRole role = static_cast<PaintRole>(i + static_cast<int>(PaintRole::series));
    const Colour c = colour_of(role, theme);
    css += fmt::format(".{} {{ --c: #{:02x}{:02x}{:02x}; }}\n", css_class(role), c[0], c[1], c[2]);
  }
  return css;
}

std::span<const float> dashes_of(const Stroke& s) {
  if (s.whole) return {};
  return dash_of(s.role);
}

std::string svg_stroke(const Stroke& s) {
  std::string points, dash;
  for (const CanvasPoint& p : s.points) points += fmt::format("{:.1f},{:.1f} ", p.x, p.y);
  for (const float d : dashes_of(s)) dash += fmt::format("{:g} ", d);
  if (!dash.empty()) dash = " stroke-dasharray=\"" + dash + "\"";
  return fmt::format("<polyline class=\"l {}\" stroke-width=\"{:g}\"{} points=\"{}\"/>\n",
                     css_class(s.role), s.width, dash, points);
}

std::string svg_area(const Area& a) {
  std::string points;
  for (const CanvasPoint& p : a.corners) points += fmt::format("{:.1f},{:.1f} ", p.x, p.y);
  return fmt::format("<polygon class=\"{}\" fill-opacity=\"{:.2f}\" points=\"{}\"/>\n",
                     css_class(a.role), a.opacity, points);
}

std::string svg_label(const Label& l) {
  const std::string turn =
      l.upwards ? fmt::format(" transform=\"rotate(-90 {:.1f} {:.1f})\"", l.at.x, l.at.y) : "";
  // A capital letter is .73 of the size of DejaVu Sans.
  return fmt::format(
      "<text class=\"{}\" x=\"{:.1f}\" y=\"{:.1f}\" font-size=\"{:.1f}\" text-anchor=\"{}\"{}>{}"
      "</text>\n",
      css_class(l.role), l.at.x + (l.upwards ? l.height / 2 : 0),
      l.at.y + (l.upwards ? 0 : l.height / 2), l.height / .73f, anchor_name(l.anchor), turn,
      escaped_markup(l.text));
}

// Grid and axes lie beneath the points, lines of data above them.
bool beneath(const Stroke& s) { return s.role < PaintRole::series; }

void draw(Image& image, const Label& l, Theme theme) {
  TextStyle style{std::lround(l.height), colour_of(l.role, theme)};
  style.upwards = l.upwards, style.max_width = std::lround(l.max_width);
  const std::int64_t width = text_size(l.text, style).width;
  const std::int64_t before = l.anchor == Anchor::start    ? 0
                              : l.anchor == Anchor::middle ? width / 2
                                                           : width;
  const std::int64_t x = std::lround(l.at.x), y = std::lround(l.at.y);
  if (l.upwards)
    draw_text(image, l.text, x - style.height / 2, y - width + before, style);
  else
    draw_text(image, l.text, x - before, y - style.height / 2, style);
}

// Everything between <svg> and </svg> except the style.
std::string svg_elements(const Drawing& d) {
  std::string svg =
      fmt::format("<rect class=\"paper\" width=\"{}\" height=\"{}\"/>\n", d.width, d.height);
  for (const Stroke& s : d.strokes)
    if (beneath(s)) svg += svg_stroke(s);
  for (const Area& area : d.areas) svg += svg_area(area);
  for (const Dot& dot : d.dots)
    svg += fmt::format("<circle class=\"{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{:g}\"/>\n",
                       css_class(dot.role), dot.centre.x, dot.centre.y, dot.radius);
  for (const Stroke& s : d.strokes)
    if (!beneath(s)) svg += svg_stroke(s);
  for (const Label& l : d.labels) svg += svg_label(l);
  return svg;
}

constexpr const char* kFonts = "DejaVu Sans, Verdana, sans-serif";

}  // namespace

PaintRole series_role(int style) {
  return static_cast<PaintRole>(static_cast<int>(PaintRole::series) + style % kStyles);
}

std::span<const float> dash_of(PaintRole role) {
  if (role < PaintRole::series) return {};
  switch (style_of(role)) {
    case 1:
      return kDashed;
    case 2:
      return kDotted;
    case 3:
      return kDashDot;
    case 5:
      return kLong;
    case 6:
      return kDotted;
    case 7:
      return kDashed;
    default:
      return {};
  }
}

Colour colour_of(PaintRole role, Theme theme) {
  const bool dark = theme == Theme::dark;
  switch (role) {
    case PaintRole::paper:
      return dark ? Colour{22, 24, 29} : Colour{255, 255, 255};
    case PaintRole::ink:
      return dark ? Colour{228, 230, 234} : Colour{30, 30, 34};
    case PaintRole::soft:
      return dark ? Colour{150, 156, 168} : Colour{110, 116, 128};
    case PaintRole::grid:
      return dark ? Colour{48, 52, 62} : Colour{226, 229, 235};
    default:
      return (dark ? kOnDark : kOnLight).at(to_size(style_of(role)));
  }
}

// Printed in light colours, whatever the screen has.
std::string chart_style() {
  return fmt::format(
      "{}@media screen and (prefers-color-scheme: dark) {{\n{}}}\n.l {{ stroke: var(--c); fill: "
      "none; stroke-linejoin: round; }}\nsvg text, svg circle, svg rect, svg polygon {{ fill: "
      "var(--c); }}\n",
      rules(Theme::light), rules(Theme::dark));
}

std::string to_svg(const Chart& chart) {
  const Drawing d = lay_out(chart);
  return fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" "
      "height=\"{1}\" font-family=\"{2}\">\n<title>{3}</title>\n<style>\n{4}</style>\n{5}</svg>\n",
      d.width, d.height, kFonts, escaped_markup(chart.title), chart_style(), svg_elements(d));
}

std::string inline_svg(const Panel& panel) {
  const Drawing d = lay_out(panel);
  return fmt::format(
      "<svg viewBox=\"0 0 {} {}\" width=\"100%\" role=\"img\" aria-label=\"{}\" "
      "font-family=\"{}\">\n{}</svg>\n",
      d.width, d.height, escaped_markup(panel.title), kFonts, svg_elements(d));
}

Image to_image(const Chart& chart, Theme theme) {
  const Drawing d = lay_out(chart);
  Image image(d.width, d.height, 3);
  fill_rectangle(image, 0, 0, d.width, d.height, colour_of(PaintRole::paper, theme));
  const auto draw_strokes = [&](bool of_frame) {
    for (const Stroke& s : d.strokes)
      if (beneath(s) == of_frame)
        draw_polyline(image, s.points, {colour_of(s.role, theme), s.width, dashes_of(s)});
  };
  draw_strokes(true);
  for (const Area& area : d.areas)
    fill_polygon(image, area.corners, colour_of(area.role, theme), area.opacity);
  for (const Dot& dot : d.dots)
    draw_disc(image, dot.centre, dot.radius, colour_of(dot.role, theme));
  draw_strokes(false);
  for (const Label& l : d.labels) draw(image, l, theme);
  return image;
}

void require_writable_chart(const std::filesystem::path& base) {
  require_file_prefix(base);
  if (has_canvas()) require_image_library();
  require_writable_file(base.string() + ".svg", kSvgFormat);
  require_writable_file(base.string() + ".png", kImageFormat);
}

std::string written_charts(const std::filesystem::path& base) {
  const std::string svg = base.string() + ".svg";
  return has_canvas() ? svg + ", " + base.string() + ".png" : svg;
}

void write_chart(const std::filesystem::path& base, const Chart& chart, Theme theme) {
  write_file_atomically(base.string() + ".svg", to_svg(chart));
  if (has_canvas()) write_image(base.string() + ".png", to_image(chart, theme));
}

}  // namespace darknet
