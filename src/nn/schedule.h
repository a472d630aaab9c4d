// The learning rate of an iteration: burn-in and policies, as Darknet computes them.
#pragma once
#include <cstdint>
#include "nn/net_settings.h"

namespace darknet {

// `iteration` is 1 for the first update: the images seen after it, divided by the batch
// (docs/darknet-compat.md). `seed` is used by policy=random alone.
float learning_rate(const NetSettings&, std::int64_t iteration, std::uint64_t seed);

}  // namespace darknet
