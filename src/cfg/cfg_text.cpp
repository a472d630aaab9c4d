#include "cfg/cfg_text.h"

#include <algorithm>
#include <sstream>

#include "cfg/parse.h"
#include "core/text.h"

namespace darknet {

CfgText::CfgText(std::string_view text) {
  std::istringstream in{std::string(text)};
  LineReader reader(in, "cfg", text.size());
  for (std::string_view line; reader.next(line);) {
    const std::string_view before = without_comment(line), code = trim(before);
    if (code.empty()) continue;
    if (code.front() == '[') {
      parts_.push_back({std::string(trim(code.substr(1, code.find(']') - 1))), {}});
      continue;
    }
    const auto equals = std::min(code.find('='), code.size());
    const auto after = [](std::string_view s, std::size_t at) {
      return std::string(at < s.size() ? trim(s.substr(at + 1)) : "");
    };
    if (!parts_.empty())
      parts_.back().lines.push_back({std::string(trim(code.substr(0, equals))), after(code, equals),
                                     after(line, before.size())});
  }
}

std::string CfgText::value(std::size_t section, std::string_view key) const {
  for (const Line& line : parts_.at(section).lines)
    if (line.key == key) return line.value;
  return "";
}

void CfgText::set(std::size_t section, std::string_view key, std::string value,
                  std::string_view comment) {
  std::vector<Line>& lines = parts_.at(section).lines;
  auto at =
      std::find_if(lines.begin(), lines.end(), [&](const Line& line) { return line.key == key; });
  if (at == lines.end()) at = lines.insert(lines.end(), Line{std::string(key), {}, {}});
  at->value = std::move(value);
  if (!comment.empty()) at->comment = comment;
}

void CfgText::remove(std::size_t section, std::string_view key) {
  std::erase_if(parts_.at(section).lines, [&](const Line& line) { return line.key == key; });
}

std::string CfgText::text() const {
  std::string all;
  for (const Part& part : parts_) {
    all += (all.empty() ? "[" : "\n[") + part.type + "]\n";
    for (const Line& line : part.lines)
      all +=
          line.key + '=' + line.value + (line.comment.empty() ? "" : "  # " + line.comment) + '\n';
  }
  return all;
}

}  // namespace darknet
