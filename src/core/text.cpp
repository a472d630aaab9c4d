#include "core/text.h"

#include <algorithm>

#include "core/error.h"

namespace darknet {
namespace {

// Bytes of the UTF-8 letter that `s` begins with; 0 where it begins with none.
std::size_t letter_bytes(std::string_view s) {
  const auto first = static_cast<unsigned char>(s.front());
  const std::size_t bytes = first < 0x80   ? 1
                            : first < 0xC2 ? 0
                            : first < 0xE0 ? 2
                            : first < 0xF0 ? 3
                            : first < 0xF5 ? 4
                                           : 0;
  if (bytes > s.size()) return 0;
  const auto continues = [](char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; };
  return std::all_of(s.begin() + std::min<std::size_t>(bytes, 1), s.begin() + bytes, continues)
             ? bytes
             : 0;
}

// C0, DEL, and C1 in UTF-8 (U+0080 to U+009F).
bool is_control(std::string_view letter) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(letter[i]); };
  return byte(0) < ' ' || byte(0) == 0x7F ||
         (letter.size() == 2 && byte(0) == 0xC2 && byte(1) < 0xA0);
}

void escape(std::string_view bytes, std::string& to) {
  constexpr const char* kDigits = "0123456789ABCDEF";
  for (const char c : bytes) {
    const auto value = static_cast<unsigned char>(c);
    to += {'\\', 'x', kDigits[value >> 4], kDigits[value & 15]};
  }
}

}  // namespace

std::string printable(std::string_view s, std::string_view kept) {
  std::string out;
  out.reserve(s.size());
  while (!s.empty()) {
    const std::size_t bytes = letter_bytes(s);
    const std::string_view letter = s.substr(0, std::max<std::size_t>(bytes, 1));
    if (bytes > 0 && (!is_control(letter) || kept.find(letter) != kept.npos))
      out += letter;
    else
      escape(letter, out);
    s.remove_prefix(letter.size());
  }
  return out;
}

bool LineReader::next(std::string_view& line) {
  constexpr int kEnd = std::char_traits<char>::eof();
  raw_.clear();
  int c = in_.sbumpc();
  if (c == kEnd) return false;
  ++number_;
  for (; c != kEnd && c != '\n'; c = in_.sbumpc()) {
    if (raw_.size() == max_line_)
      fail_at({name_, number_}, "this line is longer than ", max_line_,
              " bytes; this is not a text file of the expected kind");
    raw_ += static_cast<char>(c);
  }
  bytes_ += raw_.size() + 1;
  if (number_ == 1 && raw_.starts_with("\xEF\xBB\xBF")) raw_.erase(0, 3);
  line = trim(raw_);
  return true;
}

}  // namespace darknet
