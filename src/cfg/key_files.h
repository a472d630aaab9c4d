// Files that keys of a cfg name (tree=, map=): where they are, and what the keys have to be where
// the cfg itself moves to another folder. What such a file holds: cfg/class_tree.h.
#pragma once
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "cfg/section.h"

namespace darknet {

// The file that a key names: from the working directory, as in Darknet, or else from the folder of
// the cfg or the one above it, or by its name alone in one of these. Throws where there is none.
std::filesystem::path file_of_key(const Section&, std::string_view key, std::string_view value);

struct KeyFile {
  std::size_t section = 0;  // its place, from 0
  std::string key;
  std::filesystem::path file;
};
// Those of all sections; a file that is not there is left out.
std::vector<KeyFile> files_of_keys(std::vector<Section> cfg);

// The text of the cfg `from` as it has to be at `to`: where that is another folder, the keys name
// the same files from there, relative to it. Throws where a cfg cannot hold such a name.
std::string moved_cfg(const std::string& text, const std::filesystem::path& from,
                      const std::filesystem::path& to);

}  // namespace darknet
