#include "core/threads.h"

#include <algorithm>
#include <ctime>
#include <thread>

#if defined(_OPENMP)
#include <omp.h>
#endif

namespace darknet {
namespace {

double seconds_of(clockid_t clock) {
  std::timespec now{};
  ::clock_gettime(clock, &now);
  constexpr double kNanosecond = 1e-9;
  return static_cast<double>(now.tv_sec) + kNanosecond * static_cast<double>(now.tv_nsec);
}

}  // namespace

int core_count() { return std::max(1, static_cast<int>(std::thread::hardware_concurrency())); }

int launch_threads() {
#if defined(_OPENMP)
  return omp_get_max_threads();
#else
  return 1;
#endif
}

void limit_threads([[maybe_unused]] int max) {
#if defined(_OPENMP)
  omp_set_num_threads(max);  // a setting of each thread; oneDNN asks for it too
#endif
}

double thread_cpu_seconds() { return seconds_of(CLOCK_THREAD_CPUTIME_ID); }
double process_cpu_seconds() { return seconds_of(CLOCK_PROCESS_CPUTIME_ID); }

}  // namespace darknet
