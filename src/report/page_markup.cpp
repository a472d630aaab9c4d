#include "report/page_markup.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <string_view>

#include "core/utf8.h"
#include "report/side_by_side.h"

namespace darknet {
namespace {

constexpr const char* kStyle = R"(
:root { color-scheme: light; --paper: #fff; --ink: #222; --soft: #667; --line: #d5d8de; --mark: #eef4fb; }
@media screen and (prefers-color-scheme: dark) {
  :root { color-scheme: dark; --paper: #16181d; --ink: #e4e6ea; --soft: #9aa3b2; --line: #343a46; --mark: #1d2836; }
}
body { margin: 2rem auto; max-width: 78rem; padding: 0 1rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, "DejaVu Sans", sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.7rem; } h2 { font-size: 1.25rem; margin-top: 2.4rem; } h3 { font-size: 1rem; margin: 0 0 .2rem; }
.verdict { background: var(--mark); border-left: .3rem solid #0072b2; padding: .8rem 1rem; font-size: 1.05rem; }
.soft, figcaption { color: var(--soft); } figcaption { font-size: .9rem; }
.wide { overflow-x: auto; margin-bottom: 1rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; overflow-wrap: normal; }
th, td { padding: .3rem .7rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th { font-weight: 600; white-space: normal; vertical-align: bottom; }
th:first-child, td:first-child { text-align: left; position: sticky; left: 0; background: var(--paper); }
.figures { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 23rem), 1fr)); gap: 1.4rem 1rem;
  margin-bottom: 1.2rem; }
.scene { margin-bottom: 1.6rem; }
figure { margin: 0; break-inside: avoid; min-width: 0; } img, svg { width: 100%; height: auto; display: block; }
dl { columns: 24rem; column-gap: 2rem; } dt { font-weight: 600; break-after: avoid; }
dd { margin: 0 0 .5rem; color: var(--soft); break-inside: avoid; }
.now { columns: auto; display: grid; grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr)); gap: .7rem 1rem; }
.now dt { font-weight: 400; font-size: .85rem; color: var(--soft); }
.now dd { margin: 0; font-size: 1.2rem; color: var(--ink); font-variant-numeric: tabular-nums; }
progress { width: 100%; accent-color: #0072b2; }
code, pre { font-family: "DejaVu Sans Mono", monospace; font-size: .9em; }
pre { white-space: pre-wrap; padding: .6rem 1rem; border: 1px solid var(--line); margin: .2rem 0 .8rem; }
.key { display: inline-block; white-space: nowrap; margin-right: 1em; }
.key i { display: inline-block; width: .9em; height: .9em; vertical-align: -.1em; margin-right: .3em; border: 1px solid var(--soft); }
@media (max-width: 40rem) {
  body { margin-top: 1rem; } h1 { font-size: 1.35rem; }
  th, td { padding: .25rem .45rem; font-size: .85rem; }
  th:first-child { min-width: 5rem; } td:first-child { white-space: normal; max-width: 8rem; }
}
@media print {
  body { margin: 0; max-width: none; font-size: 10pt; } .wide { overflow: visible; }
  table { font-size: 7.5pt; } th, td { padding: .15rem .3rem; white-space: normal; }
  .figures { grid-template-columns: repeat(2, 1fr); }
  h2, h3 { break-after: avoid; } tr, .verdict { break-inside: avoid; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
)";

std::string figures(const std::string& all) {
  return all.empty() ? "" : "<div class=\"figures\">\n" + all + "</div>\n";
}

}  // namespace

std::string url_path(const std::filesystem::path& path) {
  std::string out;
  for (const char c : path.generic_string()) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = std::isalnum(byte) || std::string_view("-._~/").find(c) != std::string::npos;
    out += plain ? std::string(1, c) : fmt::format("%{:02X}", byte);
  }
  return out;
}

std::string page_head(const std::string& title) {
  return fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta "
      "name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{0}</title>\n"
      "<style>{1}{2}</style>\n</head>\n<body>\n<h1>{0}</h1>\n",
      escaped_markup(title), kStyle, chart_style());
}

std::string page_table(const std::vector<std::vector<std::string>>& rows) {
  if (rows.empty()) return "";
  std::string html = "<div class=\"wide\"><table>\n";
  for (const auto& row : rows) {
    const char* const kind = &row == rows.data() ? "th" : "td";
    html += "<tr>";
    for (const std::string& cell : row)
      html += fmt::format("<{}>{}</{}>", kind, escaped_markup(cell), kind);
    html += "</tr>\n";
  }
  return html + "</table></div>\n";
}

std::string chart_figures(const Chart& chart) {
  std::string all;
  for (const Panel& p : chart.panels)
    if (has_data(p))
      all += fmt::format("<figure><h3>{}</h3>{}<figcaption>{}</figcaption></figure>\n",
                         escaped_markup(p.title), inline_svg(p), escaped_markup(p.note));
  return figures(all);
}

std::string image_figures(const std::vector<PageImage>& images) {
  std::string all;
  for (const PageImage& i : images)
    all += fmt::format(
        "<figure><h3>{0}</h3><a href=\"{1}\"><img loading=\"lazy\" src=\"{1}\" alt=\"{0}\"></a>"
        "</figure>\n",
        escaped_markup(i.title), url_path(i.path));
  return figures(all);
}

std::string definitions(const std::vector<std::pair<std::string, std::string>>& terms) {
  std::string text = "<dl>\n";
  for (const auto& [term, meaning] : terms)
    text += fmt::format("<dt>{}</dt><dd>{}</dd>\n", escaped_markup(term), escaped_markup(meaning));
  return text + "</dl>\n";
}

std::string paragraph(const std::string& text, const char* style_class) {
  const bool plain = std::string_view(style_class).empty();
  return fmt::format("<p{}>{}</p>\n", plain ? "" : fmt::format(" class=\"{}\"", style_class),
                     escaped_markup(text));
}

std::string preformatted(const std::string& lines) {
  std::string text;
  for (std::size_t begin = 0, end = 0; begin < lines.size(); begin = end + 1) {
    end = std::min(lines.find('\n', begin), lines.size());
    if (begin > 0) text += '\n';
    text += escaped_markup(lines.substr(begin, end - begin));
  }
  return "<pre>" + text + "</pre>\n";
}

std::string colour_key(const Colour& c, const std::string& text) {
  return fmt::format(
      "<span class=\"key\"><i style=\"background:#{:02x}{:02x}{:02x}\"></i>{}</span>\n", c[0], c[1],
      c[2], escaped_markup(text));
}

std::string detection_colour_keys() {
  return colour_key(kHitColour, "true positive (TP)") +
         colour_key(kFalseColour, "false positive (FP)") +
         colour_key(kMissedColour, "missed, false negative (FN)");
}

}  // namespace darknet
