// What `detector test` and `detect` share: images in, lines, annotated images and results out.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "cfg/data_file.h"
#include "cli/command.h"
#include "cli/network_arguments.h"
#include "image/image.h"

namespace darknet::cli {

struct PredictOptions : NetworkArguments, ThresholdArguments {
  Tiling tiling;
  std::string names;                  // the .names file; "": there is none
  std::optional<DataFile> data_file;  // in place of `names`
  std::vector<std::string> images;    // as images_of() takes them; none: standard input
  std::string out;                    // file or folder of all detections; "": none
  std::string format = "darknet";     // of `out`: dataset/result_formats.def
  // "": predictions.jpg, or predictions/NAME.jpg for several images; "x/": x/NAME.jpg also for one
  std::string prefix;
  bool shipped_names = false;  // without a .names file: class_names() looks for one
  bool ext_output = false, dont_show = false, recursive = false;
  bool save_labels = false, replace_labels = false;  // the second also in place of others
};

// As the Darknet forks print it: "\t(left_x: ...)".
std::string box_in_pixels(const Box&, const Image&);

// The positional arguments, with those of the network as `network` has them, and the flags.
void add_predict_arguments(const Command&, PredictOptions&, Positionals network);
int predict_images(const PredictOptions&);

}  // namespace darknet::cli
