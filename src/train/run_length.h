// What -epochs and -hours mean for one training run, and the cfg that comes of it.
#pragma once
#include <vector>

#include "cfg/data_file.h"
#include "cfg/section.h"
#include "nn/checkpoint.h"
#include "train/trainer.h"

namespace darknet {

// Keeps the planned length in the state of a run, and warns where a resumed run gets another by
// leaving its flag out.
void note_run_length(const TrainingSettings&, std::int64_t max_batches, TrainingState&);

// The sections of options.cfg with the length and the overrides of `options`. With length.epochs or
// length.hours they amount to `planned` iterations, which is filled in: hours are measured by a few
// iterations (train/pace.h); a run that is resumed keeps the length that it was given at its start.
// Throws where -set gives max_batches too.
std::vector<Section> training_sections(TrainingSettings&, const DataFile&);

}  // namespace darknet
