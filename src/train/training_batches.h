// The batches that train a network, from its settings.
#pragma once
#include "dataset/batches.h"
#include "nn/network.h"

namespace darknet {

// Augmented as [net] and the last head ask for it, in the sizes of that head's random=. What the
// network's device had better place itself is left to it.
BatchSettings training_batches(const Network&, const AnnotatedImages&, std::uint64_t seed);

}  // namespace darknet
