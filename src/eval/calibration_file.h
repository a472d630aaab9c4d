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
// "temperature 1.250", "isotonic curve of 12 points".
std::string text_of(const ConfidenceMap&);
// What the file says of itself, for people: "temperature 1.250 by 120 detections in 10 images,
// D-ECE 0.0312 after it", and whether it is of another network; "" where nothing is there.
std::string calibration_text(const std::filesystem::path&, const CalibratedNetwork&);
// Throws where the file is missing, damaged or of another network, naming the remedy.
ConfidenceMap read_calibration(const std::filesystem::path&, const CalibratedNetwork&);

}  // namespace darknet
