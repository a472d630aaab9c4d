// A data set in the layout of another tool, as read: images, boxes, names of classes, and the
// splits ("train", "val", ...) that it says its images belong to.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "image/image_size.h"

namespace darknet {

struct AnnotatedObject {
  std::int64_t class_id = 0;
  double x = 0, y = 0, w = 0, h = 0;  // centre and size in fractions of the image
  bool difficult = false;  // evaluation does not count it: VOC's difficult, COCO's iscrowd
};

struct AnnotatedImage {
  std::filesystem::path file;
  std::filesystem::path name;  // its path below the folder of images that will be written
  ImageSize size;              // as the annotation says; 0: it does not
  std::vector<AnnotatedObject> objects;
};

struct AnnotatedSplit {
  std::string name;
  std::vector<std::size_t>
      images;  // places in AnnotatedSet::images, which may be in several splits
};

struct AnnotatedSet {
  std::vector<std::string> classes;
  std::vector<AnnotatedImage> images;
  std::vector<AnnotatedSplit> splits;  // none: the set does not say
  std::vector<std::string> notes;      // what was changed or left out, a sentence each
};

}  // namespace darknet
