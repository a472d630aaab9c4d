// Threads that wait spin on a quiet machine and sleep next to other programs.
#include "core/waiting.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <new>
#include <optional>
#include <string>
#include <thread>

#include "core/error.h"
#include "core/threads.h"
#include "tests/paths.h"

#if defined(_OPENMP)
#include <omp.h>
#endif

namespace darknet::test {
namespace {

// A line of /proc/stat: user, nice, system, idle, iowait, irq, softirq, steal, guest ticks.
std::string stat_line(const std::string& name, const std::string& columns) {
  return name + " " + columns + "\n";
}

int first_core() {
  cpu_set_t mine;
  CPU_ZERO(&mine);
  ::sched_getaffinity(0, sizeof mine, &mine);
  int core = 0;
  while (!CPU_ISSET(core, &mine)) ++core;
  return core;
}

TEST(Waiting, CountsTheTicksOfItsOwnCores) {
  ProcessorUse use;
  const std::string core = cat("cpu", first_core());
  EXPECT_FALSE(read_processor_use("", use));
  EXPECT_FALSE(read_processor_use(stat_line("cpu", "9 9 9 9 9 9 9 9 9") + "intr 5 5\n", use));
  EXPECT_FALSE(read_processor_use(stat_line("cpu100000", "9 9 9 9 9 9 9 9 9"), use));
  const std::string text = stat_line("cpu", "9 9 9 9 9 9 9 9 9") +
                           stat_line(core, "100 20 30 7000 8000 4 5 60 90000 90000") +
                           "ctxt 1\nprocs_running 3\nprocs_blocked 7\n";
  ASSERT_TRUE(read_processor_use(text, use));
  EXPECT_DOUBLE_EQ(use.machine,
                   (100 + 20 + 30 + 4 + 5 + 60) / static_cast<double>(::sysconf(_SC_CLK_TCK)));
  EXPECT_GT(use.wall, 0);
  EXPECT_GT(use.process, 0);
  EXPECT_EQ(use.runnable, 3);
}

class Contention : public testing::Test {
 protected:
  // A second in which this process and others used so many cores.
  bool after(double own, double others) {
    use_.wall += 1, use_.process += own, use_.machine += own + others;
    contention_.add(use_);
    return contention_.busy();
  }
  Contention() {
    use_.wall = 10;
    contention_.add(use_);
  }
  ProcessorUse use_;
  CoreContention contention_;
};

TEST(Waiting, BeginsByTheRunnableThreads) {
  const auto busy_at_first = [](int runnable) {
    CoreContention contention;
    contention.add({.wall = 10, .runnable = runnable});
    return contention.busy();
  };
  EXPECT_FALSE(busy_at_first(1));
  EXPECT_FALSE(busy_at_first(2)) << "the program's first thread and the watcher";
  EXPECT_TRUE(busy_at_first(3));
  EXPECT_TRUE(busy_at_first(0)) << "unknown";
}

TEST_F(Contention, IsAssumedUntilAnIntervalIsQuiet) {
  EXPECT_TRUE(contention_.busy());
  EXPECT_FALSE(after(2, 0));
}
TEST_F(Contention, ComesWithOthersAndNotWithItsOwnWork) {
  EXPECT_FALSE(after(0, 0));
  EXPECT_FALSE(after(2, .1));
  EXPECT_FALSE(after(2, .2));
  EXPECT_TRUE(after(1, 1));
}
TEST_F(Contention, EndsAfterTwoQuietIntervals) {
  EXPECT_TRUE(after(1, 1));
  EXPECT_TRUE(after(2, .2));  // neither busy nor quiet
  EXPECT_TRUE(after(2, 0));
  EXPECT_TRUE(after(1, 1));
  EXPECT_TRUE(after(2, 0));
  EXPECT_FALSE(after(2, 0));
}

// The watcher's thread would end the program.
TEST(Waiting, MemoryThatRunsOutWhileItWatchesIsNoEnd) {
  std::atomic<int> asked = 0;
  const AdaptiveWaiting waiting([&]() -> std::string {
    ++asked;
    throw std::bad_alloc();
  });
  for (int i = 0; i < 1000 && asked < 2; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_GE(asked, 2) << "it goes on watching";
}

std::string output_of(const std::string& command) {
  std::string out;
  FILE* const pipe = ::popen(command.c_str(), "r");
  for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe)) out += static_cast<char>(c);
  ::pclose(pipe);
  return out;
}

#if defined(_OPENMP)

// Processor time that teams burn whose threads wait for three milliseconds, thirty times.
double waiting_cpu_seconds() {
  const double before = process_cpu_seconds();
  for (int i = 0; i < 30; ++i) {
    int count = 0;
#pragma omp parallel num_threads(2) reduction(+ : count)
    count += 1;
    std::this_thread::sleep_for(std::chrono::milliseconds(3 * count / 2));
  }
  return process_cpu_seconds() - before;
}

// In a process whose environment leaves the waiting to the library: below.
TEST(Waiting, DISABLED_Burns) {
  const double spinning = waiting_cpu_seconds();
  std::optional<SurplusThreads> surplus(std::in_place);
  const double sleeping = waiting_cpu_seconds();
  surplus.reset();
  const double again = waiting_cpu_seconds();
  std::printf("burns %s\n", spinning > 3 * sleeping && again > 3 * sleeping ? "less" : "as much");
  std::printf("spinning %f sleeping %f again %f\n", spinning, sleeping, again);
}

TEST(Waiting, SurplusThreadsLetTheOthersSleep) {
  if (omp_get_num_procs() < 2) GTEST_SKIP() << "one core: threads always sleep";
  const std::string out =
      output_of("env -u OMP_WAIT_POLICY -u GOMP_SPINCOUNT -u OMP_NUM_THREADS /proc/" +
                std::to_string(::getpid()) +
                "/exe --gtest_also_run_disabled_tests --gtest_filter=Waiting.DISABLED_Burns");
  EXPECT_NE(out.find("burns less"), out.npos) << out;
}

TEST(Waiting, VersionSaysWhoDecides) {
  const std::string version = program().string() + " version";
  const auto waiting = [&](const std::string& environment) {
    const std::string out =
        output_of("env -u OMP_WAIT_POLICY -u GOMP_SPINCOUNT " + environment + " " + version);
    const auto at = out.find("waiting threads: ");
    return at == out.npos ? out : out.substr(at, out.find('\n', at) - at);
  };
  EXPECT_EQ(waiting("OMP_NUM_THREADS=2"),
            "waiting threads: spin while other programs leave the cores alone, else sleep");
  EXPECT_EQ(waiting("OMP_NUM_THREADS=2 OMP_WAIT_POLICY=passive"),
            "waiting threads: as OMP_WAIT_POLICY=passive asks");
  EXPECT_EQ(waiting("OMP_NUM_THREADS=2 GOMP_SPINCOUNT=7"),
            "waiting threads: as GOMP_SPINCOUNT=7 asks");
  EXPECT_EQ(waiting("OMP_NUM_THREADS=1"), "waiting threads: one thread, which waits for no other");
}

#endif

}  // namespace
}  // namespace darknet::test
