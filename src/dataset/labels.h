// Label files: one object a line, "class x y w h" with the box's centre and extent in fractions of
// the picture. Read strictly: whatever is wrong is told with file and line.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "core/error.h"
#include "dataset/image_paths.h"
#include "detect/box.h"

namespace darknet {

inline constexpr float kOverhang = 1e-3f;  // of the picture; a box that sticks out less is clipped

struct Labels {
  std::vector<Truth> truths;  // in file order
  std::int64_t clipped = 0;   // boxes that stuck out by at most kOverhang
};

// Everything wrong with the text goes to `report` (line, reason); the sound lines are returned.
using LabelReport = std::function<void(int line, const std::string& why)>;
Labels parse_labels(const std::string& text, std::int64_t classes, const LabelReport& report);

// Throws on the first fault, and where the file is missing, naming where it was looked for.
Labels read_labels(const std::filesystem::path& image, std::int64_t classes);

// The labels of every image, with progress on long lists.
struct LabelledImages {
  ImagePaths images;
  GroundTruths truths;
  std::int64_t objects = 0, empty = 0, clipped = 0;
};
LabelledImages read_all_labels(ImagePaths images, std::int64_t classes);

}  // namespace darknet
