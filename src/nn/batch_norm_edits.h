// Changes the batch normalisation of a whole network without changing its outputs at inference. On
// the parameters in memory, not in files.
#pragma once
#include <cstdint>

#include "nn/network.h"

namespace darknet {

// Gives `to` the parameters of `from`, whose cfg differs from its own in batch_normalize= alone,
// so that both compute the same at inference: where only `from` normalises, folded into weights
// and bias; where only `to` does, with scales of 1, means of 0 and variances of 1. Throws where a
// layer has other weights.
void convert_batch_norm(Network& from, Network& to);

// Folds scales and rolling statistics into weights and biases of every layer that has weights, and
// sets them to 1 (scales, variances) and 0 (means). Returns the number of such layers.
std::int64_t reset_batch_norm(Network&);

}  // namespace darknet
