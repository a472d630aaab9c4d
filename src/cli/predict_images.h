// What `detector test` and `detect` share: images in, lines, pictures and JSON out.
#pragma once
#include <string>
#include <vector>

#include "cli/command.h"
#include "image/image.h"
#include "nn/network.h"

namespace darknet::cli {

struct PredictOptions {
  std::string data, cfg, weights, names;  // data, names: "" where there are none
  std::vector<std::string> images;        // as pictures_of() takes them; none: standard input
  std::vector<std::string> overrides;
  std::filesystem::path tuning;
  float threshold = .25f, nms = .45f;
  std::string out;                 // file, or folder, of all detections
  std::string format = "darknet";  // of `out`: darknet, coco (JSON files), voc, yolo (folders)
  std::string prefix;          // "" : predictions.jpg, or predictions/NAME.jpg for several pictures
  bool shipped_names = false;  // without a .names file: one of those under data/
  bool ext_output = false, save_labels = false, dont_show = false, exact = false,
       letter_box = false, recursive = false;
  Device device;
};

// As the Darknets print it: "\t(left_x: ...)".
std::string box_in_pixels(const Box&, const Image&);

void add_predict_flags(CLI::App&, PredictOptions&);
int predict_images(const PredictOptions&);

}  // namespace darknet::cli
