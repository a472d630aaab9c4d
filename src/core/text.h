// Small questions about text that several readers of files ask.
#pragma once
#include <string>
#include <string_view>

namespace darknet {

// Without blanks, tabs and the carriage returns of Windows files at both ends.
inline std::string_view trim(std::string_view s) {
  const auto a = s.find_first_not_of(" \t\r"), b = s.find_last_not_of(" \t\r");
  return a == s.npos ? std::string_view{} : s.substr(a, b - a + 1);
}

// For messages: no control characters, and not endless.
inline std::string shown(std::string_view s) {
  constexpr std::size_t kMost = 60;
  std::string out(s.substr(0, kMost));
  for (char& c : out)
    if (static_cast<unsigned char>(c) < ' ') c = '?';
  return s.size() > kMost ? out + "..." : out;
}

}  // namespace darknet
