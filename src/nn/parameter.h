// A trained (or tracked) array of a layer and what the optimizer and the weights file need to know
// of it.
#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>
#include "core/named.h"
#include "core/tensor.h"

namespace darknet {

enum class Role : std::uint8_t { weights, bias, scale, rolling_mean, rolling_variance };
constexpr auto choices(Role) {
  return std::to_array<Named<Role>>({{"weights", Role::weights},
                                     {"biases", Role::bias},
                                     {"scales", Role::scale},
                                     {"means", Role::rolling_mean},
                                     {"variances", Role::rolling_variance}});
}

struct Parameter {
  Role role = Role::weights;
  Tensor value;  // weights: shape {out, h, w, in} (OHWI); others {1, 1, 1, n}
  // dL/dvalue summed over images and subdivisions, f32: a part of what allocate_gradients() made.
  // Null for statistics, at inference and where it is never trained.
  TensorView gradient;
  float learning_rate = 1;  // the layer's factor
  bool update = true;       // dont_update=1, train_only_bn and statistics switch it off
  bool frozen = false;      // at present, with its whole layer: nothing may change it
  // How many iterations pass before a step may change it, as an update or as a statistic;
  // kNeverTrained: all.
  std::int64_t frozen_iterations = 0;
  bool sums_gradient = false;     // asks for a gradient
  bool centred_gradient = false;  // grad_centr: an update takes each filter's mean off its gradient
  bool load = true;               // dontload, dontloadscales switch it off
  bool transposed = false;        // weights of shape {in, h, w, out}

  bool trained() const { return role != Role::rolling_mean && role != Role::rolling_variance; }
  bool updated() const { return trained() && update && !frozen; }  // by a step, at present
  // Where its gradient is summed; null while none is wanted.
  float* summed_gradient() const { return frozen ? nullptr : static_cast<float*>(gradient.data); }
  bool decays() const { return role == Role::weights; }  // Darknet: no decay on biases and scales
};

// Weights {o, h, w, i} in memory are [o][i][h][w] in files, of Darknet and of ONNX.
std::vector<float> in_file_order(const Shape& ohwi, std::span<const float> memory);
std::vector<float> in_memory_order(const Shape& ohwi, std::span<const float> file);

// The gradients of all parameters that ask for one, in one array, so that one launch visits them
// all: each begins at a multiple of kPartAlignment bytes, and all are zero.
Buffer allocate_gradients(const Stream&, std::span<Parameter* const>, MemoryAccess);

}  // namespace darknet
