// Small functions on text that several readers of files share.
#pragma once
#include <cstddef>
#include <cstdint>
#include <istream>
#include <string>
#include <string_view>
#include <vector>

namespace darknet {

// Without blanks, tabs and the carriage returns of Windows files at both ends.
inline std::string_view trim(std::string_view s) {
  const auto a = s.find_first_not_of(" \t\r"), b = s.find_last_not_of(" \t\r");
  return a == s.npos ? std::string_view{} : s.substr(a, b - a + 1);
}

// ASCII letters in lower case, as in extensions and keys.
inline std::string lower_case(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return text;
}

// For terminals and logs: escapes (\x1B) in place of control characters, which could steer a
// terminal, except those in `kept`, and of bytes that are not UTF-8. Names may hold any bytes.
std::string printable(std::string_view, std::string_view kept = "");

// For messages: printable, and cut after 60 bytes.
inline std::string shown(std::string_view s) {
  constexpr std::size_t kMax = 60;
  return printable(s.substr(0, kMax)) + (s.size() > kMax ? "..." : "");
}

// "1 image", "2 images", "3 classes"; `noun` is the singular.
std::string plural(std::int64_t count, std::string_view noun);

// "000012": with zeros in front where it has fewer digits.
std::string zero_padded(std::uint64_t number, std::size_t digits);

// "a b c"
std::string joined(const std::vector<std::string>& words, std::string_view between = " ");

// The lines of a text, trimmed, counted from 1, without the byte order mark of UTF-8 files. A line
// longer than `max_line` bytes is an Error that names `name` and the line, before more of it is
// read.
class LineReader {
 public:
  static constexpr std::size_t kMaxLine = 1u << 20;  // bytes
  LineReader(std::istream& in, std::string name, std::size_t max_line = kMaxLine)
      : in_(*in.rdbuf()), name_(std::move(name)), max_line_(max_line) {}
  // False at the end. `line` holds until the next call.
  bool next(std::string_view& line);
  int number() const { return number_; }
  std::uint64_t bytes() const { return bytes_; }  // read so far

 private:
  std::streambuf& in_;
  std::string name_, raw_;
  std::size_t max_line_;
  int number_ = 0;
  std::uint64_t bytes_ = 0;
};

}  // namespace darknet
