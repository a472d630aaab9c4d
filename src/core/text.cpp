#include "core/text.h"

#include <algorithm>

#include "core/error.h"
#include "core/utf8.h"

namespace darknet {
namespace {

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
    const std::size_t bytes = utf8_length(s);
    const std::string_view letter = s.substr(0, std::max<std::size_t>(bytes, 1));
    if (bytes > 0 && (!is_control(letter) || kept.find(letter) != kept.npos))
      out += letter;
    else
      escape(letter, out);
    s.remove_prefix(letter.size());
  }
  return out;
}

std::string plural(std::int64_t count, std::string_view noun) {
  std::string text = std::to_string(count) + ' ' + std::string(noun);
  if (count == 1) return text;
  for (const char* sibilant : {"s", "x", "tch", "sh"})
    if (noun.ends_with(sibilant)) return text + "es";
  return text + 's';
}

std::string zero_padded(std::uint64_t number, std::size_t digits) {
  std::string text = std::to_string(number);
  return text.insert(0, digits - std::min(digits, text.size()), '0');
}

std::string joined(const std::vector<std::string>& words, std::string_view between) {
  std::string text;
  for (const std::string& word : words) {
    if (&word != &words.front()) text += between;
    text += word;
  }
  return text;
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
