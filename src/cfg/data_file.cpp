#include "cfg/data_file.h"

#include "cfg/data_yaml.h"
#include "cfg/section.h"
#include "core/byte_source.h"
#include "core/file.h"
#include "core/input.h"
#include "core/tar_shard.h"
#include "core/text.h"

namespace darknet {
namespace {
namespace fs = std::filesystem;

constexpr std::uint64_t kMaxDataBytes = 16u << 20;

Section parse_data(const fs::path& path) {
  Section section("data", {path.string(), 0});
  InputFile in(path, kMaxDataBytes, Pipes::allowed);
  LineReader reader(in, path.string());
  for (std::string_view line; reader.next(line);) {
    const Where here{path.string(), reader.number()};
    if (line.find('\0') != line.npos)
      fail_at(here, "this is not a text file", in_place_of(path, kDataFormat));
    if (line.empty() || line.front() == '#' || line.front() == ';') continue;
    const auto eq = line.find('=');
    if (line.front() == '[')
      fail_at(here, "'", shown(line),
              "' opens a section: this is a .cfg, which comes after the .data "
              "file");
    if (eq == line.npos || eq == 0)
      fail_at(here, "expected key = value, got '", shown(line), "'",
              in_place_of(path, kDataFormat));
    section.add(std::string(trim(line.substr(0, eq))), std::string(trim(line.substr(eq + 1))),
                here.line);
  }
  return section;
}

}  // namespace

fs::path resolve_next_to(const fs::path& path, const fs::path& base) {
  const auto exists = [](const fs::path& p) {
    if (is_present(p)) return true;
    if (is_pattern(p)) return !files_matching(p).empty();
    const std::vector<std::string> shards = shard_names(p.native());
    return !shards.empty() && is_present(shards.front());
  };
  if (path.empty() || path.is_absolute() || is_url(path.native()) || exists(path)) return path;
  const fs::path sibling = base.parent_path() / path;
  return exists(sibling) ? sibling : path;
}

DataFile read_data_file(const fs::path& path) {
  if (is_yaml(path)) return read_data_yaml(path);
  Section section = parse_data(path);
  DataFile data{.path = path};
  data.classes = section.integer("classes", 0, {1, 1 << 16});
  const auto place = [&](const char* key) {
    try {
      if (section.has(key)) data.lines[key] = section.where_of(key).line;
      return resolve_next_to(section.text(key, ""), path);
    } catch (const Error& e) {  // of braces
      fail_at(section.where_of(key), key, ": ", e.what());
    }
  };
  data.train = place("train");
  data.valid = place("valid");
  data.difficult = place("difficult");
  data.tune = place("tune");
  data.labels = place("labels");
  data.names = section.has("names") ? place("names") : data.labels;
  data.top = section.integer("top", data.top, {1, 1 << 16});
  data.backup = section.text("backup", "backup");
  data.save_weights = section.integer("saveweights", 0, {0, std::int64_t{1} << 40});
  data.results = section.text("results", "results");
  data.eval = section.text("eval", "");
  for (const char* key : {"map", "savelast"})
    if (section.has(key)) section.ignore(key, "has no effect here");
  section.finish();
  return data;
}

const fs::path& required(const DataFile& data, const fs::path& list, const char* key) {
  if (list.empty()) fail_at({data.path.string(), 0}, "the line ", key, " = ... is missing");
  if (is_present(list) || is_pattern(list)) return list;
  const auto line = data.lines.find(key);
  for (const std::string& shard : shard_names(list.string()))
    if (!is_url(shard) && !is_present(shard))
      fail_at({data.path.string(), line == data.lines.end() ? 0 : line->second}, key, ": ", shard,
              ": cannot read this file: there is none of this name");
  return list;
}

namespace {

std::vector<std::string> read_lines_of_names(const fs::path& path) {
  InputFile in(path, kMaxDataBytes, Pipes::allowed);
  std::vector<std::string> names;
  LineReader reader(in, path.string());
  int blank = 0;
  for (std::string_view name; reader.next(name);) {
    if (name.find('\0') != name.npos)
      fail_at({path.string(), reader.number()}, "this is not a text file");
    if (name.empty()) {
      blank = blank ? blank : reader.number();
      continue;
    }
    if (blank) fail_at({path.string(), blank}, "a blank line among the names");
    names.emplace_back(name);
  }
  return names;
}

}  // namespace

std::vector<std::string> read_names(const fs::path& path, std::int64_t classes) {
  std::vector<std::string> names =
      is_yaml(path) ? read_names_of_yaml(path) : read_lines_of_names(path);
  if (names.empty()) fail_at({path.string(), 0}, "no names in this file");
  if (classes > 0 && std::ssize(names) != classes)
    fail_at({path.string(), 0}, "has ", plural(std::ssize(names), "name"),
            "; expected one for each of the ", plural(classes, "class"));
  return names;
}

std::vector<std::string> names_of(const fs::path& names, std::int64_t classes) {
  if (!names.empty()) return read_names(names, classes);
  std::vector<std::string> numbered;
  for (std::int64_t i = 0; i < classes; ++i) numbered.push_back(cat("class ", i));
  return numbered;
}

}  // namespace darknet
