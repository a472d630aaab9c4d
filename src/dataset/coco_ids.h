// COCO's numbers of images and classes.
#pragma once
#include <cstdint>
#include <vector>

#include "dataset/image_paths.h"

namespace darknet {

// The number of an image in COCO's files: the digits at the end of its name ("..._000000042.jpg":
// 42) where every image of the list has some and no two have the same, else its place, from 1.
std::vector<std::int64_t> image_ids(const ImagePaths&);

// COCO's numbers for its 80 classes (1 to 90, with gaps); class + 1 for any other number of them.
constexpr std::int64_t category_id(std::int64_t class_id, std::int64_t classes) {
  constexpr std::int64_t kCocoClasses = 80;
  constexpr std::int64_t kGaps[]{12, 26, 29, 30, 45, 66, 68, 69, 71, 83};  // numbers left out
  std::int64_t id = class_id + 1;
  if (classes != kCocoClasses) return id;
  for (const std::int64_t gap : kGaps) id += gap <= id;
  return id;
}

}  // namespace darknet
