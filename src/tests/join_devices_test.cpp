// How ranks agree on a library that sums over their devices: all use it, or none, and none waits
// for ever.
#include "train/join_devices.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <mutex>
#include <thread>

#include "cli/entry.h"
#include "core/error.h"
#include "core/index.h"
#include "core/log_capture.h"
#include "core/process_end.h"
#include "core/together.h"
#include "thread_ranks.h"

namespace darknet {
namespace {

// What one rank's library does.
struct Behaviour {
  std::string version = "22809", device;
  bool makes_id = true, joins = true, waits = false, built = true, wanted = true;
  double takes = 0;  // seconds, to join or to fail
  std::size_t devices = 2;
};

std::atomic<int> left = 0;  // collectives at the end of what was joined

class NoSums final : public JoinedDevices {
 public:
  void leave() override { ++left; }
  void run(std::span<const Stream>, std::span<float* const>, std::int64_t) override {}
  void run_bf16(std::span<const Stream>, std::span<BF16* const>, std::int64_t) override {}
};

std::atomic<bool> ended = false;  // what waits for ever ends with its test
std::atomic<int> waiting = 0;

class Joiner final : public DeviceJoiner {
 public:
  explicit Joiner(Behaviour b) : b_(std::move(b)) {}
  std::string version() const override { return b_.version; }
  std::string name_of(const Device& d) const override { return cat(b_.device, "/", d.index); }
  std::string make_id() const override {
    if (!b_.makes_id) fail("no network");
    return {"\0an\nid", 6};
  }
  std::unique_ptr<JoinedDevices> join(std::span<const Device> devices, const std::string& id,
                                      std::int64_t first, std::int64_t count,
                                      bool bf16) const override {
    if (!bf16) fail("bf16 is forgotten");
    if (id.size() != 6 || first % 2 != 0 || count != 6 || devices.size() != 2) fail("wrong call");
    std::this_thread::sleep_for(std::chrono::duration<double>(b_.takes));
    if (!b_.joins) fail("no way\nto rank 1");
    if (b_.waits) {
      ++waiting;
      while (!ended) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      --waiting;
    }
    return std::make_unique<NoSums>();
  }

 private:
  Behaviour b_;
};

// How many of three ranks with two devices each have joined, and what was said.
struct Outcome {
  std::int64_t joined = 0, warnings = 0, errors = 0, thrown = 0;
  std::string said;
};

Outcome join(const std::vector<Behaviour>& behaviours, double usual = 60,
             double after_failure = 20) {
  std::vector<std::unique_ptr<Joiner>> joiners;
  ended = false;
  for (const Behaviour& b : behaviours) joiners.push_back(std::make_unique<Joiner>(b));
  Outcome all;
  std::mutex mutex;
  run_ranks(std::ssize(behaviours), [&](Ranks& ranks) {
    const log::Capture::Take take = [&](log::Level level, const std::string& message) {
      const std::lock_guard lock(mutex);
      ++(level == log::Level::error ? all.errors : all.warnings);
      all.said = message;
    };
    const log::Capture capture(take);
    const auto r = to_size(ranks.rank());
    try {
      std::vector<Device> devices{{.index = 0}, {.index = 1}};
      devices.resize(behaviours[r].devices);
      const auto joined =
          join_devices(devices, ranks, behaviours[r].built ? joiners[r].get() : nullptr,
                       {.wanted = behaviours[r].wanted,
                        .bf16 = true,
                        .usual = usual,
                        .after_failure = after_failure});
      const std::lock_guard lock(mutex);
      all.joined += joined != nullptr;
    } catch (const CommonFailure& e) {
      const std::lock_guard lock(mutex);
      ++all.thrown;
      all.said = e.what();
    }
  });
  ended = true;
  while (waiting > 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  return all;
}

std::vector<Behaviour> three() { return {{.device = "a"}, {.device = "b"}, {.device = "c"}}; }

TEST(JoinDevices, JoinsThoseOfAllRanks) {
  const Outcome all = join(three());
  EXPECT_EQ(all.joined, 3);
  EXPECT_EQ(all.warnings, 0) << all.said;
}

// Each with one warning in all.
TEST(JoinDevices, IsForAllRanksOrNone) {
  const auto expect_none = [](std::vector<Behaviour> behaviours, const std::string& said,
                              double after_failure = 20) {
    const Outcome all = join(behaviours, 60, after_failure);
    EXPECT_EQ(all.joined, 0) << said;
    EXPECT_EQ(all.warnings, 1) << said;
    EXPECT_EQ(all.said, said + "; gradients of the ranks go through host memory instead of NCCL");
  };
  std::vector<Behaviour> b = three();
  b[1].built = false;
  expect_none(b, "rank 1 on this host: its program was built without NCCL");
  b = three(), b[2].wanted = false;
  expect_none(b, "rank 2 on this host: DARKNET_NCCL=0");
  b = three(), b[2].version = "21805";
  expect_none(b, "rank 2 on this host has NCCL 21805, rank 0 22809");
  b = three(), b[2].device = "b";
  expect_none(b, "rank 1 on this host and rank 2 on this host use the same GPU");
  b = three(), b[0].makes_id = false;
  expect_none(b, "rank 0: no network");
  b = three(), b[1].joins = false;
  expect_none(b, "rank 1 on this host: no way to rank 1");
  b = three(), b[1].devices = 1;
  expect_none(b, "rank 1 on this host takes 1 GPU, rank 0 2");
  // Those that wait have their time from the failure on.
  b = three(), b[0].joins = false, b[0].takes = 3, b[1].takes = 3.2;
  expect_none(b, "rank 0 on this host: no way to rank 1", 2);
  EXPECT_EQ(left, 0) << "those that have joined wait for those that have not";
}

TEST(JoinDevices, SaysNothingWhereNobodyWantsIt) {
  std::vector<Behaviour> b = three();
  for (Behaviour& one : b) one.wanted = false;
  const Outcome all = join(b);
  EXPECT_EQ(all.joined, 0);
  EXPECT_EQ(all.warnings, 0) << all.said;
}

// Nothing ends such a wait, so that the job ends.
TEST(JoinDevices, EndsWhereARankWaitsForEver) {
  std::vector<Behaviour> b = three();
  b[1].waits = true;
  const auto start = std::chrono::steady_clock::now();
  Outcome all = join(b, 1, .3);
  EXPECT_EQ(all.thrown, 3);
  EXPECT_EQ(all.errors, 1) << "rank 0 says it before anything is destroyed";
  EXPECT_TRUE(ends_without_destructors.exchange(false));
  EXPECT_EQ(all.said.find("NCCL still waits, in rank 1 on this host, for the GPUs of other ranks"),
            0u)
      << all.said;
  b[0].joins = false;
  all = join(b, 1, .3);
  EXPECT_EQ(all.thrown, 3);
  EXPECT_EQ(all.said.find("rank 0 on this host: no way to rank 1; NCCL still waits"), 0u)
      << all.said;
  EXPECT_TRUE(ends_without_destructors.exchange(false));
  EXPECT_EQ(left, 0);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(30));
}

// That thread may use what exit handlers take away.
TEST(JoinDevices, LeaveNoExitHandlersToAThreadThatIsLeft) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto run = [] {
    ends_without_destructors = true;
    std::atexit([] { ::_exit(9); });
    char program[] = "darknet", command[] = "version";
    char* arguments[] = {program, command, nullptr};
    darknet_main(2, arguments);
  };
  EXPECT_EXIT(run(), testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace darknet
