// A .cfg as text whose keys can be changed, for programs that write one. Order and comments behind
// values stay, comment lines go. Reading a cfg to use it is cfg/parse.h.
#pragma once
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace darknet {

class CfgText {
 public:
  explicit CfgText(std::string_view text);

  std::size_t size() const { return parts_.size(); }
  const std::string& type(std::size_t section) const { return parts_.at(section).type; }
  // "" where the section lacks the key.
  std::string value(std::size_t section, std::string_view key) const;
  // Replaces the value, and the comment where one is given, or adds the key at the section's end.
  void set(std::size_t section, std::string_view key, std::string value,
           std::string_view comment = {});
  void remove(std::size_t section, std::string_view key);

  std::string text() const;

 private:
  struct Line {
    std::string key, value, comment;
  };
  struct Part {
    std::string type;
    std::vector<Line> lines;
  };
  std::vector<Part> parts_;
};

}  // namespace darknet
