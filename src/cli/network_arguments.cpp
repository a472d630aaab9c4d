#include "cli/network_arguments.h"

#include "cfg/parse.h"
#include "cli/bad_labels.h"
#include "cli/command.h"
#include "cli/run_inputs.h"

namespace darknet::cli {

std::vector<Section> sections_of(const CfgArguments& a) {
  std::vector<Section> cfg = read_cfg(a.cfg);
  apply_overrides(cfg, a.overrides);
  return cfg;
}

void add_positionals(CLI::App& app, NetworkArguments& a, Positionals positionals) {
  if (positionals != Positionals::cfg_weights) data_argument(app, a.data)->required();
  CLI::Option* const cfg = cfg_argument(app, a.cfg);
  CLI::Option* const weights = weights_argument(app, a.weights);
  if (positionals == Positionals::data)
    weights->needs(cfg);
  else
    cfg->required(), weights->required();
}

void add_network_flags(CLI::App& app, NetworkArguments& a) {
  app.add_flag("--letter_box", a.letter_box, "keep the aspect ratio, grey bars around");
  add_overrides(app, a.overrides);
  add_arithmetic(app, a.exact, a.overrides, a.tuning);
  add_device(app, a.device);
}

DataFile open_data(NetworkArguments& a, ListedFiles listed) {
  DataFile data = open_data(std::filesystem::path(a.data), listed);
  a.weights = open_weights(a.weights, data).string();
  return data;
}

void add_threshold_flags(CLI::App& app, ThresholdArguments& a) {
  app.add_option("--thresh", a.thresh, "least probability of a detection")
      ->check(between(0, 1))
      ->capture_default_str();
  app.add_option("--nms", a.nms, "overlap above which the weaker of two detections goes; 0: none")
      ->check(between(0, 1))
      ->capture_default_str();
}

void add_reading_flags(CLI::App& app, ReadingArguments& a) {
  add_bad_labels(app, a.bad_labels);
  add_threads(app, a.threads, kReadingThreads);
}

}  // namespace darknet::cli
