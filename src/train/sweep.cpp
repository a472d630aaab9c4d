#include "train/sweep.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <new>
#include <utility>

#include "cfg/data_file.h"
#include "cfg/override.h"
#include "cfg/parse.h"
#include "core/checksum.h"
#include "core/file.h"
#include "core/input.h"
#include "core/log.h"
#include "core/text.h"
#include "dataset/data_set_files.h"
#include "dataset/image_list.h"
#include "detect/head.h"
#include "nn/network.h"
#include "train/freeze.h"
#include "train/interrupt.h"
#include "train/sweep_confirmation.h"

namespace darknet {
namespace {
namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::uint64_t kMaxInputBytes = std::uint64_t{1} << 36;

void add_file(Checksum& sum, const fs::path& file) {
  const std::string bytes = InputFile(file, kMaxInputBytes, Pipes::allowed).rest();
  sum.add(bytes.data(), bytes.size());
}

// The share of the training list that is the tuning split; 0: the split is a list of its own.
double tuning_share(const SweepOptions& o, const DataFile& user) {
  return user.tune.empty() ? o.tune_share : 0;
}

// A file of the tuning split as it is kept, or else will be.
void add_kept(Checksum& sum, const fs::path& file, const std::string& text) {
  if (is_present(file)) return add_file(sum, file);
  sum.add(text.data(), text.size());
}

void add_list(Checksum& sum, const fs::path& list) {
  if (!is_folder(list) && !is_pattern(list)) return add_file(sum, list);
  for (const fs::path& image : read_image_list(list))
    sum.add(image.c_str(), image.native().size() + 1);
}

// The settings that flags make. `share`: see tuning_share().
json settings_of(const SweepOptions& o, double share) {
  Checksum weights;
  if (!o.weights.empty()) add_file(weights, o.weights);
  json settings{{"weights", o.weights.empty() ? 0 : weights.value()},
                {"clear", o.clear},
                {"max_batches", o.max_batches},
                {"exact", o.exact},
                {"deterministic", o.deterministic},
                {"set", without_flags(o.overrides)},
                {"bad_labels", static_cast<int>(o.bad_labels)}};
  if (o.tune) settings["tune"] = {{"share", share}, {"per", o.per}};
  return settings;
}

// The settings that all training runs of a folder share. `split`: null without one.
json shared_by_all(const SweepOptions& o, const DataFile& user, const TuningSplit* split) {
  Checksum inputs;
  add_file(inputs, o.cfg);
  if (split) {
    const TuningFiles files = tuning_files(o.out);
    add_kept(inputs, files.train, list_text(split->train, o.out));
    add_kept(inputs, files.tuning, list_text(split->tuning, o.out));
  } else {
    for (const fs::path& list : {user.train, user.valid}) add_list(inputs, list);
  }
  json shared = settings_of(o, tuning_share(o, user));
  shared["cfg"] = o.cfg.filename().string();
  shared["inputs"] = inputs.value();
  if (o.confirms) shared["confirms"] = true;
  return shared;
}

// The flags that make these settings, of a folder or of the command line, each with its value; ""
// for a flag without one.
std::map<std::string, std::string> flags_of(const json& settings) {
  std::map<std::string, std::string> flags;
  const auto number = [&](const char* key) { return settings.value(key, std::uint64_t{0}); };
  for (const char* key : {"clear", "exact", "deterministic"})
    if (settings.value(key, false)) flags[cat("-", key)] = "";
  for (const char* key : {"max_batches", "weights", "bad_labels"})
    if (number(key) > 0) flags[cat("-", key)] = std::to_string(number(key));
  if (const auto set = settings.value("set", std::vector<std::string>()); !set.empty())
    flags["-set"] = joined(set);
  if (!settings.contains("tune")) return flags;
  const json& tune = settings["tune"];
  flags["-tune"] = "";
  if (const std::string per = tune.value("per", ""); !per.empty()) flags["-per"] = per;
  if (const double share = tune.value("share", 0.); share > 0) flags["-tune_share"] = cat(share);
  return flags;
}

// Whether the value in the settings is the one that the user typed; else it is a checksum or an
// enum's number.
bool has_shown_value(const std::string& flag) {
  return flag != "-weights" && flag != "-bad_labels";
}

// Throws where the split of the folder was made in another way.
void require_same_share(const SweepFolder& folder, const SweepOptions& o, const DataFile& user) {
  if (!folder.is_there()) return;
  const json before = folder.settings().value(json::json_pointer("/tune/share"), json());
  const double now = tuning_share(o, user);
  if (!before.is_number() || before.get<double>() == now) return;
  const auto way = [&](double share) {
    return share > 0 ? cat("-tune_share ", share) : "tune= of the .data file";
  };
  fail_at({o.out.string(), 0}, "the tuning split of this folder is by ", way(before.get<double>()),
          ", not by ", way(now), "; give the same, or another -out");
}

void set_max_batches(std::vector<Section>& cfg, const SweepOptions& o) {
  if (o.max_batches > 0)
    cfg.front().set("max_batches", std::to_string(o.max_batches), {"-max_batches", 0});
}

std::vector<std::string> default_objectness(const Network& net) {
  std::vector<std::string> losses;
  for (const HeadAt& at : net.heads()) losses.push_back(at.head->settings().objectness_loss);
  return losses;
}

}  // namespace

Sweep::Sweep(const SweepOptions& options) : setting_{.options = options}, folder_(options.out) {
  require_own_kind();
  if (options.request.empty()) adopt_settings();
  read_cfg_and_plan();
  split_lists();
  const SweepOptions& o = setting_.options;
  if (o.request.empty())
    shared_["weights"] = folder_.settings()["weights"];  // which nothing needs any more
  folder_.require_settings(shared_);
  if (o.tune && !o.request.empty())
    require_nothing_added(o, folder_.additions(shared_, planned_, o.seeds));
  read_valid();
  if (o.tune) keep_split(read_data_file(o.data));
  if (!o.request.empty())
    folder_.add(shared_, planned_, o.seeds, o.request.baseline,
                o.confirms ? Additions::refused : Additions::allowed);
  make_queue();
  arrange();
}

// As an ordinary sweep a confirmation would get more seeds or variants after a look at its figures,
// and verdicts before its end.
void Sweep::require_own_kind() const {
  const SweepOptions& o = setting_.options;
  if (o.confirms || !folder_.is_there()) return;
  const json there = folder_.settings();
  if (there.value("confirms", json()) != json(true)) return;
  const fs::path out = whole_path(o.out / "").parent_path();
  fail_at({o.out.string(), 0},
          "this folder is the confirmation of a tuning sweep, which that sweep alone makes and "
          "shows: give -out ",
          out.parent_path().string(), " -tune -confirm ", folder_.contents(there).seeds.size(),
          ", or -collect in place of -confirm");
}

// Throws where a flag was given that the folder's settings contradict: none is replaced silently.
void Sweep::require_settings_of(const json& folders) const {
  SweepOptions o = setting_.options;
  if (o.freeze > 0)
    o.overrides.insert(o.overrides.begin(), freezing_override(read_cfg(o.cfg), o.freeze));
  const std::map<std::string, std::string> theirs = flags_of(folders);
  for (const auto& [flag, value] : flags_of(settings_of(o, o.tune_share))) {
    const auto there = theirs.find(flag);
    if (there != theirs.end() && there->second == value) continue;
    const std::string typed = flag == "-set" && o.freeze > 0 ? "-freeze" : flag;
    std::string made = "without " + typed;
    if (there != theirs.end())
      made = has_shown_value(flag) ? cat("with ", flag, " ", there->second, ", not ", value)
                                   : "with another " + flag;
    fail_at({o.out.string(), 0}, "this folder was made ", made,
            ", and -collect takes its settings; call it without ", typed);
  }
}

void Sweep::adopt_settings() try {
  SweepOptions& o = setting_.options;
  const json shared = folder_.settings();
  require_settings_of(shared);
  o.overrides = shared.at("set").get<std::vector<std::string>>();
  o.max_batches = shared.at("max_batches").get<std::int64_t>();
  o.clear = shared.at("clear").get<bool>();
  o.exact = shared.at("exact").get<bool>();
  o.deterministic = shared.at("deterministic").get<bool>();
  o.bad_labels = static_cast<BadLabels>(shared.at("bad_labels").get<int>());
  o.freeze = 0;  // it is among "set"
  o.tune = shared.contains("tune");
  if (!o.tune) return;
  o.per = shared["tune"].at("per").get<std::string>();
  const auto share = shared["tune"].at("share").get<double>();
  o.tune_share = share > 0 ? share : kTuneShare;
} catch (const json::exception& e) {
  fail_at({(setting_.options.out / "sweep.json").string(), 0}, "unexpected settings: ", e.what());
}

// Before the cfg is changed in any other way; -set has the last word.
void Sweep::freeze(const std::vector<Section>& cfg) {
  SweepOptions& o = setting_.options;
  if (o.freeze > 0) o.overrides.insert(o.overrides.begin(), freezing_override(cfg, o.freeze));
  o.freeze = 0;
}

void Sweep::read_cfg_and_plan() {
  const SweepOptions& o = setting_.options;
  const DataFile data = read_data_file(o.data);
  required(data, data.train, "train");
  required(data, data.valid, "valid");
  setting_.cfg_text = InputFile(o.cfg, kMaxInputBytes, Pipes::allowed).rest();
  std::vector<Section> cfg = read_cfg(o.cfg);
  freeze(cfg);
  apply_overrides(cfg, o.overrides);
  set_max_batches(cfg, o);
  found_.data = o.data, found_.cfg = o.cfg;
  const Network net(cfg, {});
  setting_.classes = classes_of(net, data);
  found_.iterations = net.settings().max_batches;
  found_.names = names_of(data.names, setting_.classes);
  cfg_ = {std::move(cfg), default_objectness(net)};
  if (!o.request.empty()) {
    planned_ = plan_variants(o.request, cfg_);
    check_variants(cfg_.sections);
    if (o.tune) require_known_per();
  }
}

void Sweep::require_known_per() const {
  // Where a folder is chosen by it already, one of the variants there gives the key.
  if (folder_.is_there() && folder_.settings().value(json::json_pointer("/tune/per"), json()) ==
                                json(setting_.options.per))
    return;
  for (const std::string& key : comma_separated(setting_.options.per)) {
    const bool known = std::any_of(planned_.begin(), planned_.end(), [&](const PlannedVariant& v) {
      return value_of_key(v, key, cfg_) != kNoValue;
    });
    if (!known)
      throw Error(cat("-per '", shown(key), "': neither the cfg nor a variant gives this key"), 2);
  }
}

void Sweep::split_lists() {
  const SweepOptions& o = setting_.options;
  const DataFile user = read_data_file(o.data);
  setting_.data = o.data;
  if (o.confirms) found_.purpose = Purpose::confirmation;
  if (o.tune) {
    found_.purpose = Purpose::tuning;
    require_same_share(folder_, o, user);
    setting_.data = tuning_files(o.out).data;
    split_ = split_for_tuning(user, o.tune_share);
    require_kept(tuning_files(o.out), *split_, user);
  }
  shared_ = shared_by_all(o, user, split_ ? &*split_ : nullptr);
}

// Once nothing else is refused: lists of another split would refuse the next call.
void Sweep::keep_split(const DataFile& user) const {
  const fs::path& out = setting_.options.out;
  const TuningFiles files = tuning_files(out);
  folder_.keep(files.train.filename(), list_text(split_->train, out));
  folder_.keep(files.tuning.filename(), list_text(split_->tuning, out));
  folder_.keep(files.data.filename(), tuning_data_text(user, files));
  require_kept(files, *split_, user);  // another process may have been first
}

// Throws where a variant is no valid cfg; its training run would fail only hours later.
void Sweep::check_variants(const std::vector<Section>& cfg) {
  const log::WithoutWarnings once;  // the training runs print them
  for (const PlannedVariant& variant : planned_) {
    std::vector<Section> changed = cfg;
    try {
      apply_overrides(changed, variant.overrides);
      set_max_batches(changed, setting_.options);
      const Network sound(std::move(changed),
                          {.device = setting_.options.device, .mode = Mode::training});
      if (const std::int64_t classes = classes_of(sound); classes != setting_.classes)
        fail("its heads have ", plural(classes, "class"), ", those of ",
             setting_.options.cfg.string(), " ", setting_.classes,
             "; variants are compared on the same classes, so leave classes= out");
    } catch (const Error& e) {
      throw Error(cat("variant ", variant.name, ": ", e.what()), e.exit_code());
    }
  }
}

void Sweep::read_valid() {
  const SweepOptions& o = setting_.options;
  require_writable_folder(o.out);  // reading the labels may take long
  const DataFile data = read_data_file(o.data);
  // Of a split as the user's own list has them, which messages name.
  found_.training_images = std::ssize(split_ ? split_->train : read_image_list(data.train));
  LabelledImages valid = read_all_labels(split_ ? split_->tuning : read_image_list(data.valid),
                                         setting_.classes, o.bad_labels);
  if (has_runs_to_make()) require_all_present(valid.images);
  found_.images = valid.images, found_.objects = valid.objects;
  setting_.valid = {std::move(valid.images), std::move(valid.truths), {}};
}

// Of the folder or to be added to it; before either is certain. The page of runs that have ended
// needs no images.
bool Sweep::has_runs_to_make() const {
  const SweepOptions& o = setting_.options;
  if (o.request.empty()) return false;
  if (o.retry || !folder_.is_there() || !folder_.additions(shared_, planned_, o.seeds).empty())
    return true;
  const SweepContents there = folder_.contents(shared_);
  for (const ComparedVariant& variant : there.variants)
    for (const std::uint64_t seed : there.seeds)
      if (!read_record(folder_.of_run(variant.name, seed))) return true;
  return false;
}

void Sweep::make_queue() {
  const SweepOptions& o = setting_.options;
  std::int64_t number = 0;
  for (const std::uint64_t seed : o.seeds)
    for (const PlannedVariant& variant : planned_)
      if (number++ % o.shards == o.shard - 1)
        queue_.push_back({static_cast<const ComparedVariant&>(variant), seed,
                          folder_.of_run(variant.name, seed)});
}

// Results that were read before stay, in the order that the folder now has.
void Sweep::arrange() {
  SweepContents now = folder_.contents(shared_);
  const SweepRequest& request = setting_.options.request;
  const bool asked = request.empty() && !request.baseline.empty();  // else the folder has it
  const std::string& name = asked ? request.baseline : now.baseline;
  const auto baseline = std::find_if(now.variants.begin(), now.variants.end(),
                                     [&](const ComparedVariant& v) { return v.name == name; });
  if (baseline == now.variants.end())
    throw Error(cat("-baseline '", shown(name), "': there is no such variant in ",
                    setting_.options.out.string()),
                2);
  std::rotate(now.variants.begin(), baseline, baseline + 1);
  std::vector<ComparedRun> runs;
  for (std::size_t v = 0; v < now.variants.size(); ++v)
    for (const std::uint64_t seed : now.seeds) {
      const auto before =
          std::find_if(found_.runs.begin(), found_.runs.end(), [&](const ComparedRun& r) {
            return r.seed == seed && found_.variants[r.variant].name == now.variants[v].name;
          });
      ComparedRun run{.seed = seed};
      if (before != found_.runs.end()) run = std::move(*before);
      run.variant = v;
      runs.push_back(std::move(run));
    }
  found_.variants = std::move(now.variants);
  found_.seeds = std::move(now.seeds);
  found_.runs = std::move(runs);
}

std::vector<const ComparedRun*> Sweep::update() {
  arrange();
  std::vector<const ComparedRun*> ended;
  for (ComparedRun& run : found_.runs) {
    if (run.state != RunState::missing) continue;
    const ComparedVariant& variant = found_.variants[run.variant];
    auto result = read_run(setting_, {variant, run.seed, folder_.of_run(variant.name, run.seed)});
    if (!result) continue;
    result->variant = run.variant;
    run = std::move(*result);
    ended.push_back(&run);
  }
  if (setting_.options.tune) choose();
  return ended;
}

void Sweep::choose() {
  const std::string& per = setting_.options.per;
  const std::vector<std::string> keys = comma_separated(per);
  std::vector<std::string> groups;
  for (const ComparedVariant& v : found_.variants) {
    std::vector<std::string> values;
    for (const std::string& key : keys) values.push_back(value_of_key(v, key, cfg_));
    while (values.size() > 1 && values.back() == kNoValue) values.pop_back();
    std::string group;
    for (const std::string& value : values) group += (group.empty() ? "" : ",") + value;
    groups.push_back(std::move(group));
  }
  found_.choice = choose_variants(found_, per, groups,
                                  [&](const auto& overrides) { return is_sound(overrides); });
}

// On the CPU, in the precision that it always has: what a GPU cannot do at this moment says nothing
// about the keys, and neither does memory that is not there.
bool Sweep::is_sound(const std::vector<std::string>& overrides) const {
  const log::WithoutWarnings quiet;
  try {
    std::vector<std::string> all = overrides;
    all.emplace_back("net.0.precision=f32");
    std::vector<Section> changed = cfg_.sections;
    apply_overrides(changed, all);
    const Network sound(std::move(changed), {.mode = Mode::training});
    return true;
  } catch (const Error&) {
    return false;
  } catch (const std::bad_alloc&) {
    return true;
  }
}

Sweep::Taken Sweep::take_next() const {
  for (const SweepSite& site : queue_) {
    if (read_record(site.folder)) continue;
    std::unique_ptr<LockFile> lock = try_lock_run(site.folder);
    // Another process may have ended it since.
    if (lock && !read_record(site.folder)) return {&site, std::move(lock)};
  }
  return {nullptr, nullptr};
}

int Sweep::run(const std::function<void()>& after_run) {
  const InterruptGuard interrupt("the step", Saving::yes);
  for (;;) {
    if (interrupt.requested()) {
      log::info(cat("interrupted between two runs. To resume, ", kHowToResume));
      return interrupt.exit_code();
    }
    const Taken taken = take_next();
    if (!taken.site) return 0;
    log::info(cat("== ", taken.site->variant.name, ", seed ", taken.site->seed));
    if (const int code = make_run(setting_, *taken.site); code != 0) return code;
    after_run();
  }
}

std::int64_t Sweep::unfinished() const {
  return std::count_if(queue_.begin(), queue_.end(),
                       [](const SweepSite& site) { return !read_record(site.folder); });
}

std::int64_t Sweep::free_runs() const {
  return std::count_if(queue_.begin(), queue_.end(), [](const SweepSite& site) {
    return !read_record(site.folder) && try_lock_run(site.folder);
  });
}

void Sweep::forget_diverged() {
  for (const SweepSite& site : queue_) {
    const std::optional<RunRecord> record = read_record(site.folder);
    if (!record || record->state != RunState::diverged) continue;
    if (const auto lock = try_lock_run(site.folder)) darknet::forget_diverged(setting_, site);
  }
  for (ComparedRun& run : found_.runs)
    if (run.state == RunState::diverged) run = {.variant = run.variant, .seed = run.seed};
}

SweepProgress::SweepProgress(const Sweep& sweep)
    : sweep_(sweep), start_(std::chrono::steady_clock::now()) {}

void SweepProgress::report(const ComparedRun& run) {
  ++made_;
  const std::int64_t left = sweep_.unfinished();
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  const std::string result =
      run.has_finished() ? fmt::format("mAP@0.5 {:.1f} %", 100 * run.at50.mean_average_precision)
                         : fmt::format("diverged at iteration {}", run.diverged_at);
  const std::string eta =
      log::duration(seconds / static_cast<double>(made_) * static_cast<double>(left));
  log::info(fmt::format("run {} of {}: {}, seed {}: {}{}", sweep_.size() - left, sweep_.size(),
                        sweep_.comparison().variants[run.variant].name, run.seed, result,
                        left > 0 ? ", ETA " + eta : ""));
}

}  // namespace darknet
