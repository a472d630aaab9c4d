#include "cfg/key_files.h"

#include <sstream>
#include <system_error>
#include <utility>

#include "cfg/override.h"
#include "cfg/parse.h"
#include "core/error.h"
#include "core/input.h"
#include "core/log.h"
#include "core/text.h"

namespace darknet {
namespace {
namespace fs = std::filesystem;

constexpr const char* kFileKeys[] = {"tree", "map"};

fs::path folder_of(const fs::path& file) {
  const fs::path folder = file.parent_path();
  return folder.empty() ? "." : folder;
}

// "" where there is none.
fs::path found_from_folder(const fs::path& folder, const fs::path& path) {
  for (const fs::path& at : {folder / path, folder / ".." / path, folder / path.filename(),
                             folder / ".." / path.filename()})
    if (is_present(at)) return at.lexically_normal();
  return {};
}

fs::path found_file(const fs::path& folder, const fs::path& path) {
  if (path.is_absolute() || is_present(path)) return path.lexically_normal();
  return found_from_folder(folder, path);
}

bool same_file(const fs::path& a, const fs::path& b) {
  std::error_code unknown;
  return fs::equivalent(a, b, unknown);
}

// What the key is in a cfg of that folder, from wherever the program runs.
std::string value_in(const fs::path& folder, const KeyFile& k, const std::string& value) {
  if (same_file(found_from_folder(folder, value), k.file)) return value;
  std::error_code unknown;
  fs::path name = fs::relative(k.file, folder, unknown);
  if (!same_file(found_file(folder, name), k.file)) name = fs::canonical(k.file);
  std::string text = name.string();
  if (without_comment(text) != text || trim(text) != text)
    fail(folder.string(), ": a cfg of this folder cannot name ", shown(text), " by ", k.key,
         "=: # and ; begin comments, and blanks at the ends are left out; take another folder");
  return text;
}

}  // namespace

fs::path file_of_key(const Section& section, std::string_view key, std::string_view value) {
  fs::path path = value;
  if (path.is_absolute()) return path;
  if (fs::path found = found_file(fs::path(section.where().file).parent_path(), path);
      !found.empty())
    return found;
  section.fail(key, cat("there is no file ", shown(value),
                        ", neither from here nor from the folder of the cfg or the one above it"));
}

std::vector<KeyFile> files_of_keys(std::vector<Section> cfg) {
  std::vector<KeyFile> files;
  for (std::size_t s = 0; s < cfg.size(); ++s)
    for (const char* key : kFileKeys) {
      const std::string value = cfg[s].has(key) ? cfg[s].text(key, "") : "";
      if (value.empty()) continue;
      fs::path file = found_file(fs::path(cfg[s].where().file).parent_path(), value);
      if (!file.empty() && is_present(file)) files.push_back({s, key, std::move(file)});
    }
  return files;
}

std::string moved_cfg(const std::string& text, const fs::path& from, const fs::path& to) {
  const fs::path folder = folder_of(to);
  if (same_file(folder_of(from), folder)) return text;
  const log::WithoutWarnings printed_before;
  std::istringstream in(text);
  std::vector<Section> cfg = parse_cfg(in, from.string());
  std::vector<std::string> assignments;
  for (const KeyFile& k : files_of_keys(cfg)) {
    const std::string value = cfg[k.section].text(k.key, "");
    if (fs::path(value).is_absolute()) continue;
    assignments.push_back(
        cat(name_of_place(cfg, k.section), '.', k.key, '=', value_in(folder, k, value)));
  }
  return assignments.empty() ? text : with_overrides(text, assignments, Comments::kept);
}

}  // namespace darknet
