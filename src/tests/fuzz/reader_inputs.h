// What the readers of networks and those of data share.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "tests/fuzz/readers.h"

namespace darknet::testing_fuzz {

// What must hold of an input that was accepted: throws std::logic_error, which no reader may.
void require(bool holds, const char* what);

// A file of these bytes under a name that it keeps; removed at the program's end.
std::filesystem::path scratch_file(const std::filesystem::path& name, const std::string& bytes);

// Of cfg, class trees, weights, state, calibration, quantization, tuning and ONNX.
std::vector<FuzzedReader> network_readers();
// Of labels, images, detections, annotations, shards, .data files and training logs.
std::vector<FuzzedReader> data_readers();

}  // namespace darknet::testing_fuzz
