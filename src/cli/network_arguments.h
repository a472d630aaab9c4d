// Arguments and flags that commands have in common, each as the field that it fills; a command's
// options embed those that it has.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "cfg/data_file.h"
#include "cfg/section.h"
#include "cli/command.h"
#include "core/device.h"
#include "dataset/labels.h"
#include "dataset/run_inputs.h"
#include "eval/predict.h"

namespace darknet::cli {

// A .cfg and what is changed in it.
struct CfgArguments {
  std::string cfg;
  std::vector<std::string> overrides;  // -set
};
// The sections of the file, with the overrides applied.
std::vector<Section> sections_of(const CfgArguments&);

// What a network for inference is opened with: cli/open_network.h.
struct NetworkArguments : CfgArguments {  // overrides: -precision too
  std::string data, weights;
  bool exact = false, letter_box = false;  // letter_box: whatever the cfg says
  bool int8 = false;  // 8-bit integers, by the file of `darknet quantize` next to the weights
  float hier = -1;    // of class trees; below 0: the cfg's
  std::filesystem::path tuning;
  Device device;
};

// The positional arguments of a command: `data cfg weights`, all of them required; `cfg weights`;
// or `data [cfg weights]`, both or none of the two.
enum class Positionals : std::uint8_t { data_cfg_weights, cfg_weights, data };
void add_positionals(const Command&, NetworkArguments&, Positionals);
// -letter_box, -set, -exact, -precision, -tuning, -gpus, -i, -nogpu.
// Returns them.
std::vector<Option> add_network_flags(const Command&, NetworkArguments&);

// The same of commands for classifiers, which always see the middle of an image: no -letter_box.
void add_classifier_network_flags(const Command&, NetworkArguments&);

// Reads the .data file and, with `weights`, puts in their place what find_weights() finds in its
// backup folder. All that it names is input (cli/run_inputs.h).
DataFile open_data(NetworkArguments&, ListedFiles);

void add_hier(const Command&, float& hier);           // -hier
void add_calibrate(const Command&, bool& calibrate);  // -calibrate
// -thresh, -nms and -calibrate.
struct ThresholdArguments {
  float thresh = .25f, nms = kDefaultNms;
  bool calibrate = false;
};
void add_threshold_flags(const Command&, ThresholdArguments&);
// Without the calibration, which cli/open_network.h reads.
inline DetectionOptions detection_options(const ThresholdArguments& a) { return {a.thresh, a.nms}; }

// -tile, -overlap and -tiles_only. `others`, where it is not null, gets them as well.
void add_tile_flags(const Command&, Tiling&, std::vector<Option>* others = nullptr);
// As they would be typed, behind a blank; "": none.
std::string tile_flags_of(const Tiling&);
// Images of a forward pass over tiles. Without tiles: `otherwise`.
std::int64_t batch_for(const Tiling&, const Device&, std::int64_t otherwise);

// -threads and -bad_labels, of commands that read images with their labels.
struct ReadingArguments {
  int threads = 0;  // 0: chosen
  BadLabels bad_labels = BadLabels::stop;
};
void add_reading_flags(const Command&, ReadingArguments&);

}  // namespace darknet::cli
