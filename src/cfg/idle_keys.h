// The lines of a cfg that have no effect in this program: keys of other forks (cfg/legacy_keys.def)
// and keys that were given before in their section.
#pragma once
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace darknet {

struct IdleKey {
  int line = 0;  // of the text, counted from 1
  std::string section, assignment, why;
};
struct CleanedCfg {
  std::string text;
  std::vector<IdleKey> removed;
};

// The text without those lines. `name_of_type`: of the layer that a section makes, whose aliases
// have its keys.
CleanedCfg without_idle_keys(const std::string& text,
                             const std::function<std::string(std::string_view)>& name_of_type);

}  // namespace darknet
