#include "train/sweep_run.h"

#include <algorithm>
#include <cmath>

#include "cfg/key_files.h"
#include "cfg/override.h"
#include "cfg/parse.h"
#include "core/file.h"
#include "core/input.h"
#include "core/log.h"
#include "core/shell.h"
#include "core/text.h"
#include "eval/matching.h"
#include "eval/stored_detections.h"
#include "nn/weights.h"
#include "train/interrupt.h"
#include "train/sweep_folder.h"
#include "train/trainer.h"

namespace darknet {
namespace {
namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::uint64_t kMaxCfgBytes = 16u << 20;

fs::path cfg_of(const SweepSetting& s, const SweepSite& site) {
  return site.folder / s.options.cfg.filename();
}

fs::path file_of(const SweepSetting& s, const SweepSite& site, const char* suffix) {
  return site.folder / (s.options.cfg.stem().string() + suffix);
}

fs::path detections_file(const SweepSite& site) { return site.folder / "detections.bin"; }

// The cfg that is trained, exactly.
void write_cfg(const SweepSetting& s, const SweepSite& site) {
  std::vector<std::string> all = s.options.overrides;
  all.insert(all.end(), site.variant.overrides.begin(), site.variant.overrides.end());
  if (s.options.max_batches > 0) all.push_back(cat("net.0.max_batches=", s.options.max_batches));
  const std::string text =
      moved_cfg(with_overrides(s.cfg_text, all), s.options.cfg, cfg_of(s, site));
  const fs::path file = cfg_of(s, site);
  if (!is_present(file) || read_file(file, kMaxCfgBytes) != text) write_file_atomically(file, text);
}

TrainingSettings training_of(const SweepSetting& s, const SweepSite& site) {
  const SweepOptions& o = s.options;
  TrainingSettings t{.data = s.data, .cfg = cfg_of(s, site), .weights = o.weights};
  t.backup = site.folder;
  t.seed = site.seed;
  t.clear = o.clear, t.map = o.map, t.exact = o.exact, t.deterministic = o.deterministic;
  t.device = o.device, t.tuning = o.tuning;
  t.how_to_resume = kHowToResume;
  t.threads = o.threads, t.bad_labels = o.bad_labels;
  if (const fs::path begun = file_of(s, site, "_last.weights"); is_present(begun))
    t.weights = begun, t.clear = false;
  return t;
}

std::string command_of(const SweepSetting& s, const SweepSite& site) {
  const SweepOptions& o = s.options;
  std::vector<std::string> words{"darknet", "detector", "train", s.data.string(),
                                 cfg_of(s, site).string()};
  if (!o.weights.empty()) words.push_back(o.weights.string());
  words.insert(words.end(), o.train_flags.begin(), o.train_flags.end());
  words.insert(words.end(),
               {"-seed", std::to_string(site.seed), "-backup", (site.folder / "again").string()});
  return shell_command(words);
}

struct Detected {
  std::vector<EvaluatedImage> images;
  std::uint64_t weights = 0;  // checksum
};

// None where it was interrupted.
std::optional<Detected> detect_valid(const SweepSetting& s, const SweepSite& site) {
  const InterruptGuard interrupt("the images");
  const auto stop = [&] { return interrupt.requested(); };
  const SweepOptions& o = s.options;
  Network net(read_cfg(cfg_of(s, site)),
              {.device = o.device,
               .exact = o.exact,
               .deterministic = o.deterministic,
               .batch = std::min<std::int64_t>(kEvaluationBatch, std::ssize(s.valid.images)),
               .tuning = tuning_for(o.tuning, o.device)});
  const LoadedWeights loaded = load_weights(file_of(s, site, "_final.weights"), net);
  net.parameters_changed();
  Detected found{run_evaluation(net, s.valid, {.threads = o.threads, .stop = stop}),
                 loaded.checksum};
  return stop() ? std::nullopt : std::optional(std::move(found));
}

// The mean of the values from the share `from` of a training run on.
double mean_since(const std::vector<double>& values, double from) {
  double sum = 0, count = 0;
  for (auto i = static_cast<std::size_t>(from * static_cast<double>(values.size()));
       i < values.size(); ++i)
    if (std::isfinite(values[i])) sum += values[i], ++count;
  return count > 0 ? sum / count : 0;
}

void add_history(ComparedRun& run) {
  const TrainingHistory& h = run.history;
  for (const double s : h.seconds) run.training_seconds += s;
  run.negatives_per_positive = mean_since(h.figures[Figure::negatives], 0) /
                               std::max(1e-9, mean_since(h.figures[Figure::positives], 0));
  run.easy_negative_share = mean_since(h.figures[Figure::gradient_easy_negative], 0);
  run.p_positive = mean_since(h.figures[Figure::p_positive], .9),
  run.p_negative = mean_since(h.figures[Figure::p_negative], .9);
}

// Counts at the threshold where F1 is best: focal loss and cross-entropy put theirs elsewhere.
void score(ComparedRun& run, std::int64_t classes) {
  const auto matched = match(run.images, classes, .5f);
  run.threshold = static_cast<float>(best_f1(matched).threshold);
  const float below = std::nextafter(run.threshold, 0.f);  // "at least", where counts say "above"
  run.at50 = evaluate_matched(matched, {.classes = classes, .threshold = below});
  run.coco = coco_figures(run.images, classes);
}

json about(const SweepSite& site) {
  return {{"variant", site.variant.name}, {"seed", site.seed}, {"set", site.variant.overrides}};
}

void end_as_diverged(const SweepSetting& s, const SweepSite& site, std::int64_t iteration,
                     const std::string& reason) {
  log::end_progress();
  log::warn(cat(site.variant.name, ", seed ", site.seed, " diverged: ", reason));
  write_record(site.folder,
               {.state = RunState::diverged,
                .reason = reason,
                .diverged_at = iteration,
                .command = command_of(s, site)},
               about(site));
}

// The detections are there before the result that counts on them. An interruption leaves neither:
// the same call evaluates again, and trains nothing. Whether it was made.
bool evaluate_run(const SweepSetting& s, const SweepSite& site) {
  std::optional<Detected> found = detect_valid(s, site);
  if (!found) {
    log::info(cat("interrupted while ", site.variant.name, ", seed ", site.seed,
                  " is evaluated; its training is saved. To resume, ", kHowToResume));
    return false;
  }
  store_detections(detections_file(site), found->images, found->weights);
  ComparedRun run;
  run.images = std::move(found->images);
  score(run, s.classes);
  json all = about(site);
  all["metrics"] = {{"map50", run.at50.mean_average_precision},
                    {"ap", run.coco.ap},
                    {"best_f1", run.at50.f1()},
                    {"best_f1_threshold", run.threshold},
                    {"precision", run.at50.precision()},
                    {"recall", run.at50.recall()}};
  write_record(site.folder,
               {.state = RunState::finished,
                .reason = {},
                .weights = found->weights,
                .command = command_of(s, site)},
               std::move(all));
  return true;
}

TrainingHistory history_of(const SweepSetting& s, const SweepSite& site, const RunRecord& r) try {
  return read_history(file_of(s, site, "_log.jsonl"));
} catch (const Error&) {  // a run that diverges in its first iteration has none
  if (r.state == RunState::finished) throw;
  return {};
}

}  // namespace

int make_run(const SweepSetting& s, const SweepSite& site) {
  const InterruptGuard interrupt("the step", Saving::yes);
  write_cfg(s, site);
  TrainingOutcome outcome;
  try {
    outcome = train_detector(training_of(s, site));
    if (outcome.exit_code == 0 && !evaluate_run(s, site)) return interrupt.exit_code();
  } catch (const Diverged& e) {
    end_as_diverged(s, site, e.iteration(), e.reason());
  } catch (const NotFiniteWeights&) {  // of the last update
    end_as_diverged(s, site, outcome.iterations, "the trained weights are not finite");
  }
  return outcome.exit_code;
}

std::optional<ComparedRun> read_run(const SweepSetting& s, const SweepSite& site) {
  const std::optional<RunRecord> r = read_record(site.folder);
  if (!r) return std::nullopt;
  ComparedRun run{.seed = site.seed, .state = r->state, .reason = r->reason};
  run.diverged_at = r->diverged_at;
  run.command = r->command;
  run.folder = site.folder;
  run.cfg = cfg_of(s, site);
  run.history = history_of(s, site, *r);
  if (!run.has_finished()) return run;
  run.weights = file_of(s, site, "_final.weights");
  if (auto stored = stored_detections(detections_file(site), s.valid, r->weights)) {
    run.images = std::move(*stored);
  } else {
    std::optional<Detected> found = detect_valid(s, site);
    if (!found) return std::nullopt;
    if (found->weights != r->weights)
      fail(run.weights.string(), ": these are not the weights that ", site.folder.string(),
           "/result.json is about; remove that file to evaluate them");
    store_detections(detections_file(site), found->images, found->weights);
    run.images = std::move(found->images);
  }
  score(run, s.classes);
  add_history(run);
  return run;
}

void forget_diverged(const SweepSetting& s, const SweepSite& site) {
  const std::optional<RunRecord> r = read_record(site.folder);
  if (!r || r->state != RunState::diverged) return;
  for (const char* suffix : {"_last.weights", "_last.state", "_final.weights"})
    remove_file(file_of(s, site, suffix));
  remove_file(site.folder / "result.json");
}

}  // namespace darknet
