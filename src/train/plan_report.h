// What a training run is going to do, logged before its first iteration.
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
// How many processes share a batch, and what larger batches would ask of the schedule; nothing for
// one process.
void log_ranks(const Ranks&, const NetSettings&);
// The devices that compute; nothing for the CPU.
void log_devices(const Device& first, const std::vector<Device>& others);

}  // namespace darknet
