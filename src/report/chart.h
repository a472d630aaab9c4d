// Charts as data, drawn alike as SVG and as an image: panels of lines or points with axes, ticks
// and a legend. What is to be shown is decided elsewhere (report/training_chart.h).
#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "image/image.h"

namespace darknet {

struct Series {
  enum class Mark : std::uint8_t { line, points };
  std::string name;
  std::vector<double> x, y;  // of one length; what is not finite is a gap
  Mark mark = Mark::line;
  int style = -1;  // colour and dash, 0..7; -1: its place among the panel's series
};

struct Panel {
  std::string title, x_label, y_label;  // with units
  std::string note;                     // one line on what it shows, for pages
  std::vector<Series> series;
  bool log_x = false, log_y = false;                   // values <= 0 are gaps
  std::optional<double> x_low, x_high, y_low, y_high;  // none: chosen from the data
};

struct Chart {
  std::string title;
  std::vector<Panel> panels;
  std::int64_t columns = 2;  // panels in a row
};

bool has_data(const Panel&);  // something that can be drawn

enum class Theme : std::uint8_t { light, dark };

// Light or dark as the reader's page is. Panels without data are left out.
std::string to_svg(const Chart&);
// One panel without its title, of a size that can be read on a phone.
std::string to_svg(const Panel&);
Image to_image(const Chart&, Theme = Theme::light);
// Throws where write_chart() could not write them: to be asked before long work.
void require_writable_chart(const std::filesystem::path& base);
// base.svg and base.png, replaced atomically.
void write_chart(const std::filesystem::path& base, const Chart&, Theme = Theme::light);

// A panel as a file of its own.
struct PanelFile {
  std::filesystem::path path;
  std::string title, note;
};
// base-1.svg, base-2.svg ... of the panels that have data.
std::vector<PanelFile> write_panels(const std::filesystem::path& base, const Chart&);

}  // namespace darknet
