#include "train/comparison.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "cfg/data_file.h"
#include "cfg/parse.h"
#include "core/file.h"
#include "core/input.h"
#include "core/log.h"
#include "core/text.h"
#include "dataset/image_list.h"
#include "dataset/labels.h"
#include "eval/coco.h"
#include "eval/matching.h"
#include "eval/predict.h"
#include "nn/head_types.h"
#include "nn/weights.h"
#include "train/trainer.h"

namespace darknet {
namespace {
namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::uint64_t kMaxBytes = std::uint64_t{1} << 26;  // of a manifest, a list, a cfg
constexpr std::int64_t kEvaluationBatch = 4;

std::vector<std::string> head_types_of(const std::vector<Section>& cfg) {
  std::vector<std::string> types;
  for (const Section& s : cfg)
    if (is_head_type(s.type()) && std::find(types.begin(), types.end(), s.type()) == types.end())
      types.push_back(s.type());
  if (types.empty())
    fail_at(cfg.front().where(), "there is no detection head (", head_names("or"),
            ") whose losses could be compared");
  return types;
}

void require_sound_name(const std::string& name) {
  const bool plain = std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return std::isalnum(c) || c == '-' || c == '_' || c == '.' || c == '+';
  });
  if (name.empty() || name.size() > 40 || !plain || name.front() == '.')
    throw Error(
        cat("-variant '", shown(name), "': expected a name of 1 to 40 letters, digits, - _ . +"),
        2);
}

// What must be the same for the training runs in a folder to be taken up.
json manifest(const ComparisonOptions& o, const std::vector<ComparedVariant>& variants,
              const DataFile& data) {
  Checksum inputs;
  for (const fs::path& file : {o.cfg, data.train, data.valid}) {
    const std::string bytes = InputFile(file, kMaxBytes, Pipes::allowed).rest();
    inputs.add(bytes.data(), bytes.size());
  }
  json out{{"cfg", o.cfg.filename().string()},
           {"inputs", inputs.value()},
           {"max_batches", o.max_batches},
           {"exact", o.exact},
           {"set", o.overrides},
           {"variants", json::array()}};
  for (const ComparedVariant& a : variants) out["variants"].push_back({a.name, a.overrides});
  if (o.bad_labels != BadLabels::stop) out["bad_labels"] = static_cast<int>(o.bad_labels);
  return out;
}

// More seeds may be asked for than before; all else must be what it was.
void claim_folder(const fs::path& folder, const json& mine) {
  require_writable_folder(folder);
  const fs::path file = folder / "variants.json", earlier = folder / "arms.json";
  if (is_present(earlier))
    fail_at({earlier.string(), 0},
            "this folder holds a comparison by an earlier version of this program; give another "
            "-out or remove the folder");
  if (is_present(file)) {
    if (json::parse(read_file(file, kMaxBytes), nullptr, false) != mine)
      fail_at(
          {file.string(), 0},
          "this folder holds a comparison of other variants, data or settings; give another -out "
          "or remove the folder");
    return;
  }
  write_file_atomically(file, mine.dump(2) + "\n");
}

TrainerOptions training_of(const ComparisonOptions& o, const ComparedVariant& variant,
                           std::uint64_t seed) {
  TrainerOptions t{.data = o.data, .cfg = o.cfg};
  t.backup = o.out / cat(variant.name, "-seed", seed);
  t.overrides = o.overrides;
  t.overrides.insert(t.overrides.end(), variant.overrides.begin(), variant.overrides.end());
  t.seed = seed;
  t.map = o.map, t.exact = o.exact, t.device = o.device, t.tuning = o.tuning;
  t.how_to_resume = "run the same command again";
  t.max_batches = o.max_batches, t.threads = o.threads, t.bad_labels = o.bad_labels;
  const fs::path begun = t.backup / (o.cfg.stem().string() + "_last.weights");
  if (is_present(begun)) t.weights = begun;
  return t;
}

std::vector<EvaluatedImage> detections_of(const TrainerOptions& t, const fs::path& weights,
                                          const EvaluationSet& set) {
  std::vector<Section> cfg = read_cfg(t.cfg);
  apply_overrides(cfg, t.overrides);
  Network net(std::move(cfg),
              {.device = t.device,
               .exact = t.exact,
               .batch = std::min<std::int64_t>(kEvaluationBatch, std::ssize(set.images)),
               .tuning = tuning_for(t.tuning, t.device)});
  load_weights(weights, net);
  net.parameters_changed();
  return run_evaluation(net, set, t.threads);
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
  run.average_precision = std::max(0., evaluate_coco(run.images, classes).ap());
}

class Comparer {
 public:
  explicit Comparer(const ComparisonOptions& options);
  ComparisonOutcome run();

 private:
  void read_variants(const std::vector<Section>& cfg);
  void evaluate_run(ComparedRun& run, const TrainerOptions& training);

  ComparisonOptions options_;
  Comparison found_;
  EvaluationSet set_;
};

