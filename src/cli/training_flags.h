// The arguments and flags of the commands that train: `detector train` and `classifier train`.
#pragma once
#include <cstdint>

#include "cli/command.h"
#include "train/trainer.h"

namespace darknet::cli {

enum class Trained : std::uint8_t { detector, classifier };

void add_training_flags(const Command&, TrainingSettings&, Trained);
// Throws where the flags that were given need others.
void require_possible_training(const Command&, const TrainingSettings&);
// Before the run: connects to the other processes that a launcher started. Throws where a flag
// cannot be used with several processes.
void join_ranks(TrainingSettings&);

}  // namespace darknet::cli
