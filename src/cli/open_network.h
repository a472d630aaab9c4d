// Networks as the commands open them: for inference, with the weights a user named.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "nn/network.h"

namespace darknet::cli {

struct OpenOptions {
  std::filesystem::path cfg, weights;
  std::vector<std::string> overrides;  // -set
  bool exact = false;
  std::int64_t batch = 1;
  int threads = 0;
};

// Throws where the weights do not fill the network.
Network open_network(const OpenOptions&);

// The names of a network's classes: from `names`, or else the list under data/ that has as many, or
// else "class 3".
std::vector<std::string> class_names(const Network&, const std::filesystem::path& names);

}  // namespace darknet::cli
