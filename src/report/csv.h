// Text as a field of a CSV file.
#pragma once
#include <string>

namespace darknet {

inline std::string csv_field(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) out += c == '"' ? "\"\"" : std::string(1, c);
  return out + "\"";
}

}  // namespace darknet
