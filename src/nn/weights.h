// Darknet's .weights files, byte-compatible in both directions. In memory weights are OHWI, in
// files OIHW (nn/parameter.h). Momentum and the rest of a training run's state:
// nn/checkpoint.h.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include "core/error.h"
#include "nn/network.h"

namespace darknet {

// `given` where it exists, else the file of that name in `backup`, where training runs put it.
// Throws where neither exists; "" stays "".
std::filesystem::path find_weights(const std::filesystem::path& given,
                                   const std::filesystem::path& backup);

struct LoadOptions {
  std::int64_t layers = -1;     // load only layers [0, layers) and ignore the rest of the file
  bool allow_backbone = false;  // accept a file that ends exactly at a layer's end
};

struct LoadedWeights {
  std::uint64_t seen = 0;      // images the file's network was trained on
  std::int64_t layers = 0;     // layers [0, layers) were loaded
  std::int64_t loaded = 0;     // of them, layers with parameters
  bool complete = true;        // every layer of the network
  std::uint64_t checksum = 0;  // of the whole file
};

// Of weights that hold a value that is not finite.
class NotFiniteWeights : public Error {
 public:
  using Error::Error;
};

// Throws where the file is no weights file, too short or too long for the network, naming layer and
// bytes, or NotFiniteWeights. The caller calls parameters_changed().
LoadedWeights load_weights(const std::filesystem::path&, Network&, const LoadOptions& = {});

// The bytes of a .weights file with layers [0, end) (-1: all).
std::string weights_bytes(const Network&, std::uint64_t seen, std::int64_t end = -1);
// Writes them, replacing the file atomically.
void save_weights(const std::filesystem::path&, const Network&, std::uint64_t seen,
                  std::int64_t end = -1);

// Copies every parameter of one network to another of the same cfg, e.g. from training to
// inference.
void copy_parameters(const Network& from, Network& to);

}  // namespace darknet
