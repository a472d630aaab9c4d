#include "train/checkpoints.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

#include "core/checksum.h"
#include "core/file.h"
#include "core/input.h"
#include "core/log.h"
#include "core/number.h"
#include "core/text.h"
#include "nn/freezing.h"
#include "nn/weights.h"

namespace darknet {
namespace {
namespace fs = std::filesystem;

constexpr std::int64_t kLastEvery = 100;
constexpr std::uint64_t kMaxSeen = std::uint64_t{1} << 62;
constexpr std::uint64_t kMaxWeightBytes = std::uint64_t{64} << 30;

constexpr std::array<std::string_view, 4> kOwnSuffixes{"_last", "_best", "_final", "_ema"};

const fs::path& writable(const fs::path& folder) {
  require_writable_folder(folder);
  return folder;
}

}  // namespace

Checkpoints::Checkpoints(fs::path folder, std::string name, std::int64_t every, bool writes)
    : folder_(std::move(folder)), name_(std::move(name)), every_(every) {
  if (!writes) return;
  lock_.emplace(writable(folder_) / (name_ + ".lock"), cat("a training of ", name_));
  remove_leftovers(folder_, name_ + "_");
}

fs::path Checkpoints::file(const std::string& suffix) const { return folder_ / (name_ + suffix); }

// The state goes first: it holds the parameters too, and the checksums of the weights it belongs to
// and of those it replaces. After a kill in between, the older weights are recognised as such.
void Checkpoints::save_last(const Network& net, Optimizer& optimizer, TrainingState& state) const {
  const std::string bytes = weights_bytes(net, state.seen);
  const std::uint64_t checksum = checksum_of(bytes);
  if (checksum != state.weights_checksum) state.previous_checksum = state.weights_checksum;
  state.weights_checksum = checksum;
  state.algorithms = net.algorithms();
  const fs::path weights = file("_last.weights");
  save_state(state_path(weights), state, net, optimizer);
  write_file_atomically(weights, bytes);
}

void Checkpoints::register_existing(TrainingState& state) const {
  if (const fs::path old = file("_last.weights"); is_present(old))
    state.weights_checksum = checksum_of(read_file(old, kMaxWeightBytes));
}

void Checkpoints::save_best(const Network& net, const TrainingState& state) const {
  save_weights(file("_best.weights"), net, state.seen);
}

void Checkpoints::save_final(const Network& net, Optimizer& optimizer,
                             const TrainingState& state) const {
  save_weights(file("_final.weights"), net, state.seen);
  if (!optimizer.has_average()) return;
  optimizer.swap_average();
  save_weights(file("_ema.weights"), net, state.seen);
  optimizer.swap_average();
}

bool Checkpoints::is_own(const fs::path& weights) const {
  const fs::path prefix = file("_");
  std::error_code unknown;
  const fs::path folder = weights.has_parent_path() ? weights.parent_path() : ".";
  return weights.filename().string().starts_with(prefix.filename().string()) &&
         weights.extension() == ".weights" &&
         fs::equivalent(folder, folder_.empty() ? "." : folder_, unknown);
}

void Checkpoints::keep_start(const fs::path& weights, std::int64_t from,
                             std::int64_t max_batches) const {
  if (!is_own(weights)) return;
  const std::string suffix = weights.stem().string().substr(name_.size());
  std::int64_t number = 0;
  const bool numbered = read_number(std::string_view(suffix).substr(1), number);
  const bool replaced =
      numbered ? number > from && number <= max_batches && number % period(max_batches) == 0
               : std::find(kOwnSuffixes.begin(), kOwnSuffixes.end(), suffix) != kOwnSuffixes.end();
  if (!replaced) return;
  const fs::path kept = file(suffix + "_previous.weights");
  write_file_atomically(kept, read_file(weights, kMaxWeightBytes));
  log::info(cat(weights.string(), ", which this run starts from and may replace, is kept as ",
                kept.string()));
}

void Checkpoints::warn_of_earlier() const {
  std::vector<std::string> suffixes{"_log.jsonl"};
  for (const std::string_view own : kOwnSuffixes) suffixes.push_back(cat(own, ".weights"));
  std::string found;
  for (const std::string& suffix : suffixes)
    if (is_present(file(suffix))) found += cat(found.empty() ? "" : ", ", file(suffix).string());
  if (found.empty()) return;
  log::warn(cat(found, " of an earlier training will be replaced; ",
                is_present(file("_last.state"))
                    ? "to resume that training instead, give its _last.weights"
                    : "to keep them, move them, or give another folder with -backup"));
}

std::int64_t Checkpoints::period(std::int64_t max_batches) const {
  return every_ > 0 ? every_ : max_batches < 10000 ? 1000 : 10000;
}

bool Checkpoints::due(std::int64_t iteration, std::int64_t max_batches) const {
  return iteration % period(max_batches) == 0 || iteration % kLastEvery == 0;
}

void Checkpoints::save_due(const Network& net, Optimizer& optimizer, TrainingState& state,
                           std::int64_t max_batches) const {
  if (state.iteration % period(max_batches) == 0)
    save_weights(file(cat("_", state.iteration, ".weights")), net, state.seen);
  if (state.iteration % kLastEvery == 0) save_last(net, optimizer, state);
}

PeriodicCheckpoints::PeriodicCheckpoints(const Checkpoints& checkpoints, Network& net,
                                         Optimizer& optimizer, TrainingState& state)
    : checkpoints_(checkpoints), net_(net), optimizer_(optimizer), state_(state) {}

void PeriodicCheckpoints::iteration(const IterationReport& r) {
  checkpoints_.save_due(net_, optimizer_, state_, r.max_batches);
}

void PeriodicCheckpoints::finished(bool complete) {
  checkpoints_.save_last(net_, optimizer_, state_);
  if (complete) checkpoints_.save_final(net_, optimizer_, state_);
}

namespace {

std::string describe(const LoadedWeights& loaded, const Network& net, const fs::path& path) {
  if (loaded.complete)
    return cat("weights: ", path.string(), ", all of ", plural(net.size(), "layer"));
  return cat("weights: ", path.string(), ", the first ", loaded.layers, " of ", net.size(),
             " layers; the others start fresh");
}

// What is wrong with a state file, and what the user can do.
template <class F>
auto from_state(F f) {
  try {
    return f();
  } catch (const Error& e) {
    fail(e.what(), "; to start from the weights alone, remove this file or say -clear");
  }
}

bool resume(Network& net, Optimizer& optimizer, const StartOptions& options, std::uint64_t checksum,
            Start& start) {
  const fs::path path = state_path(options.weights);
  if (options.clear || options.cutoff >= 0) return false;
  if (!is_present(path)) {
    if (options.weights.stem().string().ends_with("_last"))
      log::warn(cat(path.string(), " is not there: the optimizer starts anew"));
    return false;
  }
  const TrainingState state = from_state([&] { return read_state(path); });
  if (state.weights_checksum != checksum && state.previous_checksum != checksum) {
    start.summary = cat("; ", path.string(), " does not belong to them and is not used");
    return false;
  }
  if (options.seed && state.seed != *options.seed)
    fail(path.string(), ": that training ran with -seed ", state.seed, ", not ", *options.seed,
         "; give the same seed, or -clear to count anew");
  from_state([&] { return load_state(path, net, optimizer); });
  start.kind = StartKind::resumed;
  start.state = state;
  start.summary = cat(
      "resumed from ", path.string(), " at iteration ", state.iteration,
      state.weights_checksum == checksum ? "" : ", which is newer than the .weights next to it");
  return true;
}

void load_start(Network& net, Optimizer& optimizer, const StartOptions& options, Start& start) {
  start.state.seed = options.seed.value_or(net.options().seed);
  net.initialise();
  net.parameters_changed();
  if (options.cutoff > net.size())
    fail("-partial ", options.cutoff, ": this network has ", plural(net.size(), "layer"));
  if (options.weights.empty()) {
    start.summary = cat("from random weights, seed ", start.state.seed);
    return;
  }
  const LoadOptions load{.layers = options.cutoff, .allow_backbone = true};
  const LoadedWeights loaded = load_weights(options.weights, net, load);
  start.loaded_layers = loaded.layers;
  if (!resume(net, optimizer, options, loaded.checksum, start)) {
    start.kind = StartKind::weights;
    start.summary = describe(loaded, net, options.weights) + start.summary;
    if (!options.clear && loaded.complete) start.state.seen = loaded.seen;
    if (start.state.seen > kMaxSeen)
      fail(options.weights.string(), ": the header says ",
           plural(static_cast<std::int64_t>(start.state.seen), "image"),
           " were seen, which cannot be; -clear counts from 0");
    start.state.iteration =
        static_cast<std::int64_t>(start.state.seen) / net.settings().batch;  // Darknet's counting
  }
  net.parameters_changed();
}

// A layer that stays as it is should hold something.
void warn_of_fresh_frozen_layers(Network& net, const Start& start) {
  net.set_iteration(start.state.iteration + 1);
  std::vector<std::int64_t> fresh = net.frozen_layers();
  std::erase_if(fresh, [&](std::int64_t layer) { return layer < start.loaded_layers; });
  if (!fresh.empty())
    log::warn(cat("layers ", show_ranges(fresh),
                  " are frozen (stopbackward, onlyforward, dont_update) with random values: give a "
                  "weights file that holds them, or remove these keys"));
}

}  // namespace

Start start_training(Network& net, Optimizer& optimizer, const StartOptions& options) {
  Start start;
  load_start(net, optimizer, options, start);
  if (start.kind != StartKind::resumed) warn_of_fresh_frozen_layers(net, start);
  return start;
}

}  // namespace darknet
