// How OpenMP threads wait at barriers. Spinning is fastest while no other program wants the cores
// and makes a parallel loop many times slower once one does; sleeping costs little next to other
// programs and up to half of the speed on a quiet machine. So it follows the load.
#pragma once
#include <functional>
#include <memory>
#include <string>

namespace darknet {

// Processor time in seconds since the machine started, and of this process since it did.
struct ProcessorUse {
  double wall = 0;     // steady clock
  double machine = 0;  // of all processes, on the cores that this one may use; steal time counts
  double process = 0;
  int runnable = 0;  // threads of the whole machine that run or are ready to; 0: unknown
};
// `stat`: the text of /proc/stat. False where it holds none of the cores of this process.
bool read_processor_use(const std::string& stat, ProcessorUse& use);

// Whether other programs use the cores, from readings some tenths of a second apart: a quarter of a
// core makes them busy, and two readings in a row below an eighth make them quiet again. The first
// reading counts the runnable threads: more than this program has at its start make them busy.
class CoreContention {
 public:
  bool busy() const { return busy_; }
  void add(const ProcessorUse& reading);

 private:
  ProcessorUse last_;
  bool busy_ = true;
  int quiet_intervals_ = 1;  // so that the first one decides
};

// Idle OpenMP threads, more than there are cores: as long as they live, waiting threads of all
// teams sleep almost at once (libgomp's manual under GOMP_SPINCOUNT: "more OpenMP threads than
// available CPUs"). Throws std::system_error where so many threads cannot be started.
class SurplusThreads {
 public:
  SurplusThreads();
  ~SurplusThreads();
  SurplusThreads(const SurplusThreads&) = delete;
  SurplusThreads& operator=(const SurplusThreads&) = delete;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// While it lives, waiting threads spin where the cores are otherwise quiet and sleep where they are
// not. Does nothing where the environment has OMP_WAIT_POLICY or GOMP_SPINCOUNT, with one thread,
// and without /proc/stat.
class AdaptiveWaiting {
 public:
  AdaptiveWaiting();
  // For tests: watches `stat`, the text of /proc/stat, whatever the environment says.
  explicit AdaptiveWaiting(std::function<std::string()> stat);
  ~AdaptiveWaiting();
  AdaptiveWaiting(const AdaptiveWaiting&) = delete;
  AdaptiveWaiting& operator=(const AdaptiveWaiting&) = delete;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// What an AdaptiveWaiting does in this environment, in words.
std::string waiting_policy();

}  // namespace darknet
