// The detections of other programs: COCO's results (JSON) and Pascal VOC's comp4 files. What this
// program writes: dataset/result_writer.h.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "dataset/image_paths.h"
#include "detect/box.h"
#include "image/image_size.h"

namespace darknet {

// What detections are about: one entry per image, in the order of the list.
struct ImageSet {
  ImagePaths images;
  std::vector<ImageSize> sizes;    // pixels
  std::vector<std::string> names;  // of the classes
};

struct FiledDetections {
  std::vector<std::vector<Detection>> images;  // boxes in fractions of the image
  std::int64_t detections = 0;
};

// A COCO results file (.json; entries with image_id, or file_name, category_id, bbox and score), or
// VOC: a folder with one file per class, with the class's name at its end
// (comp4_det_test_cell.txt), or one such file. Throws, naming file and entry, on what is not
// finite, on unknown images and classes.
FiledDetections read_detections(const std::filesystem::path&, const ImageSet&);

}  // namespace darknet
