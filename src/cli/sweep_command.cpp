#include "cli/sweep_command.h"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <thread>

#include "cli/sweep_page.h"
#include "core/error.h"
#include "core/input.h"
#include "core/log.h"
#include "core/text.h"
#include "train/interrupt.h"
#include "train/sweep.h"
#include "train/sweep_confirmation.h"
#include "train/sweep_jobs.h"

namespace darknet::cli {
namespace {

// The words behind "these runs are made by others".
std::string others_text(std::int64_t runs) {
  return runs == 1 ? "1 run is" : fmt::format("{} runs are", runs);
}

class SweepCall {
 public:
  explicit SweepCall(const SweepArguments& arguments)
      : o_(arguments), sweep_(o_), progress_(sweep_) {
    sweep_.update();
    if (o_.collect) say_what_was_collected();
    if (o_.tune && SweepFolder(confirmation_folder(o_.out)).is_there())
      open_confirmation(begun_confirmation(sweep_.options()));
    if (!o_.retry) return;
    if (confirmation_) refuse_retry(sweep_, *confirmation_);
    sweep_.forget_diverged();
  }

  int run() {
    if (interrupt_.requested()) return interrupted();
    int code = o_.collect ? 0 : make(sweep_, progress_, 0);
    if (code == 0 && o_.confirm > 0) code = confirm();
    if (code != 0) return code;
    if (!o_.no_page) finish();
    return interrupt_.exit_code();
  }

 private:
  int interrupted() const {
    log::info(cat("interrupted. To resume, ", kHowToResume));
    return interrupt_.exit_code();
  }

  // So that the page's command makes it again.
  void say_what_was_collected() {
    static_cast<SweepOptions&>(o_) = sweep_.options();
    for (const ComparedVariant& v : sweep_.comparison().variants)
      o_.request.variants.push_back(variant_text(v));
    o_.request.baseline.clear();  // it comes first
    o_.seed_texts.clear();
    for (const std::uint64_t seed : sweep_.comparison().seeds)
      o_.seed_texts.push_back(std::to_string(seed));
  }

  void open_confirmation(const SweepOptions& options) {
    confirmation_progress_.reset();
    confirmation_.emplace(options);
    confirmation_progress_.emplace(*confirmation_);
    confirmation_->update();
    if (o_.collect) o_.confirm = std::ssize(confirmation_->comparison().seeds);
  }

  // The runs of this call in one folder; `confirm` is the flag of the jobs that make them.
  int make(Sweep& sweep, SweepProgress& progress, std::int64_t confirm) {
    const auto note = [&] { note_ended(sweep, progress); };
    if (o_.jobs == 1) return sweep.run(note);
    const auto jobs = static_cast<int>(std::min<std::int64_t>(o_.jobs, sweep.free_runs()));
    if (jobs == 0) return 0;
    SweepArguments of_job = o_;
    of_job.confirm = confirm;
    return run_jobs(
        {.jobs = jobs, .arguments = words_of_job(of_job), .folder = sweep.options().out}, note);
  }

  // Where another process writes the page just now, the next run's end is soon enough.
  void note_ended(Sweep& sweep, SweepProgress& progress) {
    const std::vector<const ComparedRun*> ended = sweep.update();
    for (const ComparedRun* run : ended) progress.report(*run);
    if (ended.empty() || o_.no_page) return;
    if (const auto lock = sweep_.folder().try_lock_page()) write_sweep_page(parts(), o_, false);
  }

  SweepParts parts() const {
    return {sweep_.comparison(), confirmation_ ? &confirmation_->comparison() : nullptr};
  }

  // A choice needs all runs. Those of a process that is killed are made here.
  int wait_for_others() {
    constexpr auto kPoll = std::chrono::seconds(1);
    if (const std::int64_t left = sweep_.unfinished(); left > 0)
      log::info(others_text(left) + " made by other processes; waiting for their end");
    while (sweep_.unfinished() > 0) {
      std::this_thread::sleep_for(kPoll);
      if (interrupt_.requested()) return interrupted();
      if (const int code = make(sweep_, progress_, 0); code != 0) return code;
    }
    note_ended(sweep_, progress_);
    return 0;
  }

  // The confirmation that may be; where there may be none, the page says why too.
  SweepOptions confirmation_options() try {
    return confirmation_of(sweep_, o_.confirm, [&](const ComparedVariant& v, std::uint64_t seed) {
      return command_of_run(o_, v, seed);
    });
  } catch (const Error&) {
    if (!o_.no_page) finish();
    throw;
  }

  int confirm() {
    if (o_.collect) return 0;
    if (const int code = wait_for_others(); code != 0) return code;
    open_confirmation(confirmation_options());
    const Comparison& c = confirmation_->comparison();
    log::info(fmt::format("== confirmation of {} with {}", names_of(c.variants),
                          plural(std::ssize(c.seeds), "seed")));
    return make(*confirmation_, *confirmation_progress_, o_.confirm);
  }

  void finish() {
    const auto lock = sweep_.folder().lock_page();
    sweep_.update();
    if (confirmation_) confirmation_->update();
    fmt::print("\n{}", write_sweep_page(parts(), o_, true));
    std::int64_t left = sweep_.unfinished();
    if (confirmation_) left += confirmation_->unfinished();
    if (left > 0)
      fmt::print("{} made by other processes now; -collect writes them into the page\n",
                 others_text(left));
    fmt::print("-> {}\n", printable((o_.out / "index.html").string()));
  }

  // All of it: what takes long asks, pages are written to their end.
  InterruptGuard interrupt_{"the step", Saving::yes};
  SweepArguments o_;
  Sweep sweep_;
  SweepProgress progress_;
  std::optional<Sweep> confirmation_;
  std::optional<SweepProgress> confirmation_progress_;
};

}  // namespace

int run_sweep(SweepArguments o) {
  finish_sweep_arguments(o);
  if (o.collect)
    o.request = {
        .variants = {}, .file = {}, .vary = {}, .baseline = o.request.baseline, .complete = {}};
  if (o.jobs > 1)
    for (const auto& file : {o.data, o.cfg, o.weights})
      if (is_pipe(file))
        throw Error(
            cat(file.string(), ": only one process can read a pipe; give a file, or no -jobs"), 2);
  check_sweep_outputs(o);
  if (o.tune && !o.collect) require_begun_confirmation(o, o.confirm);
  return SweepCall(o).run();
}

}  // namespace darknet::cli
