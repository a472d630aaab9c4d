// Changes to the batch normalisation of whole networks that keep what they compute, and to what
// their first convolution expects of an image. On the parameters in memory, not in files.
#pragma once
#include <cstdint>

#include "nn/network.h"

namespace darknet {

// The parameters of a layer by their role; null where it has none of that.
struct ParametersByRole {
  Parameter *weights = nullptr, *bias = nullptr, *scale = nullptr, *mean = nullptr,
            *variance = nullptr;
};
ParametersByRole parameters_by_role(Layer&);

// Gives `to` the parameters of `from`, whose cfg differs from its own in batch_normalize= alone,
// so that both compute the same at inference: where only `from` normalises, folded into weights
// and bias; where only `to` does, with scales of 1, means of 0 and variances of 1. Throws where a
// layer has other weights.
void convert_batch_norm(Network& from, Network& to);

// The scales become 1, the rolling means 0 and variances 1 of every layer whose weights they can go
// into; outputs at inference stay. Returns the number of such layers.
std::int64_t reset_batch_norm(Network&);

// Of the first convolution, and of others that read the same input: swaps the first and the third
// channel, so that images in the order BGR give what those in RGB gave. Throws where it has not
// three.
void swap_red_and_blue(Network&);
// The network took scale * x + shift; afterwards it takes x, apart from borders where zeros are
// padded. Throws where there is no convolution.
void rescale_input(Network&, float scale, float shift);

}  // namespace darknet
