// The file of `darknet quantize`, NAME.int8 next to NAME.weights: which convolutions compute in
// 8-bit integers, their scales, zero points and ranges, and the network that they are of.
#pragma once
#include <cstdint>
#include <filesystem>

#include "core/file_format.h"
#include "eval/quantizer.h"

namespace darknet {

// What the ranges depend on. Not the size of the input: it may change.
struct NetworkIdentity {
  std::uint64_t weights = 0;  // checksum of the whole file
  std::uint64_t layers = 0;   // checksum of their types, sources and summaries
  friend bool operator==(const NetworkIdentity&, const NetworkIdentity&) = default;
};
NetworkIdentity identity_of(const Network&, std::uint64_t weights);

std::filesystem::path quantization_path(std::filesystem::path weights);
FileFormat quantization_format();

// Replaces the file atomically.
void write_quantization(const std::filesystem::path&, const NetworkIdentity&,
                        const QuantizationReport&);
// Throws where the file is missing, damaged or of another network, naming the remedy. What it
// returns fits itself; Network::set_quantization() checks it against the layers.
Quantization read_quantization(const std::filesystem::path&, const NetworkIdentity&);

}  // namespace darknet
