#include "train/sweep_confirmation.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/text.h"
#include "report/comparison_files.h"

namespace darknet {
namespace {
namespace fs = std::filesystem;

bool holds(const std::vector<std::uint64_t>& seeds, std::uint64_t seed) {
  return std::find(seeds.begin(), seeds.end(), seed) != seeds.end();
}

// Far from those that people count from 1, so that tuning may get more of them later.
std::vector<std::uint64_t> fresh_seeds(const std::vector<std::uint64_t>& used, std::int64_t count) {
  constexpr std::uint64_t kFirst = 1001;
  std::vector<std::uint64_t> seeds;
  for (std::uint64_t seed = kFirst; std::ssize(seeds) < count; ++seed)
    if (!holds(used, seed)) seeds.push_back(seed);
  return seeds;
}

bool holds_baseline(const TunedGroup& g) {
  return std::find(g.variants.begin(), g.variants.end(), std::size_t{0}) != g.variants.end();
}

bool has_diverged(const Comparison& c, std::size_t variant) {
  for (std::size_t s = 0; s < c.seeds.size(); ++s)
    if (c.run(variant, s).state == RunState::diverged) return true;
  return false;
}

std::vector<ComparedVariant> confirmed_variants(const Comparison& c) {
  std::vector<ComparedVariant> variants;
  bool with_baseline = false;
  for (const TunedGroup& g : c.choice->groups) {
    if (!g.chosen) continue;
    ComparedVariant chosen = c.variants[*g.chosen];
    chosen.group = cat(c.choice->key, "=", g.value);
    variants.insert(holds_baseline(g) ? variants.begin() : variants.end(), std::move(chosen));
    with_baseline |= *g.chosen == 0;
  }
  if (!with_baseline && !has_diverged(c, 0)) variants.push_back(c.variants.front());
  return variants;
}

void require_all_runs(const Sweep& tuning, const RunCommand& command) {
  const Comparison& c = tuning.comparison();
  const auto first = std::find_if(c.runs.begin(), c.runs.end(), [](const ComparedRun& r) {
    return r.state == RunState::missing;
  });
  if (first == c.runs.end()) return;
  const ComparedVariant& variant = c.variants[first->variant];
  fail_at({tuning.options().out.string(), 0},
          "-confirm needs all tuning runs: ", c.choice.value().missing, " of ", c.runs.size(),
          " are missing, the first is ", variant.name, ", seed ", first->seed, "; make it by ",
          command(variant, first->seed), " or copy its folder here");
}

void require_choice(const Sweep& tuning) {
  const Comparison& c = tuning.comparison();
  const TuningChoice& choice = c.choice.value();
  const std::string folder = tuning.options().out.string();
  const bool comparable = confirmed_variants(c).size() > 1;
  for (const TunedGroup& g : choice.groups)
    if (g.nothing_found && (holds_baseline(g) || !comparable))
      fail_at({folder, 0}, "nothing is confirmed: with ", choice.key, "=", g.value, " ",
              nothing_found_text(g));
  if (choice.at_an_edge()) fail_at({folder, 0}, "nothing is confirmed. ", edges_text(choice, c));
  if (std::none_of(choice.groups.begin(), choice.groups.end(),
                   [](const TunedGroup& g) { return g.chosen.has_value(); }))
    fail_at({folder, 0}, "nothing can be confirmed: every variant has a run that diverged");
  for (const TunedGroup& g : choice.groups)
    if (holds_baseline(g) && !g.chosen)
      fail_at({folder, 0}, "nothing is confirmed: every variant with ", choice.key, "=", g.value,
              ", that of the baseline ", c.variants.front().name,
              ", has a run that diverged; make these again (-retry), add other values to -vary, or "
              "give a variant of another group as -baseline");
}

SweepContents contents_of(const SweepFolder& folder) { return folder.contents(folder.settings()); }

bool same_variants(const std::vector<ComparedVariant>& a, const std::vector<ComparedVariant>& b) {
  return std::is_permutation(a.begin(), a.end(), b.begin(), b.end(), same_keys);
}

constexpr const char* kAnew =
    ". valid= has been looked at: a further confirmation on it would be a second try. Give "
    "another -out and other test images, or remove that folder and say so where you report it";

std::string seeds_text(const SweepContents& c) { return plural(std::ssize(c.seeds), "seed"); }

void require_same_variants(const SweepContents& begun, const SweepOptions& now) {
  if (!same_variants(begun.variants, now.request.complete))
    fail_at({now.out.string(), 0}, "this confirmation is of ", names_of(begun.variants),
            ", and tuning now chooses ", names_of(now.request.complete), kAnew);
}

void require_same_seeds(const SweepContents& begun, const fs::path& folder, std::int64_t seeds) {
  if (std::ssize(begun.seeds) != seeds)
    fail_at({folder.string(), 0}, "this confirmation was begun with ", seeds_text(begun), ", not ",
            seeds, kAnew);
}

const ComparedRun* first_diverged(const Comparison& c) {
  const auto at = std::find_if(c.runs.begin(), c.runs.end(),
                               [](const ComparedRun& r) { return r.state == RunState::diverged; });
  return at == c.runs.end() ? nullptr : &*at;
}

std::string run_text(const Comparison& c, const ComparedRun& run) {
  return cat(c.variants[run.variant].name, ", seed ", run.seed);
}

SweepOptions inner_options(SweepOptions o) {
  o.out = confirmation_folder(o.out);
  o.tune = false, o.confirms = true;
  o.map = false;  // valid= is evaluated once
  o.request = {.variants = {}, .file = {}, .vary = {}, .baseline = {}, .complete = {}};
  return o;
}

}  // namespace

fs::path confirmation_folder(const fs::path& sweep) { return sweep / kConfirmFolder; }

SweepOptions confirmation_of(const Sweep& tuning, std::int64_t seeds, const RunCommand& command) {
  require_all_runs(tuning, command);
  require_choice(tuning);
  const Comparison& c = tuning.comparison();
  SweepOptions o = inner_options(tuning.options());
  o.request.complete = confirmed_variants(c);
  o.request.baseline = o.request.complete.front().name;
  o.seeds = fresh_seeds(c.seeds, seeds);
  if (const SweepFolder folder(o.out); folder.is_there()) {
    const SweepContents begun = contents_of(folder);
    require_same_variants(begun, o);
    require_same_seeds(begun, o.out, seeds);
    o.seeds = begun.seeds;
  }
  return o;
}

SweepOptions begun_confirmation(const SweepOptions& tuning) { return inner_options(tuning); }

void refuse_retry(const Sweep& tuning, const Sweep& confirmation) {
  const std::string folder = confirmation.options().out.string();
  if (const ComparedRun* run = first_diverged(confirmation.comparison()))
    fail_at({folder, 0}, "-retry: ", run_text(confirmation.comparison(), *run),
            " diverged in the confirmation, whose runs are made once; call without -retry");
  if (const ComparedRun* run = first_diverged(tuning.comparison()))
    fail_at({folder, 0}, "-retry: ", run_text(tuning.comparison(), *run),
            " diverged in the tuning, whose confirmation has begun; call without -retry");
}

void require_begun_confirmation(const SweepOptions& tuning, std::int64_t confirm) {
  const fs::path path = confirmation_folder(tuning.out);
  const SweepFolder folder(path);
  if (!folder.is_there()) return;
  const SweepContents begun = contents_of(folder);
  for (const std::uint64_t seed : begun.seeds)
    if (holds(tuning.seeds, seed))
      fail_at({path.string(), 0}, "seed ", seed, " is one of the confirmation; tune with others");
  if (confirm > 0) require_same_seeds(begun, path, confirm);
}

void require_nothing_added(const SweepOptions& tuning, const std::string& added) {
  const fs::path path = confirmation_folder(tuning.out);
  const SweepFolder folder(path);
  if (added.empty() || !folder.is_there()) return;
  const SweepContents begun = contents_of(folder);
  fail_at({path.string(), 0}, "this confirmation of ", names_of(begun.variants), " with ",
          seeds_text(begun), " has begun, so nothing is added to the tuning any more (", added, ")",
          kAnew);
}

}  // namespace darknet
