// How long one training iteration takes on this machine: a few real steps of the real network on
// the real images, with their decoding and augmentation.
#pragma once
#include "train/bench.h"

namespace darknet {

// Median seconds of an iteration, loading included, after a warm-up: of as many as take
// `budget` seconds, at least three; of one where the budget is 0. `options.training` need not be
// set. Of several ranks, which share the iterations and call this together, that of rank 0 in all.
double seconds_per_iteration(BenchOptions options, double budget = 4);

}  // namespace darknet
