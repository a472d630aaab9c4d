// Which tensors of a quantised network hold 8-bit integers instead of f32, and what these stand
// for. A pure function of its layers.
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/ops.h"

namespace darknet {

// How a layer handles 8-bit integers; by default it works in f32.
struct IntegerNode {
  std::vector<std::int64_t> sources;  // of layers, each before this one; -1: the network's input
  std::optional<IntegerScale> reads;  // a convolution in integers: of its input, had it f32
  bool writes = false;                // a convolution in integers: whether its output may hold them
  bool keeps = false;                 // Layer::keeps_integers()
  bool adds = false;                  // Layer::adds_integers()
};

// For the output of each layer its scale, or nothing where it holds f32. Integers are made by
// convolutions and sums, passed on by layers that keep them, and read by convolutions and sums; a
// tensor with any other reader is f32. Tensors that are kept have one scale, whose range holds
// those of all convolutions that read them. They are f32 where that would be more than twice as
// coarse as one of these asks for. What only sums read has the scale of the sum.
std::vector<std::optional<IntegerScale>> integer_tensors(std::span<const IntegerNode>);

}  // namespace darknet
