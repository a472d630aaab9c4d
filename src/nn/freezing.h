// Which layers of a network are trained at an iteration, as stopbackward, onlyforward and
// dont_update ask. What frozen layers then do belongs to the network and its layers.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "kernels/update.h"
#include "nn/layer.h"

namespace darknet {

// What happens to a layer in a training step.
struct LayerTraining {
  bool gradient = true;  // a gradient reaches it and may pass it
  bool update = true;    // its parameters are trained; else they and its statistics stay
  bool operator==(const LayerTraining&) const = default;
};

struct FreezableLayer {
  const CommonKeys* keys = nullptr;
  std::span<const std::int64_t> sources;  // indices of the layers it reads; -1: the input
  // It makes a gradient itself. In a network without heads, layers that nobody reads do: [softmax],
  // [logistic], [cost], or whoever fills Network::output_gradient().
  bool head = false;
};

// A key of `until` freezes a layer: 0 never, 1 for good, N > 1 in the first N iterations.
bool freezes(std::int64_t until, std::int64_t iteration);

// `iteration`: the step's number, 1 for the first. A layer whose output no loss depends on, but
// through frozen layers, is frozen too: it would only decay.
std::vector<LayerTraining> trained_layers(std::span<const FreezableLayer>, std::int64_t iteration);

// Of each layer, the last iteration before its first update: 0 where it is trained from the
// beginning on, kNeverTrained where none comes.
std::vector<std::int64_t> frozen_iterations(std::span<const FreezableLayer>);

// Layers 0 to 5 and 8 of {0..5, 8}: "0-5, 8".
std::string show_ranges(std::span<const std::int64_t> sorted);

}  // namespace darknet
