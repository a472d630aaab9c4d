#include "core/utf8.h"

#include <algorithm>

namespace darknet {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

std::size_t length_by(unsigned first) {
  return first < 0x80   ? 1
         : first < 0xC2 ? 0
         : first < 0xE0 ? 2
         : first < 0xF0 ? 3
         : first < 0xF5 ? 4
                        : 0;
}

// The length of the whole UTF-8 letter at the start, or 0: broken, overlong, a surrogate, a control
// character, or no letter of XML.
std::size_t letter_length(std::string_view text) {
  const auto byte = [&](std::size_t k) {
    return k < text.size() ? static_cast<unsigned char>(text[k]) : 0u;
  };
  const unsigned first = byte(0), second = byte(1);
  const std::size_t length = length_by(first);
  for (std::size_t k = 1; k < length; ++k)
    if ((byte(k) & 0xC0) != 0x80) return 0;
  const bool low = (first == 0xE0 && second < 0xA0) || (first == 0xF0 && second < 0x90);
  const bool high = (first == 0xED && second > 0x9F) || (first == 0xF4 && second > 0x8F);
  const bool control = first < ' ' || first == 0x7F || (first == 0xC2 && second < 0xA0);
  const bool none = first == 0xEF && second == 0xBF && byte(2) >= 0xBE;
  return low || high || control || none ? 0 : length;
}

bool is_blank(char c) { return c == '\t' || c == '\n' || c == '\r'; }

}  // namespace

std::string printable_utf8(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t length = letter_length(text);
    if (length > 0)
      out += text.substr(0, length);
    else
      out += is_blank(text.front()) ? " " : kReplacement;
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return out;
}

std::string escaped_markup(std::string_view text) {
  std::string out;
  for (const char c : printable_utf8(text)) switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  return out;
}

std::string isolated(const std::string& name) {
  const bool ascii = std::all_of(name.begin(), name.end(), [](char c) { return (c & 0x80) == 0; });
  return ascii ? name : "\xE2\x81\xA8" + name + "\xE2\x81\xA9";  // U+2068, U+2069
}

}  // namespace darknet
