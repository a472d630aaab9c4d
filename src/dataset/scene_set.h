// A folder of synthetic scenes with everything a training run wants: images, labels, lists, .names
// and .data.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "dataset/scenes.h"

namespace darknet {

struct SceneSetSettings {
  SceneSettings scenes;
  std::int64_t count = 1000, test = 200;  // images in all; the last `test` are the valid list
  std::string extension = ".jpg";         // or .png
  int threads = 0;                        // 0: one per core; the bytes do not depend on it
  std::function<bool()> stop = nullptr;   // asked before each image, by any thread
};

// Throws where a setting is out of its range.
void check(const SceneSetSettings&);

// Throws where write_scene_set() would refuse the folder or could not write into it; makes it.
void require_scene_folder(const std::filesystem::path& folder);

// Writes FOLDER/scenes.json, which says how the set was made, then images, labels, train.txt,
// test.txt, scenes.names and, last, scenes.data: a set that was interrupted has none. Lists and
// .data hold whole paths, so the folder is to stay where it is. A set that this function made or
// began before is replaced; throws where the folder holds anything else, and where another process
// draws into it: scenes.lock is there meanwhile. An error while it draws leaves nothing of the set.
// Returns how many images there are: fewer than all where `stop` ended it before the lists.
std::int64_t write_scene_set(const std::filesystem::path& folder, const SceneSetSettings&);

}  // namespace darknet
