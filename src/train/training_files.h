// What a training reads and where it writes, checked before it begins.
#pragma once
#include "cfg/data_file.h"
#include "core/protected_files.h"
#include "train/checkpoints.h"
#include "train/trainer.h"

namespace darknet {

// Holds the files in `inputs`, and throws where one that is to be written is among them or cannot
// be written. Weights of this very run (backup/NAME_*.weights) are not held:
// Checkpoints::keep_start() sees to them.
void check_training_files(const TrainingSettings&, const DataFile&, const Checkpoints&,
                          ProtectedFiles& inputs);

}  // namespace darknet
