#include "cfg/override.h"

#include <algorithm>
#include <sstream>

#include "cfg/parse.h"
#include "core/number.h"
#include "core/text.h"

namespace darknet {
namespace {

struct Lines {
  std::string type;  // "" of what stands before the first section
  std::vector<std::string> lines;
};

// "key" of "key = value # comment"; "" of other lines.
std::string_view key_of(std::string_view line) {
  line = trim(without_comment(line));
  const auto equals = line.find('=');
  return line.starts_with('[') || equals == line.npos ? "" : trim(line.substr(0, equals));
}

std::vector<Lines> sections_of(const std::string& text) {
  std::vector<Lines> sections(1);
  std::istringstream in(text);
  LineReader reader(in, "cfg");
  for (std::string_view line; reader.next(line);) {
    const std::string_view content = trim(without_comment(line));
    if (content.starts_with('[') && content.ends_with(']'))
      sections.push_back({std::string(trim(content.substr(1, content.size() - 2))), {}});
    sections.back().lines.emplace_back(line);
  }
  return sections;
}

// "[net], [convolutional] and [yolo]"
std::string listed(std::span<const std::string> types) {
  std::vector<std::string> once;
  for (const std::string& type : types)
    if (std::ranges::find(once, type) == once.end()) once.push_back(type);
  std::string text;
  for (const std::string& type : once)
    text += cat(text.empty() ? "" : type == once.back() ? " and " : ", ", '[', shown(type), ']');
  return text;
}

void assign(Lines& section, const Override& o, Comments comments) {
  const std::string assignment = o.key + "=" + o.value;
  const auto line = std::find_if(section.lines.begin(), section.lines.end(),
                                 [&](const std::string& l) { return key_of(l) == o.key; });
  if (line == section.lines.end()) {
    section.lines.insert(section.lines.begin() + 1, assignment);
    return;
  }
  const std::string comment = line->substr(without_comment(*line).size());
  *line = assignment + (comments == Comments::replaced || comment.empty() ? "" : "  " + comment);
}

}  // namespace

void require_value(const Override& o) {
  if (o.value.empty())
    fail_at(o.where, "expected a value behind the =, e.g. yolo.0.obj_gamma=1.5; no key is removed");
}

Override parse_override(const std::string& assignment) {
  const std::string text(trim(without_comment(assignment)));
  const std::string_view comment =
      std::string_view(assignment)
          .substr(std::min(assignment.size(), without_comment(assignment).size() + 1));
  const bool from_flag = trim(comment).starts_with('-');
  Override o{.where = {from_flag ? std::string(trim(comment)) : "-set " + assignment, 0}};
  const auto eq = text.find('='), dot = text.find('.'), second = text.find('.', dot + 1);
  if (eq == text.npos || dot == text.npos || second == text.npos || second > eq)
    fail_at(o.where, "expected type.index.key=value, e.g. yolo.0.obj_gamma=1.5");
  o.type = text.substr(0, dot);
  const std::string index = text.substr(dot + 1, second - dot - 1);
  o.key = trim(std::string_view(text).substr(second + 1, eq - second - 1));
  if (o.key.empty()) fail_at(o.where, "expected a key before the =, e.g. yolo.0.obj_gamma=1.5");
  o.value = trim(std::string_view(text).substr(eq + 1));
  if (index != "*" && (!read_number(index, o.index) || o.index < 0))
    fail_at(o.where, "'", index, "' is neither an index nor *");
  return o;
}

std::vector<std::string> without_flags(std::vector<std::string> assignments) {
  for (std::string& one : assignments) one = std::string(trim(without_comment(one)));
  return assignments;
}

std::string name_of_place(const std::vector<Section>& cfg, std::size_t place) {
  const std::string& type = cfg.at(place).type();
  const auto before = std::count_if(cfg.begin(), cfg.begin() + static_cast<std::ptrdiff_t>(place),
                                    [&](const Section& s) { return s.type() == type; });
  return cat(type, '.', before);
}

std::vector<std::size_t> places_of(const Override& o, std::span<const std::string> types) {
  std::vector<std::size_t> places;
  std::int64_t seen = 0;
  for (std::size_t i = 0; i < types.size(); ++i) {
    if (types[i] != o.type && !(types[i] == "network" && o.type == "net")) continue;
    if (o.index < 0 || seen == o.index) places.push_back(i);
    ++seen;
  }
  if (!places.empty()) return places;
  if (seen > 0)
    fail_at(o.where, "there ", seen == 1 ? "is 1 [" : cat("are ", seen, " ["), o.type, "] section",
            seen == 1 ? "" : "s", " in this cfg, counted from 0");
  const std::string near = nearest(o.type, types);
  fail_at(o.where, "there is no [", shown(o.type), "] section in this cfg, which has ",
          listed(types), near.empty() ? "" : cat("; did you mean '", near, "'?"));
}

std::string with_overrides(const std::string& text, std::span<const std::string> assignments,
                           Comments comments) {
  std::vector<Lines> sections = sections_of(text);
  std::vector<std::string> types;
  for (std::size_t i = 1; i < sections.size(); ++i) types.push_back(sections[i].type);
  for (const std::string& a : assignments) {
    const Override o = parse_override(a);
    require_value(o);
    for (const std::size_t place : places_of(o, types)) assign(sections[place + 1], o, comments);
  }
  std::string changed;
  for (const Lines& section : sections)
    for (const std::string& line : section.lines) changed += line + "\n";
  return changed;
}

std::string with_line_ends_of(const std::string& original, const std::string& text) {
  if (original.find("\r\n") == original.npos) return text;
  std::string ended;
  for (const char c : text) {
    if (c == '\n') ended += '\r';
    ended += c;
  }
  return ended;
}

}  // namespace darknet
