// Detections as files, to be scored by other programs and to score theirs: COCO's results (JSON),
// Pascal VOC's comp4 files, Darknet's label lines and JSON.
#pragma once
#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

#include "core/file_format.h"
#include "dataset/image_paths.h"
#include "detect/box.h"
#include "image/picture_size.h"

namespace darknet {

// What detections are about: one entry per image, in the order of the list.
struct ImageSet {
  ImagePaths images;
  std::vector<PictureSize> sizes;  // pixels
  std::vector<std::string> names;  // of the classes
};

// The number of an image in COCO's files: the digits at the end of its name ("..._000000042.jpg":
// 42) where every image of the list has some and no two have the same, else its place, from 1.
std::vector<std::int64_t> image_ids(const ImagePaths&);

// COCO's numbers for its 80 classes (1 to 90, with gaps); class + 1 for any other number of them.
std::int64_t category_id(std::int64_t class_id, std::int64_t classes);

struct FiledDetections {
  std::vector<std::vector<Detection>> images;  // boxes in fractions of the picture
  std::int64_t detections = 0;
};

// A COCO results file (.json; entries with image_id, or file_name, category_id, bbox and score), or
// VOC: a folder with one file per class, ending in the class's name (comp4_det_test_cell.txt), or
// one such file. Throws, naming file and entry, on what is not finite, on unknown images and
// classes.
FiledDetections read_detections(const std::filesystem::path&, const ImageSet&);

// Detections as JSON, COCO's and AlexeyAB's: one may take the place of the other.
FileFormat detections_json_format();

// All of these clip the boxes to the image (detect/clip.h).
// bbox: x, y of the upper left corner, width, height; pixels from 0.
std::string coco_results(const ImageSet&, std::span<const std::vector<Detection>>);
// One file of class `class_id`: "STEM score left top right bottom", pixels from 1 (Darknet).
std::string voc_results(const ImageSet&, std::span<const std::vector<Detection>>,
                        std::int64_t class_id);
// VOC's files name images without folder and ending, and classes by their files. Throws, naming
// both, where two images or two classes would be one, or where a name cannot stand in a line.
void require_voc_names(const ImageSet&);
// What the file of a class is called: BEGINNING + name + .txt, without the slashes of a name.
std::string voc_file_name(const std::string& beginning, const std::string& class_name);
// One entry of "objects" in AlexeyAB's JSON.
nlohmann::json darknet_object(const Detection&, const std::vector<std::string>& names);
// "class x y width height", and the probability behind it where asked for; boxes without area in
// the image, which no reader of labels takes, are left out.
std::string label_lines(std::span<const Detection>, bool with_probability);

}  // namespace darknet
