#include "cfg/data_yaml.h"

#include <yaml-cpp/yaml.h>

#include <map>

#include "core/error.h"
#include "core/file.h"
#include "core/index.h"
#include "core/input.h"
#include "core/log.h"
#include "core/text.h"

namespace darknet {
namespace {
namespace fs = std::filesystem;

constexpr std::uint64_t kMaxYaml = 16u << 20;
constexpr std::int64_t kMaxClasses = 1 << 16;

class YamlFile {
 public:
  explicit YamlFile(const fs::path& path) : path_(path) {
    try {
      root_ = YAML::Load(read_file(path, kMaxYaml));
    } catch (const YAML::Exception& e) {
      fail_at(where(e.mark), "malformed YAML: ", shown(e.msg));
    }
    if (!root_.IsMap()) fail_at({path.string(), 0}, "expected lines like 'train: images/train'");
  }

  Where where(const YAML::Mark& mark) const {
    return {path_.string(), mark.is_null() ? 0 : mark.line + 1};
  }

  std::string text(const char* key) const {
    const YAML::Node node = root_[key];
    if (!node || node.IsNull()) return "";
    if (!node.IsScalar())
      fail_at(where(node.Mark()), key,
              " holds several values; put the images into one folder or "
              "list, and name that");
    return node.Scalar();
  }

  std::vector<std::string> names() const {
    const YAML::Node node = root_["names"];
    if (!node) return {};
    std::map<std::int64_t, std::string> by_number;
    if (node.IsSequence())
      for (const YAML::Node& name : node) by_number.emplace(std::ssize(by_number), scalar(name));
    else if (node.IsMap())
      for (const auto& entry : node) add(by_number, entry.first, entry.second);
    else
      fail_at(where(node.Mark()), "names: expected a list, [cat, dog], or numbers, 0: cat");
    std::vector<std::string> names;
    for (const auto& [number, name] : by_number) {
      if (number != std::ssize(names))
        fail_at(where(node.Mark()), "names: there is no class ", std::ssize(names));
      names.push_back(name);
    }
    return names;
  }

  std::int64_t integer(const char* key) const {
    const YAML::Node node = root_[key];
    return node ? number(node, key) : 0;
  }

 private:
  std::string scalar(const YAML::Node& node) const {
    if (!node.IsScalar() || trim(node.Scalar()).empty())
      fail_at(where(node.Mark()), "names: expected the name of a class");
    return std::string(trim(node.Scalar()));
  }
  void add(std::map<std::int64_t, std::string>& to, const YAML::Node& key,
           const YAML::Node& name) const {
    if (!to.emplace(number(key, "names"), scalar(name)).second)
      fail_at(where(key.Mark()), "names: the class ", key.Scalar(), " is there twice");
  }
  std::int64_t number(const YAML::Node& node, const char* key) const {
    std::int64_t value = -1;
    if (!YAML::convert<std::int64_t>::decode(node, value) || value < 0 || value > kMaxClasses)
      fail_at(where(node.Mark()), key, ": expected an integer from 0 to ", kMaxClasses);
    return value;
  }

  fs::path path_;
  YAML::Node root_;
};

// Relative to the file's folder, or else to the working directory. Roboflow writes ../train for
// what lies next to its file.
fs::path place_of(const std::string& text, const fs::path& base, const fs::path& file) {
  if (text.empty()) return {};
  const fs::path folder = file.parent_path();
  std::vector<fs::path> candidates{folder / base / text, base / text};
  constexpr std::string_view kAbove = "../";
  if (text.starts_with(kAbove)) candidates.push_back(folder / text.substr(kAbove.size()));
  for (const fs::path& path : candidates)
    if (is_present(path) || (is_pattern(path) && !files_matching(path).empty()))
      return path.lexically_normal();
  return candidates.front().lexically_normal();
}

}  // namespace

bool is_yaml(const fs::path& path) {
  const std::string extension = lower_case(path.extension().string());
  return extension == ".yaml" || extension == ".yml";
}

DataFile read_data_yaml(const fs::path& path) {
  const YamlFile yaml(path);
  DataFile data{.path = path, .names = path};
  const std::vector<std::string> names = yaml.names();
  data.classes = yaml.integer("nc");
  if (names.empty()) data.names.clear();
  if (!names.empty() && data.classes != 0 && data.classes != std::ssize(names))
    fail_at({path.string(), 0}, "nc is ", data.classes, ", and names has ",
            plural(std::ssize(names), "name"));
  if (data.classes == 0) data.classes = std::ssize(names);
  const fs::path base = yaml.text("path");
  data.train = place_of(yaml.text("train"), base, path);
  data.valid = place_of(yaml.text("val"), base, path);
  if (data.valid.empty()) data.valid = place_of(yaml.text("valid"), base, path);
  return data;
}

std::vector<std::string> read_names_of_yaml(const fs::path& path) { return YamlFile(path).names(); }

}  // namespace darknet
