// The same network, weights and images through two devices, layer by layer: outputs at inference
// and in training, and gradients of the parameters. Prints nothing; cli/check.cpp does.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cfg/section.h"
#include "core/device.h"
#include "core/tensor.h"
#include "nn/parameter.h"

namespace darknet {

// A device, or the reference implementation on the CPU: "cpu", "cuda:1", "reference".
struct CheckedDevice {
  Device device;
  bool reference = false;
  std::optional<DType> precision = {};  // of the activations; nothing: what [net] says
};
CheckedDevice checked_device(const std::string& name);  // throws on another word
std::string to_string(const CheckedDevice&);

struct DeviceCheckOptions {
  std::filesystem::path weights;  // "": fresh ones
  CheckedDevice first, second;
  bool exact = false, deterministic = false;
  std::uint64_t seed = 1;
  std::filesystem::path tuning;          // for both; "": heuristics
  std::function<bool()> stop = nullptr;  // asked after each layer
};

// Between two arrays. Relative: the largest absolute difference over the largest magnitude.
// Overall: the Euclidean length of the difference over that of the second array.
struct Difference {
  double absolute = 0, relative = 0, overall = 0;
  bool compared = false;  // false: this layer has no such thing
};

// Relative and overall are NaN where one of them holds a number that is not finite. `shortest`: the
// overall difference is over this where the second array is shorter. Throws on different sizes.
Difference difference(const std::vector<float>& a, const std::vector<float>& b,
                      double shortest = 0);

// The gradient of one array of a layer. A wrong one of few biases would hardly change the length of
// all of them together.
struct ParameterGradient {
  Role role = Role::weights;
  std::vector<float> values;
};
struct GradientDifference {
  Role role = Role::weights;
  Difference difference;
};
// The gradient of biases in front of a batch normalisation is 0 but for rounding, which differs by
// any factor: no array counts as shorter than one whose elements are a tenth of the layer's (root
// mean square). Throws where the arrays differ in number or size.
std::vector<GradientDifference> differences(const std::vector<ParameterGradient>& a,
                                            const std::vector<ParameterGradient>& b);

struct LayerCheck {
  std::int64_t layer = 0;
  std::string type;
  Difference inference, training;             // of the outputs
  Difference gradient;                        // of all arrays together
  std::vector<GradientDifference> gradients;  // of each that has one
  // The one whose overall difference is largest, or not a number; null where there is none.
  const GradientDifference* worst_gradient() const;
};

struct DeviceCheck {
  std::vector<LayerCheck> layers;
  bool stopped = false;  // by `stop`: without layers
  // Of relative differences: outputs at inference and in training; and of overall ones: gradients.
  // A rounding that changes the side of a leaky activation's kink, or a maximum's place, changes
  // single gradients by any amount.
  double inference_tolerance = 0, training_tolerance = 0, gradient_tolerance = 0;
  // Of the overall difference of each array's gradient; infinite in less than f32, where rounding
  // leaves little of a short one.
  double array_tolerance = 0;
  bool passes(const LayerCheck&) const;  // NaN does not
  bool passes() const;
};

// What the device will compute that network in.
DType precision_of(const CheckedDevice&, const std::vector<Section>& cfg);

// `cfg`: the sections of a file. Gradients are compared where the network has a detection head:
// of one pass over two images of noise with synthetic truths.
DeviceCheck check_devices(const std::vector<Section>& cfg, const DeviceCheckOptions&);

}  // namespace darknet
