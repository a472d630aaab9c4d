// SIGINT and SIGTERM as a question that long work asks at safe points, so that it can save first.
#pragma once

namespace darknet {

// While one lives, the first signal only sets a flag; a second one ends the program at once.
class InterruptGuard {
 public:
  InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;
  ~InterruptGuard();
  // 0, or 128 + the signal's number: 130 for Ctrl-C, 143 for SIGTERM.
  int exit_code() const;
  bool requested() const { return exit_code() != 0; }
};

}  // namespace darknet
