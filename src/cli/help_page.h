// The layout of help texts: two columns, as wide as the terminal.
#pragma once
#include <cstddef>
#include <string>
#include <vector>

#include "cli/documents.h"

namespace darknet::cli {

// The columns of standard output, 80 to 120: COLUMNS, else the terminal's, else 100.
std::size_t page_width();

// Words of `text` in lines of at most `width` characters, where words are no longer than that;
// lines after the first begin with `indent` blanks. Ends with a newline, but "" stays.
std::string paragraph(const std::string& text, std::size_t width, std::size_t indent = 0);

// `left` behind two blanks and, from column `column` on, `text` in lines that end before column
// `width`: next to `left` where that leaves room for it, else below.
std::string two_columns(const std::string& left, const std::string& text, std::size_t column,
                        std::size_t width);

// What --help prints of a command, a group or the program.
std::string help_page(const CommandDoc&, std::size_t width);

}  // namespace darknet::cli
