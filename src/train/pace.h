// How long one training iteration takes on this machine: a few real steps of the real network on
// the real images, with their decoding and augmentation.
#pragma once
#include "train/bench.h"

namespace darknet {

// Median seconds of an iteration, loading included; about four seconds of work, or three iterations
// where they take longer. `options.training` need not be set.
double seconds_per_iteration(BenchOptions options);

}  // namespace darknet
