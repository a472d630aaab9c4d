// Reading .cfg text into sections, with `-set` overrides. Knows the syntax, not the keys.
#pragma once
#include <filesystem>
#include <iosfwd>
#include <span>
#include <string>
#include <string_view>
#include <vector>
#include "cfg/section.h"

namespace darknet {

// What of a line is no comment: a # or ; begins one wherever it stands. (Darknet: only at the
// beginning of a line; no value that it knows holds one.)
inline std::string_view without_comment(std::string_view line) {
  return line.substr(0, line.find_first_of("#;"));
}

// Sections in file order. `name` stands in messages. Throws on what is neither [section],
// key=value, comment (# or ;) nor blank, on binary data and on an empty file.
std::vector<Section> parse_cfg(std::istream& in, const std::string& name);
std::vector<Section> read_cfg(const std::filesystem::path&);
// Its text, for what keeps comments.
std::string read_cfg_text(const std::filesystem::path&);

// Applies "type.index.key=value" (index among the sections of that type, or *): -set on the command
// line. Throws where the section does not exist.
void apply_overrides(std::vector<Section>&, std::span<const std::string> assignments);

// The candidate nearest to `word` by edit distance, in upper or lower case, or "" where none is
// near.
std::string nearest(std::string_view word, std::span<const std::string> candidates);

}  // namespace darknet
