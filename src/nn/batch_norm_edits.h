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

// In every layer with weights and batch normalisation: scales and rolling variances become 1,
// rolling means 0, and weights and biases change so that outputs at inference stay. Returns the
// number of these layers.
std::int64_t reset_batch_norm(Network&);

}  // namespace darknet
