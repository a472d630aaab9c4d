// What a training run is going to do, said before its first iteration.
#pragma once
#include <cstddef>
#include <filesystem>
#include <vector>

#include "core/ranks.h"
#include "nn/checkpoint.h"
#include "nn/network.h"

namespace darknet {

// Iterations, epochs over `images` training images, learning rate, seed, the folder of the files
// and the loss of each head's objectness, as lines of the log.
void log_plan(const Network&, const TrainingState&, std::size_t images,
              const std::filesystem::path& folder);
// How many processes share a batch, and what larger batches would ask of the schedule; of one
// process nothing.
void log_ranks(const Ranks&, const NetSettings&);
// By what it is computed; of the CPU nothing.
void log_devices(const Device& first, const std::vector<Device>& others);

}  // namespace darknet
