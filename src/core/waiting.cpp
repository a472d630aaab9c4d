#include "core/waiting.h"

#include <sched.h>
#include <unistd.h>

#include <charconv>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <latch>
#include <mutex>
#include <new>
#include <optional>
#include <semaphore>
#include <sstream>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/threads.h"

#if defined(_OPENMP)
#include <omp.h>
#endif

namespace darknet {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double kBusyCores = .25, kQuietCores = .125;
constexpr int kQuietIntervals = 2;
constexpr int kOwnThreads = 2;  // at the start: the program's first thread and the watcher
constexpr std::chrono::milliseconds kInterval{250};

// "cpu12": 12; -1 for every other word.
int core_of(const std::string& word) {
  constexpr std::string_view kPrefix = "cpu";
  int core = -1;
  if (word.starts_with(kPrefix))
    std::from_chars(word.data() + kPrefix.size(), word.data() + word.size(), core);
  return core;
}

// The columns of /proc/stat: user nice system idle iowait irq softirq steal; guests count as users.
double busy_ticks(std::istream& columns) {
  double sum = 0, value = 0;
  for (int column = 0; column < 8 && columns >> value; ++column)
    if (column != 3 && column != 4) sum += value;
  return sum;
}

std::string proc_stat() {
  std::ifstream in("/proc/stat");
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

// The variable that decides instead, or null.
const char* deciding_variable() {
  for (const char* name : {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"})
    if (std::getenv(name)) return name;
  return nullptr;
}

}  // namespace

bool read_processor_use(const std::string& stat, ProcessorUse& use) {
  cpu_set_t mine;
  CPU_ZERO(&mine);
  if (::sched_getaffinity(0, sizeof mine, &mine) != 0) return false;
  double ticks = 0;
  int runnable = 0;
  bool any = false;
  std::istringstream lines(stat);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream columns(line);
    std::string name;
    columns >> name;
    if (name == "procs_running") columns >> runnable;
    const int core = core_of(name);
    if (core < 0 || core >= CPU_SETSIZE || !CPU_ISSET(core, &mine)) continue;
    ticks += busy_ticks(columns), any = true;
  }
  use = {.wall = std::chrono::duration<double>(Clock::now().time_since_epoch()).count(),
         .machine = ticks / static_cast<double>(::sysconf(_SC_CLK_TCK)),
         .process = process_cpu_seconds(),
         .runnable = runnable};
  return any;
}

void CoreContention::add(const ProcessorUse& reading) {
  const ProcessorUse before = std::exchange(last_, reading);
  const double seconds = reading.wall - before.wall;
  if (before.wall == 0) busy_ = reading.runnable == 0 || reading.runnable > kOwnThreads;
  if (before.wall == 0 || seconds <= 0) return;
  const double others =
      (reading.machine - before.machine - (reading.process - before.process)) / seconds;
  quiet_intervals_ = others < kQuietCores ? quiet_intervals_ + 1 : 0;
  if (others > kBusyCores) busy_ = true;
  if (quiet_intervals_ >= kQuietIntervals) busy_ = false;
}

#if defined(_OPENMP)

struct SurplusThreads::Impl {
  std::binary_semaphore started{0}, end{0};
  std::thread owner;
};

namespace {

// libgomp ends the program where it cannot start a thread: asked here first. Another program may
// take the last ones meanwhile; the library offers no way to learn of that.
void require_threads(int count) {
  std::latch end(1);
  std::vector<std::thread> threads;
  const auto join = [&] {
    end.count_down();
    for (std::thread& t : threads) t.join();
  };
  try {
    for (int i = 0; i < count; ++i) threads.emplace_back([&] { end.wait(); });
  } catch (...) {
    join();
    throw;
  }
  join();
}

}  // namespace

// The team belongs to a thread of its own and ends with it.
SurplusThreads::SurplusThreads() : impl_(std::make_unique<Impl>()) {
  const int team = omp_get_num_procs() + 1;
  require_threads(team);
  impl_->owner = std::thread([impl = impl_.get(), team] {
    int count = 0;
#pragma omp parallel num_threads(team) reduction(+ : count)
    count += 1;
    impl->started.release();
    impl->end.acquire();
  });
  impl_->started.acquire();
}

SurplusThreads::~SurplusThreads() {
  impl_->end.release();
  impl_->owner.join();
}

#else

struct SurplusThreads::Impl {};
SurplusThreads::SurplusThreads() = default;
SurplusThreads::~SurplusThreads() = default;

#endif

struct AdaptiveWaiting::Impl {
  explicit Impl(std::function<std::string()> text)
      : stat(std::move(text)), watcher([this] { watch(); }) {}
  ~Impl() {
    {
      const std::lock_guard lock(mutex);
      stop = true;
    }
    wake.notify_all();
    watcher.join();
  }
  void watch();
  // False where there is nothing to watch.
  bool look();

  std::function<std::string()> stat;
  CoreContention contention;  // it and `surplus`: the watcher's own
  std::optional<SurplusThreads> surplus;
  std::mutex mutex;
  std::condition_variable wake;
  bool stop = false;
  std::thread watcher;  // the last member: it uses the others
};

bool AdaptiveWaiting::Impl::look() try {
  ProcessorUse use;
  if (!read_processor_use(stat(), use)) return false;
  contention.add(use);
  if (contention.busy() == surplus.has_value()) return true;
  if (contention.busy())
    surplus.emplace();
  else
    surplus.reset();
  return true;
} catch (const std::system_error&) {  // no more threads to be had: they go on spinning
  return true;
} catch (const std::bad_alloc&) {  // for whoever needs the memory more to tell
  return true;
}

void AdaptiveWaiting::Impl::watch() {
  sigset_t all;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_BLOCK, &all, nullptr);  // signals are for the program's own threads
  std::unique_lock lock(mutex);
  while (!stop) {
    lock.unlock();
    const bool more = look();
    lock.lock();
    if (!more) break;
    wake.wait_for(lock, kInterval, [this] { return stop; });
  }
  surplus.reset();  // by the thread that made them
}

AdaptiveWaiting::AdaptiveWaiting() {
  if (deciding_variable() || launch_threads() == 1) return;
  try {
    impl_ = std::make_unique<Impl>(proc_stat);
  } catch (const std::system_error&) {  // no thread to watch with: the library's own way stays
  }
}

AdaptiveWaiting::AdaptiveWaiting(std::function<std::string()> stat)
    : impl_(std::make_unique<Impl>(std::move(stat))) {}

AdaptiveWaiting::~AdaptiveWaiting() = default;

std::string waiting_policy() {
  if (launch_threads() == 1) return "one thread, which waits for no other";
  if (const char* name = deciding_variable())
    return cat("as ", name, "=", std::getenv(name), " asks");
  return "spin while other programs leave the cores alone, else sleep";
}

}  // namespace darknet
