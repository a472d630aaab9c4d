// Networks as they are opened for detection: the commands and the library (api/) do it here.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "cfg/section.h"
#include "core/device.h"
#include "core/tuning.h"
#include "nn/network.h"

namespace darknet {

struct OpenOptions {
  Device device;
  bool exact = false;
  bool letter_box = false;  // whatever the cfg says
  bool int8 = false;        // by the file of `darknet quantize` next to the weights
  std::int64_t batch = 1;   // images of a forward pass
  Tuning tuning = {};
};

// For inference on images. Throws where the weights do not fill the network.
// `checksum`: where that of the weights file goes; null: nowhere.
Network open_network(std::vector<Section> cfg, const std::filesystem::path& weights,
                     const OpenOptions&, std::uint64_t* checksum = nullptr);

// A precision of convolutions, no element type: the network is f32, see OpenOptions::int8.
inline constexpr std::string_view kInt8 = "int8";
// The assignment for apply_overrides() of cfg/parse.h; `precision`: an element type or kInt8.
std::string precision_override(std::string_view precision);

// After a forward pass. Throws where the objectness of one of its first images is not a finite
// number; `images`: how many of the network's batch were images.
void require_finite_outputs(const Network&, std::int64_t images = 1);

}  // namespace darknet
