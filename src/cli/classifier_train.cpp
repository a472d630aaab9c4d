// darknet classifier train data cfg [weights]

#include "cli/classifier_help.h"
#include "cli/command.h"
#include "cli/training_flags.h"
#include "core/error.h"

namespace darknet::cli {

void add_classifier_train(Program& program) {
  const Command command =
      program.command("classifier train", "train a classifier of whole images, or a backbone");
  command.footer(cat(
      kClassRule,
      " The network ends with [softmax] (cls_loss=focal: focal loss), [logistic] or [cost]. "
      "Training "
      "sees random crops (min_crop, max_crop, aspect, hue, saturation, exposure, flip of [net]) "
      "and, "
      "with mixup=1 or cutmix=1, two images in one; -topk sees the middle of each image. `darknet "
      "partial` makes a backbone for a detector of the weights, and so does -partial of `detector "
      "train`."));
  auto& o = command.options<TrainingSettings>();
  add_training_flags(command, o, Trained::classifier);
  command.runs_in_ranks([&o, command] {
    require_possible_training(command, o);
    join_ranks(o);
    return train_classifier(o).exit_code;
  });
}

}  // namespace darknet::cli
