// The learning rate of an iteration: burn-in and policies, as the Darknets compute them.
#pragma once
#include <cstdint>
#include "nn/net_settings.h"

namespace darknet {

// `iteration` is 1 for the first update (facts: seen / batch after this batch). `seed` is used by
// policy=random alone.
float learning_rate(const NetSettings&, std::int64_t iteration, std::uint64_t seed);

}  // namespace darknet
