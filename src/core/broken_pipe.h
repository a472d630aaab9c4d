// Writes to connections that the other end has closed, by libraries that set no MSG_NOSIGNAL.
#pragma once
#include <pthread.h>

#include <csignal>
#include <ctime>

namespace darknet {

// While one lives, such a write by this thread fails with EPIPE instead of ending the process by
// SIGPIPE. Other threads, and what this one writes afterwards, are as before.
class WithoutSigpipe {
 public:
  WithoutSigpipe() noexcept {
    ::sigemptyset(&pipe_);
    ::sigaddset(&pipe_, SIGPIPE);
    pending_before_ = is_pending();
    ::pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  WithoutSigpipe(const WithoutSigpipe&) = delete;
  WithoutSigpipe& operator=(const WithoutSigpipe&) = delete;
  ~WithoutSigpipe() {
    const ::timespec at_once{};
    if (!pending_before_)
      while (is_pending() && ::sigtimedwait(&pipe_, nullptr, &at_once) != SIGPIPE) continue;
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }

 private:
  static bool is_pending() noexcept {
    ::sigset_t pending;
    ::sigpending(&pending);
    return ::sigismember(&pending, SIGPIPE) == 1;
  }
  ::sigset_t pipe_{}, before_{};
  bool pending_before_ = false;
};

}  // namespace darknet
