// Changes to the batch normalisation of whole networks that keep what they compute. On the
// parameters in memory, not in files.
#pragma once
#include <cstdint>

#include "nn/network.h"

namespace darknet {

// Gives `to` the parameters of `from`, whose cfg differs from its own in batch_normalize= alone,
// so that both compute the same at inference: where only `from` normalises, folded into weights
// and bias; where only `to` does, with scales of 1, means of 0 and variances of 1. Throws where a
// layer has other weights.
void convert_batch_norm(Network& from, Network& to);

// The scales become 1, the rolling means 0 and variances 1 of every layer whose weights they can go
// into; outputs at inference stay. Returns the number of such layers.
std::int64_t reset_batch_norm(Network&);

}  // namespace darknet
