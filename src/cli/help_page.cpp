#include "cli/help_page.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <sstream>

#include "core/error.h"
#include "core/number.h"

namespace darknet::cli {
namespace {

constexpr std::size_t kTextColumn = 30;

std::vector<std::string> lines_of(const std::string& text, std::size_t first, std::size_t others) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string word; in >> word;) {
    const std::size_t room = lines.size() < 2 ? first : others;
    if (lines.empty() || lines.back().size() + 1 + word.size() > room)
      lines.push_back(word);
    else
      lines.back() += " " + word;
  }
  return lines;
}

std::string options_in(const std::vector<OptionDoc>& options, const std::string& heading,
                       std::size_t width) {
  std::string rows;
  for (const OptionDoc& o : options)
    if ((o.argument ? "Positionals" : o.group) == heading)
      rows += two_columns(o.title, o.help, kTextColumn, width);
  return rows.empty() ? "" : cat("\n", heading, ":\n", rows);
}

std::string usage(const CommandDoc& c) {
  std::string text = cat("Usage: darknet ", c.name(), c.words.empty() ? "" : " ", "[OPTIONS]");
  for (const OptionDoc& o : c.options)
    if (o.argument) text += " " + o.usage();
  return text + (c.commands.empty() ? "" : c.runs ? " [SUBCOMMAND]" : " SUBCOMMAND");
}

}  // namespace

std::size_t page_width() {
  constexpr std::size_t kMin = 80, kMax = 120, kUnknown = 100;
  std::size_t columns = 0;
  const char* const asked = std::getenv("COLUMNS");
  ::winsize terminal{};
  if (!(asked && read_number(asked, columns)) && ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &terminal) == 0)
    columns = terminal.ws_col;
  return columns == 0 ? kUnknown : std::clamp(columns, kMin, kMax);
}

std::string paragraph(const std::string& text, std::size_t width, std::size_t indent) {
  std::string out;
  for (const std::string& line : lines_of(text, width, width - indent))
    out += (out.empty() ? "" : std::string(indent, ' ')) + line + "\n";
  return out;
}

std::string two_columns(const std::string& left, const std::string& text, std::size_t column,
                        std::size_t width) {
  constexpr std::size_t kIndent = 2, kContinued = 4;
  const std::string names = left.substr(0, left.find_last_not_of(' ') + 1);
  const bool fits = names.size() <= width - kIndent;
  const std::size_t used = kIndent + names.size();
  std::string out = std::string(kIndent, ' ') +
                    (fits ? names + "\n" : paragraph(names, width - kIndent, kContinued));
  bool beside = fits && used < column;
  for (const std::string& line : lines_of(text, width - column, width - column)) {
    if (beside) out.pop_back();
    out += std::string(beside ? column - used : column, ' ') + line + "\n";
    beside = false;
  }
  return out;
}

std::string help_page(const CommandDoc& c, std::size_t width) {
  std::string page = paragraph(c.help, width) + paragraph(usage(c), width, kTextColumn);
  std::vector<std::string> headings{"Positionals"};
  for (const OptionDoc& o : c.options)
    if (std::find(headings.begin(), headings.end(), o.group) == headings.end())
      headings.push_back(o.group);
  for (const std::string& heading : headings) page += options_in(c.options, heading, width);
  if (!c.commands.empty()) page += "\nSubcommands:\n";
  for (const CommandDoc& inner : c.commands)
    page += two_columns(inner.words.back(), inner.help, kTextColumn, width);
  return page + (c.footer.empty() ? "" : "\n" + paragraph(c.footer, width));
}

}  // namespace darknet::cli
