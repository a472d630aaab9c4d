// darknet detector train data cfg [weights]

#include "cli/command.h"
#include "cli/training_flags.h"

namespace darknet::cli {

void add_detector_train(Program& program) {
  const Command command = program.command("detector train", "train a detector");
  command.footer(
      "mpirun -np 4 darknet detector train ... shares every batch out over four processes, on one "
      "machine or several (docs/scaling.md).");
  auto& o = command.options<TrainingSettings>();
  add_training_flags(command, o, Trained::detector);
  command.runs_in_ranks([&o, command] {
    require_possible_training(command, o);
    join_ranks(o);
    return train_detector(o).exit_code;
  });
}

}  // namespace darknet::cli
