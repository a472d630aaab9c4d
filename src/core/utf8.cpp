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

// U+FFFE and U+FFFF, which XML forbids.
bool is_noncharacter(std::string_view letter) {
  return letter == "\xEF\xBF\xBE" || letter == "\xEF\xBF\xBF";
}

bool is_blank(char c) { return c == '\t' || c == '\n' || c == '\r'; }

}  // namespace

std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t k) {
    return k < text.size() ? static_cast<unsigned char>(text[k]) : 0u;
  };
  if (text.empty()) return 0;
  const unsigned first = byte(0), second = byte(1);
  const std::size_t length = length_by(first);
  for (std::size_t k = 1; k < length; ++k)
    if ((byte(k) & 0xC0) != 0x80) return 0;
  const bool overlong = (first == 0xE0 && second < 0xA0) || (first == 0xF0 && second < 0x90);
  const bool beyond = (first == 0xED && second > 0x9F) || (first == 0xF4 && second > 0x8F);
  return overlong || beyond ? 0 : length;
}

bool is_control(std::string_view letter) {
  const auto byte = [&](std::size_t k) { return static_cast<unsigned char>(letter[k]); };
  return byte(0) < ' ' || byte(0) == 0x7F ||
         (letter.size() == 2 && byte(0) == 0xC2 && byte(1) < 0xA0);
}

std::string printable_utf8(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    const std::string_view letter = text.substr(0, std::max<std::size_t>(length, 1));
    if (length > 0 && !is_control(letter) && !is_noncharacter(letter))
      out += letter;
    else
      out += is_blank(text.front()) ? " " : kReplacement;
    text.remove_prefix(letter.size());
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
