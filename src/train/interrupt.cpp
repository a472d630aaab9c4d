#include "train/interrupt.h"

#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <string_view>

namespace darknet {
namespace {

// Written by the signal handler, read by threads.
std::atomic<int> received = 0;
static_assert(std::atomic<int>::is_always_lock_free);
int guards = 0;  // that live

constexpr std::string_view kStopping =
    "\nstopping after the step in progress; a second signal stops at once, without saving\n";

// A terminal that closes sends SIGHUP twice, by the kernel and by the shell, and a session's
// SIGTERM may follow: only a second signal that somebody sends on purpose ends the program.
extern "C" void remember(int signal) {
  const int interrupted = errno;  // of the call that the signal came into
  // A step may take minutes: without an answer people send the signal again. A closed terminal
  // reads none.
  if (received == 0 && signal != SIGHUP)
    static_cast<void>(!::write(STDERR_FILENO, kStopping.data(), kStopping.size()));
  if (received == 0) received = signal;
  std::signal(SIGHUP, SIG_IGN);
  if (signal != SIGHUP) {
    std::signal(SIGINT, SIG_DFL);
    std::signal(SIGTERM, SIG_DFL);
  }
  errno = interrupted;
}

}  // namespace

InterruptGuard::InterruptGuard() {
  if (guards++ > 0) return;
  received = 0;
  hangup_ = std::signal(SIGHUP, SIG_IGN);
  if (hangup_ != SIG_IGN) std::signal(SIGHUP, remember);
  std::signal(SIGINT, remember);
  std::signal(SIGTERM, remember);
}

InterruptGuard::~InterruptGuard() {
  if (--guards > 0) return;
  std::signal(SIGHUP, hangup_ == SIG_ERR ? SIG_DFL : hangup_);
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
}

int InterruptGuard::exit_code() const { return received == 0 ? 0 : 128 + received; }

}  // namespace darknet
