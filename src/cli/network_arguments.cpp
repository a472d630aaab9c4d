#include "cli/network_arguments.h"

#include "cfg/parse.h"
#include "cli/bad_labels.h"
#include "cli/common_flags.h"
#include "cli/run_inputs.h"

namespace darknet::cli {

std::vector<Section> sections_of(const CfgArguments& a) {
  std::vector<Section> cfg = read_cfg(a.cfg);
  apply_overrides(cfg, a.overrides);
  return cfg;
}

void add_positionals(const Command& command, NetworkArguments& a, Positionals positionals) {
  if (positionals != Positionals::cfg_weights) data_argument(command, a.data).required();
  const Option cfg = cfg_argument(command, a.cfg);
  const Option weights = weights_argument(command, a.weights);
  if (positionals == Positionals::data)
    weights.needs(cfg);
  else
    cfg.required(), weights.required();
}

std::vector<Option> add_network_flags(const Command& command, NetworkArguments& a) {
  return command.declared_by([&] {
    command.flag("-letter_box", a.letter_box, "keep the aspect ratio, grey bars around");
    add_overrides(command, a.overrides);
    add_arithmetic(command, a.exact, a.overrides, a.tuning, &a.int8);
    add_device(command, a.device);
  });
}

void add_classifier_network_flags(const Command& command, NetworkArguments& a) {
  add_overrides(command, a.overrides);
  add_arithmetic(command, a.exact, a.overrides, a.tuning, &a.int8);
  add_device(command, a.device);
}

DataFile open_data(NetworkArguments& a, ListedFiles listed) {
  DataFile data = open_data(std::filesystem::path(a.data), listed);
  a.weights = open_weights(a.weights, data).string();
  return data;
}

void add_threshold_flags(const Command& command, ThresholdArguments& a) {
  command.option("-thresh", a.thresh, "least probability of a detection")
      .number_in(0, 1)
      .show_default();
  command.option("-nms", a.nms, "overlap above which the weaker of two detections goes; 0: none")
      .number_in(0, 1)
      .show_default();
  add_calibrate(command, a.calibrate);
}

void add_calibrate(const Command& command, bool& calibrate) {
  command.flag("-calibrate", calibrate,
               "calibrated probabilities, by the file next to the weights that `darknet detector "
               "calibrate` wrote");
}

void add_reading_flags(const Command& command, ReadingArguments& a) {
  add_bad_labels(command, a.bad_labels);
  add_threads(command, a.threads, kReadingThreads);
}

}  // namespace darknet::cli
