#include "train/interrupt.h"

#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <deque>
#include <string_view>
#include <utility>

#include "core/error.h"
#include "core/log.h"
#include "core/stop_signal.h"

namespace darknet {
namespace {

// Written by the signal handler, read by threads.
std::atomic<int>& received = stop_signal;
int guards = 0;                    // that live
std::atomic<bool> answers = true;  // of several ranks rank 0 alone

std::atomic<const char*> work_to_end = "";  // of the outermost guard
static_assert(std::atomic<const char*>::is_always_lock_free);
std::atomic<bool> work_is_saved = false;  // at its end; of that guard

void write_error(std::string_view text) {
  static_cast<void>(!::write(STDERR_FILENO, text.data(), text.size()));
}

// A terminal that closes sends SIGHUP twice, by the kernel and by the shell, and a session's
// SIGTERM may follow: only a second signal that is sent on purpose ends the program.
extern "C" void remember(int signal) {
  const int interrupted = errno;  // of the call that the signal came into
  // A step may take minutes: without an answer people send the signal again. A closed terminal
  // reads none.
  if (received == 0 && signal != SIGHUP && answers) {
    write_error("\nstopping after ");
    write_error(work_to_end.load());
    write_error(" in progress; a second signal stops at once");
    write_error(work_is_saved ? ", without saving\n" : "\n");
  }
  if (received == 0) received = signal;
  std::signal(SIGHUP, SIG_IGN);
  if (signal != SIGHUP) {
    std::signal(SIGINT, SIG_DFL);
    std::signal(SIGTERM, SIG_DFL);
  }
  errno = interrupted;
}

// The sentence of an InterruptReport; the handler may run in any thread while the next one is
// written, so none is ever freed.
std::atomic<const std::string*> report = nullptr;
static_assert(std::atomic<const std::string*>::is_always_lock_free);

extern "C" void end_with_report(int signal) {
  const std::string& text = *report;
  static_cast<void>(!::write(STDOUT_FILENO, text.data(), text.size()));
  ::_exit(128 + signal);
}

using Handler = void (*)(int);

// Returns what a SIGHUP did before. One that is ignored stays so.
Handler handle_signals(Handler handler) {
  const Handler hangup = std::signal(SIGHUP, SIG_IGN);
  if (hangup != SIG_IGN) std::signal(SIGHUP, handler);
  std::signal(SIGINT, handler);
  std::signal(SIGTERM, handler);
  return hangup;
}

void restore_signals(Handler hangup) {
  std::signal(SIGHUP, hangup == SIG_ERR ? SIG_DFL : hangup);
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
}

}  // namespace

InterruptGuard::InterruptGuard(const char* work, Saving saving) {
  if (guards++ > 0) return;
  received = 0;
  work_to_end = work;
  work_is_saved = saving == Saving::yes;
  answers = log::rank_prefix().empty();
  hangup_ = handle_signals(remember);
}

InterruptGuard::~InterruptGuard() {
  if (--guards > 0) return;
  restore_signals(hangup_);
}

int InterruptGuard::exit_code() const { return received == 0 ? 0 : 128 + received; }

InterruptReport::InterruptReport(std::string kept, const std::string& work)
    : kept_(std::move(kept)) {
  set_sentence(work);
  hangup_ = handle_signals(end_with_report);
  std::fflush(stdout);  // who has read a line may send a signal
}

InterruptReport::~InterruptReport() { restore_signals(hangup_); }

void InterruptReport::at(const std::string& work) {
  std::fflush(stdout);
  set_sentence(work);
}

void InterruptReport::set_sentence(const std::string& work) {
  static std::deque<std::string> sentences;
  const char* const behind_progress = log::on_terminal() ? "\n" : "";
  report = &sentences.emplace_back(cat(behind_progress, "interrupted ", work, "; ", kept_, "\n"));
}

}  // namespace darknet
