#include "cfg/parse.h"

#include <algorithm>
#include <utility>

#include "cfg/override.h"
#include "core/file_format.h"
#include "core/input.h"
#include "core/text.h"

namespace darknet {
namespace {

constexpr std::uint64_t kMaxCfgBytes = 16u << 20;  // no cfg is; a weights file by mistake is

// Letters inserted, deleted, replaced, or swapped with their neighbours.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before, above, row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    before = std::exchange(above, row);
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], before[j - 2] + 1);
    }
  }
  return row.back();
}

}  // namespace

std::string nearest(std::string_view word, std::span<const std::string> candidates) {
  constexpr std::size_t kShort = 5;  // of fewer letters, two others are another word
  std::string best;
  const std::string lower = lower_case(std::string(word));
  std::size_t min = (word.size() < kShort ? 1 : std::max<std::size_t>(2, word.size() / 3)) + 1;
  for (const std::string& c : candidates) {
    const std::size_t d = edit_distance(lower, lower_case(c));
    if (d < min && c != word) best = c, min = d;
  }
  return best;
}

std::vector<Section> parse_cfg(std::istream& in, const std::string& name) {
  std::vector<Section> sections;
  LineReader reader(in, name);
  for (std::string_view whole; reader.next(whole);) {
    const int number = reader.number();
    if (whole.find('\0') != whole.npos || reader.bytes() > kMaxCfgBytes)
      fail_at({name, number}, "this is not a text file", in_place_of(name, kCfgFormat));
    if (number == 1 && whole.find('\r') != whole.npos)
      fail_at({name, 0},
              "its lines end in CR alone, as on old Macs; write them with LF: tr '\\r' "
              "'\\n'");
    const std::string_view line = trim(without_comment(whole));
    if (line.empty()) continue;
    if (line.front() == '[') {
      if (line.back() != ']' || line.size() < 3)
        fail_at({name, number}, "expected [section], got '", shown(line), "'");
      sections.emplace_back(std::string(trim(line.substr(1, line.size() - 2))),
                            Where{name, number});
      continue;
    }
    const auto eq = line.find('=');
    if (eq == line.npos || eq == 0)
      fail_at({name, number}, "expected key=value, got '", shown(line), "'",
              in_place_of(name, kCfgFormat));
    if (sections.empty())
      fail_at(
          {name, number},
          "a key before the first [section]: this is not a .cfg (a .data file is named before it)");
    sections.back().add(std::string(trim(line.substr(0, eq))),
                        std::string(trim(line.substr(eq + 1))), number);
  }
  if (sections.empty()) fail_at({name, 0}, "no [section] in this file");
  return sections;
}

std::vector<Section> read_cfg(const std::filesystem::path& path) {
  InputFile in(path, kMaxCfgBytes, Pipes::allowed);
  return parse_cfg(in, path.string());
}

std::string read_cfg_text(const std::filesystem::path& path) {
  return InputFile(path, kMaxCfgBytes, Pipes::allowed).rest();
}

void apply_overrides(std::vector<Section>& sections, std::span<const std::string> assignments) {
  std::vector<std::string> types;
  types.reserve(sections.size());
  for (const Section& s : sections) types.push_back(s.type());
  for (const std::string& a : assignments) {
    const Override o = parse_override(a);
    require_value(o);
    for (const std::size_t place : places_of(o, types))
      sections[place].set(o.key, o.value, o.where);
  }
}

}  // namespace darknet
