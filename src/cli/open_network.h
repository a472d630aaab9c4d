// Networks as the commands open them: for inference, with the weights a user named.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "detect/box.h"
#include "nn/network.h"

namespace darknet::cli {

struct OpenOptions {
  std::filesystem::path cfg, weights;
  std::vector<std::string> overrides;  // -set
  bool exact = false;
  Device device;
  std::filesystem::path tuning;  // -tuning
  bool letter_box = false;       // -letter_box, whatever the cfg says
  std::int64_t batch = 1;
};

inline constexpr std::int64_t kEvaluationBatch = 4;  // images at a time

// For an evaluation, from the options of a command, which have the same names.
template <class CommandOptions>
OpenOptions evaluation_options(const CommandOptions& o, const std::filesystem::path& weights) {
  return {.cfg = o.cfg,
          .weights = weights,
          .overrides = o.overrides,
          .exact = o.exact,
          .device = o.device,
          .tuning = o.tuning,
          .letter_box = o.letter_box,
          .batch = kEvaluationBatch};
}

// Throws where the weights do not fill the network.
Network open_network(const OpenOptions&);

// The names of a network's classes: from `names`, or else "class 3"; with `shipped`, before that,
// the list under data/ that is called like the cfg or is COCO's or VOC's, and has as many.
std::vector<std::string> class_names(const Network&, const std::filesystem::path& names,
                                     bool shipped = false);

// Darknet: classes whose names begin with "dont_show" are neither drawn nor printed, nor do they
// stand in AlexeyAB's JSON.
void remove_hidden(std::vector<Detection>&, const std::vector<std::string>& names);

}  // namespace darknet::cli
