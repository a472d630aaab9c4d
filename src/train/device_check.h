// The same network, weights and pictures through two devices, layer by layer: outputs at inference
// and in training, and gradients of the parameters. Prints nothing; cli/check.cpp does.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "cfg/section.h"
#include "core/device.h"

namespace darknet {

// A device, or plain loops on the CPU: "cpu", "cuda:1", "reference".
struct CheckedDevice {
  Device device;
  bool reference = false;
};
CheckedDevice checked_device(const std::string& name);  // throws on another word
std::string to_string(const CheckedDevice&);

struct DeviceCheckOptions {
  std::filesystem::path weights;  // "": fresh ones
  CheckedDevice first, second;
  bool exact = false, deterministic = false;
  std::uint64_t seed = 1;
  std::filesystem::path tuning;  // for both; "": by rule
};

// Between two arrays. Relative: the largest absolute difference over the largest magnitude.
struct Difference {
  double absolute = 0, relative = 0;
  bool compared = false;  // false: this layer has no such thing
};

// Relative is NaN where one of them holds a number that is not finite. Throws on different sizes.
Difference difference(const std::vector<float>& a, const std::vector<float>& b);

struct LayerCheck {
  std::int64_t layer = 0;
  std::string type;
  Difference inference, training, gradient;
};

struct DeviceCheck {
  std::vector<LayerCheck> layers;
  double inference_tolerance = 0, training_tolerance = 0;  // of relative differences
  bool passes(const LayerCheck&) const;                    // NaN does not
  bool passes() const;
};

// `cfg`: the sections of a file. Gradients are compared where the network has a detection head:
// of one pass over two pictures of noise with made-up truths.
DeviceCheck check_devices(const std::vector<Section>& cfg, const DeviceCheckOptions&);

}  // namespace darknet
