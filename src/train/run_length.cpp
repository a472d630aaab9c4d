#include "train/run_length.h"

#include <filesystem>
#include <string_view>

#include "cfg/data_file.h"
#include "cfg/parse.h"
#include "core/input.h"
#include "core/log.h"
#include "core/text.h"
#include "core/together.h"
#include "dataset/image_list.h"
#include "nn/checkpoint.h"
#include "nn/net_settings.h"
#include "nn/weights.h"
#include "train/equal_inputs.h"
#include "train/freeze.h"
#include "train/pace.h"
#include "train/training_batches.h"

namespace darknet {
namespace {
namespace fs = std::filesystem;

void refuse_a_second_length(const TrainingSettings& o) {
  for (const std::string& assignment : o.overrides)
    if (assignment.starts_with("net.") && assignment.find(".max_batches=") != assignment.npos)
      throw Error(cat("-set ", assignment, " and ", o.length.hours > 0 ? "-hours" : "-epochs",
                      " both give the length of the run: leave one of them out"),
                  2);
}

// The length that the run to be resumed was given at its start; 0: not resumed, or that of a cfg.
std::int64_t length_at_start(const TrainingSettings& o, const fs::path& backup) {
  if (o.weights.empty() || o.clear || o.cutoff >= 0) return 0;
  const fs::path state = state_path(find_weights(o.weights, backup));
  return is_present(state) ? read_state(state).planned_iterations : 0;
}

std::int64_t planned_by_epochs(const TrainingSettings& o, const DataFile& data,
                               std::vector<Section> cfg) {
  apply_overrides(cfg, o.overrides);
  const auto images =
      static_cast<std::int64_t>(read_image_list(required(data, data.train, "train")).size());
  return iterations_of_epochs(o.length.epochs, images, read_net(cfg.front()).batch);
}

std::vector<Section> sections_of_file(TrainingSettings& o) {
  std::vector<Section> cfg = read_cfg(o.cfg);
  if (o.freeze > 0)  // -set has the last word
    o.overrides.insert(o.overrides.begin(), freezing_override(cfg, o.freeze));
  o.freeze = 0;
  return cfg;
}

std::vector<Section> with_overrides(std::vector<Section> cfg, const TrainingSettings& o) {
  apply_overrides(cfg, o.overrides);
  return cfg;
}

double measured_pace(const TrainingSettings& o, const std::vector<Section>& cfg) {
  return seconds_per_iteration({.cfg = o.cfg,
                                .sections = cfg,
                                .data = o.data,
                                .bad_labels = o.bad_labels,
                                .overrides = o.overrides,
                                .device = o.device,
                                .ranks = o.ranks,
                                .exact = o.exact,
                                .deterministic = o.deterministic,
                                .threads = o.threads,
                                .max_bad = o.max_bad,
                                .tuning = o.tuning});
}

}  // namespace

void note_run_length(const TrainingSettings& o, std::int64_t max_batches, TrainingState& state) {
  const std::int64_t before = state.planned_iterations;
  if (o.planned == 0 && o.max_batches == 0 && before > 0 && before != max_batches)
    log::warn(cat("this run was started with -epochs or -hours as one of ", before,
                  " iterations and now gets the ", max_batches,
                  " of the cfg; the same flag resumes it as planned"));
  state.planned_iterations = o.planned;
}

void plan_hours(TrainingSettings& o) {
  Ranks& ranks = *o.ranks.ranks;
  const std::vector<RankInput> flags{input_of_flag("-hours", cat(o.length.hours))};
  require_equal(ranks, flags);
  if (o.length.hours <= 0) return;
  const log::WithoutWarnings quiet;  // the run itself gives those of the cfg
  std::vector<Section> cfg, changed;
  together(ranks, [&] {
    refuse_a_second_length(o);
    const DataFile data = read_data_file(o.data);
    cfg = sections_of_file(o);
    changed = with_overrides(cfg, o);
    require_shares(ranks, read_net(changed.front()), changed.front().where());
    if (ranks.is_first())  // who alone needs the backup folder
      o.planned = length_at_start(o, o.backup.empty() ? data.backup : o.backup);
  });
  o.planned = ranks.broadcast_value(o.planned);
  if (o.planned > 0)
    return log::info(
        cat("-hours: the run keeps its planned length of ", plural(o.planned, "iteration")));
  require_equal(ranks, inputs_of_steps(o, changed));  // the trainer asks after the measurement
  log::info("-hours: measuring some iterations");
  const double seconds = measured_pace(o, cfg);
  o.planned = iterations_of_hours(o.length.hours, seconds);
  log::info(cat("-hours ", o.length.hours, ": ", plural(o.planned, "iteration"), " of ", seconds,
                " s each (evaluations by -map come on top)"));
}

std::vector<Section> training_sections(TrainingSettings& o, const DataFile& data) {
  std::vector<Section> cfg = sections_of_file(o);
  if (o.length.epochs > 0) {
    refuse_a_second_length(o);
    const log::WithoutWarnings quiet;
    o.planned = planned_by_epochs(o, data, cfg);
  }
  if (o.max_batches > 0)
    cfg.front().set("max_batches", std::to_string(o.max_batches), {"-max_batches", 0});
  if (o.planned > 0)
    set_run_length(cfg.front(), o.planned, {o.length.hours > 0 ? "-hours" : "-epochs", 0});
  apply_overrides(cfg, o.overrides);
  return cfg;
}

}  // namespace darknet
