// The file of `detector calibrate`, NAME.calibration.json next to NAME.weights: a map of
// confidences and the network that it was fitted to.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/file_format.h"
#include "eval/recalibration.h"
#include "nn/network.h"

namespace darknet {

// What the confidences depend on.
struct CalibratedNetwork {
  std::uint64_t weights = 0;        // checksum of the whole file
  std::vector<bool> obj_calibrate;  // of each head
  friend bool operator==(const CalibratedNetwork&, const CalibratedNetwork&) = default;
};
CalibratedNetwork calibrated_network(const Network&, std::uint64_t weights);

std::filesystem::path calibration_path(std::filesystem::path weights);
FileFormat calibration_format();

// Replaces the file atomically.
void write_calibration(const std::filesystem::path&, const CalibratedNetwork&,
                       const Recalibration&);
// Throws where the file is missing, damaged or of another network, naming the remedy.
ConfidenceMap read_calibration(const std::filesystem::path&, const CalibratedNetwork&);

}  // namespace darknet
