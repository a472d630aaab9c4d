#include "cli/sweep_arguments.h"

#include <algorithm>
#include <charconv>
#include <set>
#include <string_view>

#include "cfg/override.h"
#include "cli/bad_labels.h"
#include "cli/common_flags.h"
#include "core/error.h"
#include "core/number.h"
#include "core/shell.h"
#include "core/text.h"
#include "train/sweep_axes.h"
#include "train/sweep_jobs.h"

namespace darknet::cli {
namespace {
namespace fs = std::filesystem;
using Words = std::vector<std::string>;

constexpr std::int64_t kMaxShards = 1 << 20;

// "3" or "1..5", each seed once.
std::vector<std::uint64_t> parse_seeds(const Words& texts) {
  constexpr std::uint64_t kMax = 1000;
  std::vector<std::uint64_t> seeds;
  for (const std::string& text : texts) {
    std::uint64_t first = 0;
    const char* const end = text.data() + text.size();
    const auto lower = std::from_chars(text.data(), end, first);
    const char* at = lower.ptr;
    std::errc error = lower.ec;
    std::uint64_t last = first;
    if (error == std::errc{} && std::string_view(at, end).starts_with("..")) {
      const auto upper = std::from_chars(at + 2, end, last);
      at = upper.ptr, error = upper.ec;
    }
    const auto refuse = [&](const std::string& why) {
      throw Error(cat("-seeds '", shown(text), "': ", why), 2);
    };
    if (error != std::errc{} || at != end) refuse("expected a number, or a range such as 1..5");
    if (last < first) refuse("the range ends before it begins");
    if (last - first >= kMax) refuse(cat("a range has at most ", kMax, " seeds"));
    for (std::uint64_t k = 0; k <= last - first; ++k)  // `last` may be the largest number there is
      if (std::find(seeds.begin(), seeds.end(), first + k) == seeds.end())
        seeds.push_back(first + k);
  }
  return seeds;
}

void parse_shard(SweepArguments& o) {
  if (o.shard_text.empty()) return;
  const auto slash = std::min(o.shard_text.find('/'), o.shard_text.size());
  const std::string_view text = o.shard_text;
  if (slash == text.size() || !read_number(text.substr(0, slash), o.shard) ||
      !read_number(text.substr(slash + 1), o.shards) || o.shard < 1 || o.shard > o.shards ||
      o.shards > kMaxShards)
    throw Error(cat("-shard '", shown(o.shard_text), "': expected such as 1/4, the first of four"),
                2);
}

// What `detector train` and these commands call alike.
Words training_flags(const SweepOptions& o) {
  Words words;
  for (const auto& [flag, on] : {std::pair{"-clear", o.clear},
                                 {"-map", o.map},
                                 {"-exact", o.exact},
                                 {"-deterministic", o.deterministic}})
    if (on) words.emplace_back(flag);
  if (!o.tuning.empty()) words.insert(words.end(), {"-tuning", o.tuning.string()});
  if (o.bad_labels != BadLabels::stop)
    words.insert(words.end(), {"-bad_labels", word_of(o.bad_labels)});
  return words;
}

// Each pair is a flag and its value; "" is left out.
Words words_of(const SweepArguments& o) {
  Words words{"detector", o.command, o.data.string(), o.cfg.string(), "-out", o.out.string()};
  const auto add = [&](const char* flag, const std::string& value) {
    if (!value.empty()) words.insert(words.end(), {flag, value});
  };
  const SweepRequest& r = o.request;
  for (const std::string& variant : r.variants) add("-variant", variant);
  for (const std::string& axis : r.vary) add("-vary", axis);
  add("-plan", r.file.string());
  add("-search", o.search_text);
  add("-budget", r.budget > 0 ? std::to_string(r.budget) : "");
  add("-baseline", r.baseline);
  if (o.tune) words.emplace_back("-tune");
  if (o.tune && o.tune_share != kTuneShare) add("-tune_share", cat(o.tune_share));
  if (o.tune && o.per != kDefaultPer) add("-per", o.per);
  if (o.confirm > 0) add("-confirm", std::to_string(o.confirm));
  add("-weights", o.weights.string());
  add("-freeze", o.freeze > 0 ? std::to_string(o.freeze) : "");
  for (const std::string& set : without_flags(o.overrides)) add("-set", set);
  add("-max_batches", o.max_batches > 0 ? std::to_string(o.max_batches) : "");
  for (const std::string& seeds : o.seed_texts) add("-seed", seeds);
  const Words flags = training_flags(o);
  words.insert(words.end(), flags.begin(), flags.end());
  return words;
}

}  // namespace

void declare_sweep_arguments(const Command& command, SweepArguments& o) {
  data_argument(command, o.data).required();
  cfg_argument(command, o.cfg).required();
  command.option("-out", o.out, "folder of everything made (runs/NAME_OF_CFG)");
  command
      .option("-variant,-arm", o.request.variants,
              "a variant, NAME: KEY=VALUE ...; the first is the baseline")
      .value_name("VARIANT");
  command
      .text_option("-baseline", o.request.baseline,
                   "the variant that the others are compared with (the first)")
      .value_name("NAME");
  command
      .option("-seed,-seeds", o.seed_texts, "a seed or a range such as 1..5; may be repeated (1)")
      .value_name("SEEDS");
  command.option("-max_batches", o.max_batches, "iterations, instead of the cfg's max_batches")
      .integer_in(1, std::int64_t{1} << 40);
  command.option("-weights", o.weights, "weights that every run starts from")
      .input("the weights file");
  command.flag("-clear", o.clear, "with -weights: count iterations from zero");
  add_freeze(command, o.freeze);
  command.option("-jobs", o.jobs, "processes that share the runs and the cores of this machine")
      .integer_in(1, 1024)
      .value_name("N");
  command.flag("-retry", o.retry, "train again what diverged");
  command.option("-images,-pictures", o.images, "images drawn side by side")
      .integer_in(0, 1000)
      .show_default();
  add_bad_labels(command, o.bad_labels);
  command.flag("-map", o.map, "also evaluate as the training runs go, for the chart");
  add_overrides(command, o.overrides);
  add_threads(command, o.threads, "threads that read and augment images");
  add_arithmetic(command, o.exact, o.overrides, o.tuning);
  add_device(command, o.device);
  add_deterministic(command, o.deterministic);
  add_compatibility_flags(command);
}

void declare_sweep_plan(const Command& command, SweepArguments& o) {
  command
      .option("-vary", o.request.vary,
              "a key and its values, KEY=V1,V2,...; may be repeated: all combinations are trained. "
              "For a search also KEY=LOW..HIGH, LOW..HIGH:log and LOW..HIGH:int")
      .value_name("KEY=VALUES");
  command
      .option("-plan", o.request.file,
              R"(variants from a JSON file: [{"name": "a", "set": {"KEY": VALUE}}])")
      .input("the plan")
      .value_name("FILE");
  command
      .text_option(
          "-search", o.search_text,
          "try -budget points instead of all combinations: by random numbers, or evenly spread "
          "(halton)")
      .one_of({std::string(name_of(Search::random)), std::string(name_of(Search::halton))})
      .value_name("HOW");
  command.option("-budget", o.request.budget, "variants of a search")
      .integer_in(1, 1000)
      .value_name("N");
  const Option tune = command.flag(
      "-tune", o.tune,
      "keep a tuning split out of the training list, and choose by it the best variant of each "
      "loss; valid= stays unseen. The split is tune= of the .data file, or a share of train");
  command
      .option("-tune_share", o.share,
              cat("share of train that is the tuning split (", kTuneShare, ")"))
      .number_in(.01, .9)
      .needs(tune)
      .value_name("SHARE");
  command
      .text_option(
          "-per", o.per_text,
          cat("choose for each value of this key, or of these, separated by commas, not for each ",
              kDefaultPer))
      .check([](const std::string& keys) {
        std::set<std::string> seen;
        for (const std::string& key : comma_separated(keys)) {
          if (key.empty()) return std::string("a key is empty");
          if (!seen.insert(key).second) return key + " is given twice";
        }
        return std::string();
      })
      .needs(tune)
      .value_name("KEY");
  command
      .option("-confirm", o.confirm,
              "then train what was chosen, and the baseline, with K seeds that tuning did not use, "
              "on all of train, and evaluate it once on valid=")
      .integer_in(1, 1000)
      .value_name("K");
  command
      .text_option("-shard", o.shard_text,
                   "only every N-th run, from the I-th on; for machines without a shared folder")
      .value_name("I/N");
  command.flag("-collect", o.collect,
               "train nothing, write the page of what the folder holds, with its settings");
  command.flag("-no_page", o.no_page, "train only; -collect writes the page");
}

void finish_sweep_arguments(SweepArguments& o) {
  if (o.out.empty()) o.out = fs::path("runs") / o.cfg.stem();
  if (!o.seed_texts.empty()) o.seeds = parse_seeds(o.seed_texts);
  if (const auto search = value_of<Search>(o.search_text)) o.request.search = *search;
  parse_shard(o);
  if (o.share > 0 || o.collect) o.tune_share = o.share;
  if (!o.per_text.empty() || o.collect) o.per = o.per_text;
  if (o.confirm > 0 && !o.tune && !o.collect)
    throw Error(
        "-confirm needs -tune: what was chosen on valid= cannot be confirmed on the same images",
        2);
  if (o.collect && o.retry)
    throw Error(
        "-collect trains nothing, so it cannot go with -retry: give -retry without -collect", 2);
  if (o.collect && o.no_page)
    throw Error("-collect only writes the page, and -no_page writes none: give one of them", 2);
  if (o.clear && o.weights.empty()) throw Error("-clear needs -weights", 2);
  if (o.freeze > 0 && o.weights.empty()) throw Error("-freeze needs -weights", 2);
  o.train_flags = training_flags(o);
}

std::string sweep_command(const SweepArguments& o) {
  std::string text = "darknet";
  for (const std::string& word : words_of(o)) {
    text += word == "-variant" || word == "-vary" ? " \\\n    " : " ";
    text += shell_word(word);
  }
  return text;
}

std::string command_of_run(const SweepArguments& o, const ComparedVariant& variant,
                           std::uint64_t seed) {
  SweepArguments run = o;
  run.request = {
      .variants = {variant_text(variant)}, .file = {}, .vary = {}, .baseline = {}, .complete = {}};
  run.search_text.clear();
  run.seed_texts = {std::to_string(seed)};
  run.confirm = 0;
  Words words = words_of(run);
  words.insert(words.begin(), "darknet");
  return shell_command(words);
}

std::vector<std::string> words_of_job(const SweepArguments& o) {
  SweepArguments job = o;
  job.command = "sweep";  // which has all flags
  Words words = words_of(job);
  words.emplace_back("-no_page");
  if (!o.shard_text.empty()) words.insert(words.end(), {"-shard", o.shard_text});
  words.insert(words.end(),
               {"-threads", std::to_string(o.threads > 0 ? o.threads : cores_of_job(o.jobs))});
  if (o.device.type == DeviceType::cpu)
    words.emplace_back("-nogpu");
  else
    words.insert(words.end(), {"-i", std::to_string(o.device.index)});
  return words;
}

}  // namespace darknet::cli
