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
// Before the run: with the other processes that a launcher started. Throws where flags do not go
// together with those.
void join_ranks(TrainingSettings&);

}  // namespace darknet::cli
