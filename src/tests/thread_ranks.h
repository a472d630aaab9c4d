// The ranks of a job as threads of this process: for tests of what they exchange, without MPI.
#pragma once
#include <cstdint>
#include <functional>

#include "core/ranks.h"

namespace darknet {

// Calls `work` in `count` threads, each with its own Ranks, and waits for all of them. Of the
// collectives those on integers, floats and bytes work. Throws what a thread threw.
void run_ranks(std::int64_t count, const std::function<void(Ranks&)>& work);

}  // namespace darknet
