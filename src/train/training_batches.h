// The batches that train a network, from its settings.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "cfg/section.h"
#include "core/ranks.h"
#include "dataset/batches.h"
#include "nn/network.h"

namespace darknet {

// Augmented as [net] and the last head ask for it, in the sizes of that head's random=. On a GPU,
// tiles are warped into the input by the device.
BatchSettings training_batches(const Network&, const AnnotatedImages&, std::uint64_t seed);

// Of the batches what a rank makes of each: its part of the images.
BatchSettings share_of(const Ranks&, BatchSettings);

// Throws where the ranks cannot share the micro-batches of a batch equally. `where`: of the cfg.
void require_shares(const Ranks&, const NetSettings&, const Where& where);

// Of sizes in ascending order the smallest, the largest, and one for each pair of remainders modulo
// a stride: whether the shapes of layers fit together depends on these.
std::vector<InputSize> sizes_to_try(const std::vector<InputSize>&, std::int64_t stride);

// Throws where the network does not take a size that random= may draw: where its coarsest stride is
// no divisor of resize_step, it is tried with some of them. `cfg`: the sections that it was made
// of.
void require_random_sizes(Network&, std::span<const Section> cfg);

}  // namespace darknet
