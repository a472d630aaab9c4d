// Makes untrusted text (names, paths), which may hold any bytes, safe to display.
#pragma once
#include <cstddef>
#include <string>
#include <string_view>

namespace darknet {

// Bytes of the whole, valid letter that the text begins with; 0 where it begins with none.
std::size_t utf8_length(std::string_view);
// C0, DEL, and C1 (U+0080 to U+009F).
bool is_control(std::string_view letter);

// One line of valid UTF-8: tabs and line ends become blanks; each byte that is no part of a letter,
// each control character and each noncharacter of XML becomes U+FFFD.
std::string printable_utf8(std::string_view);
// The same for HTML and XML, in text and in quoted attributes: & < > " ' are escaped.
std::string escaped_markup(std::string_view);

// A name within a line that goes on after it, in the order of the line whichever direction the
// name's script has: in Unicode's isolating marks, where it holds more than ASCII.
std::string isolated(const std::string& name);

}  // namespace darknet
