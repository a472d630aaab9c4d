// What the program says while it works. Messages are ready-made strings (cat()), so that files
// compiled by nvcc can log. Information goes to standard output, warnings and errors to standard
// error; command results are printed by cli/, not here.
#pragma once
#include <chrono>
#include <cstdint>
#include <string>

namespace darknet::log {

void info(const std::string&);
void warn(const std::string&);
void error(const std::string&);

// Of a job of several processes (core/ranks.h): all but rank 0 say only warnings and errors, with
// their number before them, and nobody rewrites a line in place: mpirun passes on what all say.
void speak_as_rank(std::int64_t rank);
// "rank 2: "; of rank 0 and of a single process "".
const std::string& rank_prefix();

// While one lives, warnings are kept back: for work done once more that has told them already.
class WithoutWarnings {
 public:
  WithoutWarnings();
  WithoutWarnings(const WithoutWarnings&) = delete;
  WithoutWarnings& operator=(const WithoutWarnings&) = delete;
  ~WithoutWarnings();
};

// One line that is rewritten in place on a terminal and printed plainly elsewhere, where
// `also_when_plain`. end_progress() leaves the last one standing.
bool on_terminal();
void progress(const std::string& line, bool also_when_plain);
void end_progress();

// "1:02:03"
std::string duration(double seconds);

// "evaluating 12 of 72, ETA 0:00:10": in place on a terminal; elsewhere a line now and then, and
// none for work of a few seconds. For work that has no line of its own.
class Progress {
 public:
  Progress(std::string what, std::int64_t of);
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress();
  void at(std::int64_t done);

 private:
  using Clock = std::chrono::steady_clock;
  std::string what_;
  std::int64_t of_;
  Clock::time_point start_, reported_;
  bool shown_ = false;
};

}  // namespace darknet::log
