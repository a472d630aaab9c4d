// Text as fields and lines of a CSV file (RFC 4180).
#pragma once
#include <string>
#include <vector>

namespace darknet {

inline std::string csv_field(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) out += c == '"' ? "\"\"" : std::string(1, c);
  return out + "\"";
}

// Quoted only where they must be.
inline std::string csv_line(const std::vector<std::string>& fields) {
  std::string line;
  for (std::size_t i = 0; i < fields.size(); ++i) {
    if (i > 0) line += ',';
    const bool plain = fields[i].find_first_of(",\"\r\n") == std::string::npos;
    line += plain ? fields[i] : csv_field(fields[i]);
  }
  return line + "\r\n";
}

}  // namespace darknet
