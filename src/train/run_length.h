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

// With length.hours fills in the iterations that they amount to, `planned`, measured by a few of
// them (train/pace.h) that all ranks share; a run that is resumed keeps the length that it was
// given at its start. A collective. Throws where -set gives max_batches too.
void plan_hours(TrainingSettings&);

// The sections of options.cfg with the length and the overrides of `options`. With length.epochs
// `planned` is filled in; with length.hours plan_hours() has. Throws where -set gives max_batches
// too.
std::vector<Section> training_sections(TrainingSettings&, const DataFile&);

}  // namespace darknet
