// Charts as data, drawn alike as SVG and as an image: panels of lines, bands, points and
// intervals with axes, ticks and a legend, or of the cells of a heat map. What is to be shown is
// decided elsewhere (report/training_chart.h).
#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "image/image.h"

namespace darknet {

struct Series {
  enum class Mark : std::uint8_t {
    line,
    points,
    intervals,  // a point and a line from low to high of x; without that line where they are not
                // finite
    ranges,     // the same with a line from low to high of y
    band        // the area between low and high of y
  };
  std::string name;
  std::vector<double> x, y;  // of one length; what is not finite is a gap
  Mark mark = Mark::line;
  int style = -1;                 // colour and dash, 0..7; -1: its place among the panel's series
  std::vector<double> low, high;  // of intervals, ranges and bands, as long as x
};

// One number for each place of a grid; places without a cell stay empty.
struct HeatCell {
  std::size_t column = 0, row = 0;
  double value = 0;        // its shade, from the lowest of the cells to the highest
  std::string text, note;  // in the cell, one below the other
};
struct HeatMap {
  std::vector<std::string> columns, rows;  // from the left, and from below
  std::vector<HeatCell> cells;
};

struct Panel {
  std::string title, x_label, y_label;  // with units
  std::string note;                     // one line on what it shows, for pages
  std::vector<Series> series;
  bool log_x = false, log_y = false;                   // values <= 0 are gaps
  bool whole_x = false;                                // x counts something: no ticks in between
  std::optional<double> x_low, x_high, y_low, y_high;  // none: chosen from the data
  // Names of rows, from above. With them y is the row, from 0 in its middle to +-.5 at its edges,
  // and the panel as high as they need.
  std::vector<std::string> rows;
  std::optional<HeatMap> heat;                     // takes the place of series and ranges
  std::string when_empty = "nothing to show yet";  // stands where there is nothing to draw
};

struct Chart {
  std::string title;
  std::vector<Panel> panels;
  std::int64_t columns = 2;  // panels in a row
};

bool has_data(const Panel&);  // something that can be drawn
// Ends the axis of the values (x where there are rows, else y) at what values can be, where the
// intervals of the series reach further.
void keep_within(Panel&, double low, double high);

enum class Theme : std::uint8_t { light, dark };

// Light or dark as the reader's page is. Panels without data are left out.
std::string to_svg(const Chart&);
// One panel without its title, of a size that can be read on a phone, for a page that has
// chart_style() in its <style> once; as wide as what it stands in.
std::string inline_svg(const Panel&);
std::string chart_style();
Image to_image(const Chart&, Theme = Theme::light);
// Throws where write_chart() could not write them: to be asked before long work.
void require_writable_chart(const std::filesystem::path& base);
// base.svg and, where has_canvas(), base.png; replaced atomically.
void write_chart(const std::filesystem::path& base, const Chart&, Theme = Theme::light);
std::string written_charts(const std::filesystem::path& base);  // their names, for a message

}  // namespace darknet
