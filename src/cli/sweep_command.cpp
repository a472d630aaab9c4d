#include "cli/sweep_command.h"

#include <fmt/core.h>

#include <algorithm>

#include "cli/sweep_page.h"
#include "core/error.h"
#include "core/input.h"
#include "core/text.h"
#include "train/sweep.h"
#include "train/sweep_jobs.h"

namespace darknet::cli {
namespace {

class SweepCall {
 public:
  explicit SweepCall(const SweepArguments& arguments)
      : o_(arguments), sweep_(o_), progress_(sweep_) {
    sweep_.take_up();
    if (o_.collect) say_what_was_collected();
    if (o_.retry) sweep_.forget_diverged();
  }

  int run() {
    const int code = o_.collect ? 0 : o_.jobs > 1 ? by_jobs() : by_itself();
    if (code == 0 && !o_.no_page) finish();
    return code;
  }

 private:
  // So that the page's command makes it again.
  void say_what_was_collected() {
    static_cast<SweepOptions&>(o_) = sweep_.options();
    for (const ComparedVariant& v : sweep_.comparison().variants) {
      std::string text = v.name + ":";
      for (const std::string& key : v.overrides) text += " " + key;
      o_.request.variants.push_back(text);
    }
    o_.request.baseline.clear();  // it comes first
    o_.seed_texts.clear();
    for (const std::uint64_t seed : sweep_.comparison().seeds)
      o_.seed_texts.push_back(std::to_string(seed));
  }

  int by_itself() {
    return sweep_.run([this] { note_ended(); });
  }

  int by_jobs() {
    const auto jobs = static_cast<int>(std::min<std::int64_t>(o_.jobs, sweep_.unfinished()));
    if (jobs == 0) return 0;
    return run_jobs({.jobs = jobs, .arguments = words_of_job(o_), .folder = o_.out},
                    [this] { note_ended(); });
  }

  // Where another process writes the page just now, the next run's end is soon enough.
  void note_ended() {
    const std::vector<const ComparedRun*> ended = sweep_.take_up();
    for (const ComparedRun* run : ended) progress_.report(*run);
    if (ended.empty() || o_.no_page) return;
    if (const auto lock = sweep_.folder().try_lock_page())
      write_sweep_page(sweep_.comparison(), o_, false);
  }

  void finish() {
    const auto lock = sweep_.folder().lock_page();
    sweep_.take_up();
    const ComparisonStatistics found = write_sweep_page(sweep_.comparison(), o_, true);
    fmt::print("\n{}", sweep_summary(sweep_.comparison(), found));
    if (const std::int64_t left = sweep_.unfinished(); left > 0)
      fmt::print("{} made by other processes now; -collect writes them into the page\n",
                 left == 1 ? "1 run is" : fmt::format("{} runs are", left));
    fmt::print("-> {}\n", printable((o_.out / "index.html").string()));
  }

  SweepArguments o_;
  Sweep sweep_;
  SweepProgress progress_;
};

}  // namespace

int run_sweep(SweepArguments o) {
  finish_sweep_arguments(o);
  if (o.collect)
    o.request = {.variants = {}, .file = {}, .vary = {}, .baseline = o.request.baseline};
  if (o.jobs > 1)
    for (const auto& file : {o.data, o.cfg, o.weights})
      if (is_pipe(file))
        throw Error(
            cat(file.string(), ": only one process can read a pipe; give a file, or no -jobs"), 2);
  check_sweep_outputs(o);
  return SweepCall(o).run();
}

}  // namespace darknet::cli
