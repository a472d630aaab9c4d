// Text of strangers (names, paths) made fit to be shown: such bytes may be anything.
#pragma once
#include <string>
#include <string_view>

namespace darknet {

// One line of valid UTF-8: tabs and line ends become blanks; each byte that is no part of a letter,
// each control character and each noncharacter of XML becomes U+FFFD.
std::string printable_utf8(std::string_view);
// The same for HTML and XML, in text and in quoted attributes: & < > " ' are escaped.
std::string escaped_markup(std::string_view);

// A name within a line that goes on after it, in the order of the line whichever direction the
// name's script has: in Unicode's isolating marks, where it holds more than ASCII.
std::string isolated(const std::string& name);

}  // namespace darknet
