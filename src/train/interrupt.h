// SIGINT, SIGTERM and SIGHUP (a closed terminal) as a flag that long work checks at safe points, so
// that it can save first.
#pragma once
#include <cstdint>
#include <string>

namespace darknet {

// Whether work that ends by one signal is saved, and by a second one is not.
enum class Saving : std::uint8_t { no, yes };

// While one lives, the first signal only sets a flag; a second SIGINT or SIGTERM ends the program
// at once. A SIGHUP that the program was started to ignore (nohup) stays ignored. Work within work
// may have one each, in one thread: they share the flag, which the outermost begins.
class InterruptGuard {
 public:
  // `work`: what is done to its end, for the message of a signal; lives as long as the program.
  explicit InterruptGuard(const char* work, Saving = Saving::no);
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;
  ~InterruptGuard();
  // 0, or 128 + the signal's number: 129 for SIGHUP, 130 for Ctrl-C, 143 for SIGTERM.
  int exit_code() const;
  bool requested() const { return exit_code() != 0; }

 private:
  void (*hangup_)(int) = nullptr;  // what a SIGHUP did before; of the outermost
};

// For work that has nothing to save: while one lives, a signal ends the program at once, with the
// exit code that InterruptGuard gives, and the standard output says how far it came. One at a time,
// and none next to an InterruptGuard.
class InterruptReport {
 public:
  // `kept`: what is on the disk then, "nothing was written"; `work` as of at().
  InterruptReport(std::string kept, const std::string& work);
  InterruptReport(const InterruptReport&) = delete;
  InterruptReport& operator=(const InterruptReport&) = delete;
  ~InterruptReport();
  // Names the work from here on: "while the labels were read". Flushes the standard output, so that
  // a signal loses nothing of it.
  void at(const std::string& work);

 private:
  void set_sentence(const std::string& work);

  std::string kept_;
  void (*hangup_)(int) = nullptr;
};

}  // namespace darknet
