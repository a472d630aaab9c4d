// Small questions about text that several readers of files ask.
#pragma once
#include <cstdint>
#include <istream>
#include <string>
#include <string_view>

namespace darknet {

// Without blanks, tabs and the carriage returns of Windows files at both ends.
inline std::string_view trim(std::string_view s) {
  const auto a = s.find_first_not_of(" \t\r"), b = s.find_last_not_of(" \t\r");
  return a == s.npos ? std::string_view{} : s.substr(a, b - a + 1);
}

// For terminals and logs: control characters, which could steer a terminal, and bytes that are no
// UTF-8 as \x1B; without those in `kept`. Names of files and classes hold anything.
std::string printable(std::string_view, std::string_view kept = "");

// For messages: printable, and not endless.
inline std::string shown(std::string_view s) {
  constexpr std::size_t kMost = 60;
  return printable(s.substr(0, kMost)) + (s.size() > kMost ? "..." : "");
}

// The lines of a text, trimmed, counted from 1, without the byte order mark of UTF-8 files.
class LineReader {
 public:
  explicit LineReader(std::istream& in) : in_(in) {}
  // False at the end. `line` holds until the next call.
  bool next(std::string_view& line) {
    if (!std::getline(in_, raw_)) return false;
    bytes_ += raw_.size() + 1;
    if (++number_ == 1 && raw_.starts_with("\xEF\xBB\xBF")) raw_.erase(0, 3);
    line = trim(raw_);
    return true;
  }
  int number() const { return number_; }
  std::uint64_t bytes() const { return bytes_; }  // read so far

 private:
  std::istream& in_;
  std::string raw_;
  int number_ = 0;
  std::uint64_t bytes_ = 0;
};

}  // namespace darknet
