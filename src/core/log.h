// The program's messages while it works. They are ready-made strings (cat()), so that files
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

// This process is a rank of a job of several (core/ranks.h): ranks above 0 print only warnings and
// errors, with their number, and none rewrites lines in place, as mpirun merges the output of all.
void set_rank(std::int64_t rank);
// "rank 2: "; "" for rank 0 and for a single process.
const std::string& rank_prefix();

// While one exists, warnings are dropped: for repeated work, which has printed them. They nest.
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
