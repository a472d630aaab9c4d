// Parses the command line of `detector sweep` and `detector compare`, and makes command lines that
// repeat a sweep or one of its runs.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "cli/command.h"
#include "train/sweep_options.h"

namespace darknet::cli {

struct SweepArguments : SweepOptions {
  std::string command = "sweep";  // or compare
  std::vector<std::string> seed_texts;
  std::string search_text, shard_text;
  std::string per_text;     // -per; "": not given
  std::int64_t images = 8;  // drawn side by side
  int jobs = 1;
  double share = 0;          // -tune_share; 0: not given
  std::int64_t confirm = 0;  // seeds; 0: tuning only
  bool collect = false, no_page = false;
};

// Those that both commands have.
void declare_sweep_arguments(const Command&, SweepArguments&);
// Those of the sweep alone: what varies, and how the runs are shared out.
void declare_sweep_plan(const Command&, SweepArguments&);

// What follows from the texts that were typed; throws where one is unsound.
void finish_sweep_arguments(SweepArguments&);

// "darknet detector sweep x.data x.cfg ...": makes the same page once more.
std::string sweep_command(const SweepArguments&);
// "darknet detector sweep x.data x.cfg ...": makes one run of it, by a single process.
std::string command_of_run(const SweepArguments&, const ComparedVariant&, std::uint64_t seed);
// The words behind `darknet` of one of `jobs` processes that share the runs.
std::vector<std::string> words_of_job(const SweepArguments&);

}  // namespace darknet::cli
