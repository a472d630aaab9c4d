// Pieces of an HTML page that needs no other file: its style, tables, charts and terms. Whatever is
// given as text may hold anything; it is escaped here.
#pragma once
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "image/canvas.h"
#include "report/chart.h"

namespace darknet {

// From <!DOCTYPE> to the first heading, which is the title. Light or dark as the reader's screen
// is, on paper light; from 320 pixels wide.
std::string page_head(const std::string& title);
inline constexpr const char* kPageEnd = "</body>\n</html>\n";

// The first row is the head. "" without rows.
std::string page_table(const std::vector<std::vector<std::string>>& rows);

struct PageImage {
  std::filesystem::path path;  // relative to the page
  std::string title;
};

// For src="" and href="": what a URL would read as something else is encoded.
std::string url_path(const std::filesystem::path&);

// Next to each other where there is room. Panels without data are left out; "" where none is left.
std::string chart_figures(const Chart&);
std::string image_figures(const std::vector<PageImage>&);
// Terms and what they mean.
std::string definitions(const std::vector<std::pair<std::string, std::string>>&);
std::string paragraph(const std::string& text, const char* style_class);  // "": none
std::string preformatted(const std::string& lines);
std::string colour_key(const Colour&, const std::string& text);
// What the colours of a network's panel in report/side_by_side.h mean.
std::string detection_colour_keys();

}  // namespace darknet