// Each variant has a folder of its own, called like it.
void require_distinct_names(const std::vector<ComparedVariant>& variants) {
  for (auto variant = variants.begin(); variant != variants.end(); ++variant)
    for (auto earlier = variants.begin(); earlier != variant; ++earlier) {
      if (earlier->name == variant->name)
        throw Error(cat("-variant ", variant->name, ": two variants have this name"), 2);
      if (earlier->overrides == variant->overrides)
        throw Error(cat("-variant ", variant->name, ": has the same keys as ", earlier->name), 2);
    }
}

// Every variant is a sound cfg, which its training would else say hours later.
void Comparer::read_variants(const std::vector<Section>& cfg) {
  for (const std::string& text : options_.variants)
    found_.variants.push_back(parse_variant(text, cfg));
  if (options_.variants.empty()) found_.variants = default_variants(cfg);
  require_distinct_names(found_.variants);
  const log::WithoutWarnings once;  // the training runs print them
  for (const ComparedVariant& variant : found_.variants) {
    std::vector<Section> changed = cfg;
    apply_overrides(changed, options_.overrides);
    apply_overrides(changed, variant.overrides);
    if (options_.max_batches > 0)
      changed.front().set("max_batches", std::to_string(options_.max_batches), {"-max_batches", 0});
    try {
      const Network sound(std::move(changed), {.device = options_.device, .mode = Mode::training});
    } catch (const Error& e) {
      throw Error(cat("-variant ", variant.name, ": ", e.what()), e.exit_code());
    }
  }
}

Comparer::Comparer(const ComparisonOptions& options) : options_(options) {
  const DataFile data = read_data_file(options.data);
  required(data, data.train, "train");
  std::vector<Section> cfg = read_cfg(options.cfg);
  found_ = {.data = options.data, .cfg = options.cfg, .seeds = options.seeds};
  read_variants(cfg);
  apply_overrides(cfg, options.overrides);
  if (options.max_batches > 0)
    cfg.front().set("max_batches", std::to_string(options.max_batches), {"-max_batches", 0});
  const Network net(std::move(cfg), {});
  require_writable_folder(options.out);  // reading the labels may take long
  const std::int64_t classes = classes_of(net);
  found_.iterations = net.settings().max_batches;
  found_.names = names_of(data.names, classes);
  found_.training_images = static_cast<std::int64_t>(read_image_list(data.train).size());
  LabelledImages valid = read_all_labels(read_image_list(required(data, data.valid, "valid")),
                                         classes, options.bad_labels);
  found_.images = valid.images, found_.objects = valid.objects;
  set_ = {std::move(valid.images), std::move(valid.truths), {}};
  claim_folder(options.out, manifest(options, found_.variants, data));  // once all of it is sound
}

void Comparer::evaluate_run(ComparedRun& run, const TrainerOptions& training) {
  const auto file = [&](const char* suffix) {
    return training.backup / (options_.cfg.stem().string() + suffix);
  };
  run.weights = file("_final.weights");
  run.history = read_history(file("_log.jsonl"));
  run.images = detections_of(training, run.weights, set_);
  run.folder = training.backup;
  run.state = RunState::finished;
  score(run, std::ssize(found_.names));
  add_history(run);
}

ComparisonOutcome Comparer::run() {
  for (std::size_t a = 0; a < found_.variants.size(); ++a)
    for (const std::uint64_t seed : found_.seeds) {
      log::info(cat("== ", found_.variants[a].name, ", seed ", seed));
      const TrainerOptions training = training_of(options_, found_.variants[a], seed);
      if (const int code = train_detector(training).exit_code; code != 0) return {{}, code};
      ComparedRun run{.variant = a, .seed = seed};
      evaluate_run(run, training);
      found_.runs.push_back(std::move(run));
    }
  return {std::move(found_), 0};
}

}  // namespace

ComparedVariant parse_variant(const std::string& text, const std::vector<Section>& cfg) {
  const auto colon = text.find(':');
  ComparedVariant variant{.name = std::string(trim(text.substr(0, colon)))};
  require_sound_name(variant.name);
  std::istringstream words(colon == std::string::npos ? "" : text.substr(colon + 1));
  for (std::string word; words >> word;) {
    const auto equals = word.find('=');
    if (equals == std::string::npos || equals == 0)
      throw Error(cat("-variant ", variant.name, ": '", shown(word), "': expected KEY=VALUE"), 2);
    if (word.find('.') < equals) {
      variant.overrides.push_back(word);
      continue;
    }
    for (const std::string& type : head_types_of(cfg))
      variant.overrides.push_back(cat(type, ".*.", word));
  }
  return variant;
}

std::vector<ComparedVariant> default_variants(const std::vector<Section>& cfg) {
  // The same start, strength and targets for both: without its prior, cross-entropy spends its
  // first steps on unlearning p = .5 everywhere; without equal strength, the weight of the
  // objectness beside boxes and classes would be the difference that is measured.
  const std::string both = " obj_prior=auto obj_init=auto obj_normalizer=auto obj_target=one";
  return {parse_variant("ce: obj_loss=ce" + both, cfg),
          parse_variant("focal: obj_loss=focal obj_gamma=2 obj_alpha=.25" + both, cfg)};
}

ComparisonOutcome compare_variants(const ComparisonOptions& options) {
  return Comparer(options).run();
}

}  // namespace darknet
