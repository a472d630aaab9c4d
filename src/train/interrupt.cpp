#include "train/interrupt.h"

#include <csignal>

namespace darknet {
namespace {

// A signal handler can reach nothing but a variable of this kind.
volatile std::sig_atomic_t received = 0;  // NOLINT

extern "C" void remember(int signal) {
  received = signal;
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
}

}  // namespace

InterruptGuard::InterruptGuard() {
  received = 0;
  std::signal(SIGINT, remember);
  std::signal(SIGTERM, remember);
}

InterruptGuard::~InterruptGuard() {
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
}

int InterruptGuard::exit_code() const { return received == 0 ? 0 : 128 + received; }

}  // namespace darknet
