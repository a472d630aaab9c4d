// Ranks that train on GPUs of their own, as threads of this process: by NCCL where the build has
// it, else through host memory.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <mutex>

#include "core/device_failure.h"
#include "core/joined_devices.h"
#include "core/log_capture.h"
#include "tests/thread_ranks.h"
#include "tests/training_team.h"
#include "train/device_check.h"
#include "train/pace.h"

namespace darknet::testing_team {
namespace {

constexpr std::int64_t kSteps = 3, kParts = 4;  // micro-batches of all devices together

struct Learned {
  std::vector<std::vector<float>> parameters;
  std::vector<double> running, losses;
  std::vector<std::string> said;
  bool library = false, library_over_ranks = false;  // what sums
};

// Another size for the second step. All devices of a rank learn the same.
void train(const Team& team, Learned& learned) {
  for (std::int64_t k = 0; k < kSteps; ++k) {
    team.resize(k == 1 ? 32 : 64);
    learned.losses.push_back(team.run(k).loss);
  }
  learned.parameters = team.parameters();
  learned.running = team.running();
  for (std::size_t m = 1; m < team.members.size(); ++m) {
    EXPECT_EQ(team.parameters(m), learned.parameters);
    EXPECT_EQ(team.running(m), learned.running);
  }
  if (const AllReduce* const sums = team.step->all_reduce()) {
    learned.library = sums->sums_own();
    learned.library_over_ranks = learned.library && sums->sums_all();
  }
  team.step->leave_ranks();
}

struct Job {
  std::vector<std::vector<Device>> devices;  // of each rank
  bool bf16 = false, in_order = false;
};

Team team_of(const Job& job, Ranks& ranks) {
  const auto& devices = job.devices[to_size(ranks.rank())];
  return {cfg_of(kParts / std::ssize(devices)),
          devices,
          job.in_order,
          {.ranks = &ranks, .bf16 = job.bf16, .bucket_bytes = kSmallBucket}};
}

// What each rank has in the end.
std::vector<Learned> train(const Job& job) {
  std::vector<Learned> all(job.devices.size());
  run_ranks(std::ssize(job.devices), [&](Ranks& ranks) {
    Learned& mine = all[to_size(ranks.rank())];
    const log::Capture::Take take = [&](log::Level, const std::string& m) {
      mine.said.push_back(m);
    };
    const log::Capture capture(take);
    train(team_of(job, ranks), mine);
  });
  return all;
}

double apart(const Learned& a, const Learned& b) {
  double largest = 0;
  for (std::size_t i = 0; i < a.parameters.size(); ++i)
    largest = std::max(largest, difference(a.parameters[i], b.parameters[i]).relative);
  return largest;
}

// So many ranks with as many devices each; none where there are not enough.
std::vector<std::vector<Device>> devices_of(int ranks, int each) {
  std::vector<std::vector<Device>> all;
  if (device_count(DeviceType::cuda) < ranks * each) return all;
  for (int r = 0; r < ranks; ++r) {
    all.emplace_back();
    for (int d = 0; d < each; ++d) all.back().push_back(cuda(r * each + d));
  }
  return all;
}

bool emulated() {
  const char* const preloaded = std::getenv("LD_PRELOAD");
  return preloaded && std::string(preloaded).find("emulated_gpu") != std::string::npos;
}

bool has_nccl() { return device_joiner(DeviceType::cuda) != nullptr; }

// Sets an environment variable while it lives.
class Environment {
 public:
  Environment(const char* name, const char* value) : name_(name) { setenv(name, value, 1); }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;
  ~Environment() { unsetenv(name_); }

 private:
  const char* name_;
};

class DeviceRanks : public testing::Test {
 protected:
  void SetUp() override {
    if (device_count(DeviceType::cuda) < 2) GTEST_SKIP() << "fewer than two devices";
    train(Team(kParts, {cuda(0)}), one_);
  }
  // Everything is that of one device with as many micro-batches, and the same in all ranks.
  void expect_as_one(const std::vector<Learned>& ranks, double tolerance) const {
    for (const Learned& rank : ranks) {
      EXPECT_LE(apart(one_, rank), tolerance);
      EXPECT_EQ(rank.parameters, ranks[0].parameters);
      EXPECT_EQ(rank.running, ranks[0].running);
      ASSERT_EQ(rank.running.size(), one_.running.size());
      for (std::size_t i = 0; i < one_.running.size(); ++i)
        EXPECT_NEAR(rank.running[i], one_.running[i],
                    50 * tolerance * std::fabs(one_.running[i]) + 1e-12);
      for (std::size_t k = 0; k < one_.losses.size(); ++k)
        EXPECT_NEAR(rank.losses[k], one_.losses[k], tolerance * one_.losses[k]);
    }
  }
  // `warning`: what rank 0 says, "" for nothing.
  static void expect_said(const std::vector<Learned>& ranks, const std::string& warning) {
    for (const Learned& rank : ranks) {
      const bool speaks = &rank == &ranks[0] && !warning.empty();
      ASSERT_EQ(rank.said.size(), speaks ? 1u : 0u) << rank.said.back();
      if (speaks) {
        EXPECT_EQ(rank.said[0].find(warning), 0u) << rank.said[0];
      }
    }
  }
  static void expect_sums(const std::vector<Learned>& ranks, bool library, bool over_ranks) {
    for (const Learned& rank : ranks) {
      EXPECT_EQ(rank.library, library);
      EXPECT_EQ(rank.library_over_ranks, over_ranks);
    }
  }
  Learned one_;
};

TEST_F(DeviceRanks, TrainAsOneDevice) {
  const char* const missing = "rank 0 on this host: its program was built without NCCL; gradients";
  for (const char* const overlap : {"1", "0"}) {
    const Environment environment("DARKNET_OVERLAP", overlap);
    for (const auto& devices : {devices_of(2, 1), devices_of(2, 2), devices_of(4, 1)}) {
      if (devices.empty()) continue;
      SCOPED_TRACE(cat(devices.size(), " x ", devices[0].size(), ", overlap ", overlap));
      const std::vector<Learned> ranks = train({.devices = devices});
      expect_as_one(ranks, 2e-5);
      expect_said(ranks, has_nccl() ? "" : missing);
      expect_sums(ranks, has_nccl(), has_nccl());
    }
  }
}

TEST_F(DeviceRanks, InOrderGoThroughHostMemory) {
  for (const auto& devices : {devices_of(2, 1), devices_of(2, 2)}) {
    if (devices.empty()) continue;
    const Job job{.devices = devices, .in_order = true};
    const std::vector<Learned> ranks = train(job);
    expect_as_one(ranks, 2e-5);
    expect_said(ranks, "");
    expect_sums(ranks, false, false);
    const std::vector<Learned> again = train(job);
    EXPECT_EQ(again[0].parameters, ranks[0].parameters);
    EXPECT_EQ(again[0].losses, ranks[0].losses);
  }
}

TEST_F(DeviceRanks, DoWithoutNcclWhereToldTo) {
  const Environment environment("DARKNET_NCCL", "0");
  for (const auto& devices : {devices_of(2, 1), devices_of(2, 2)}) {
    if (devices.empty()) continue;
    const std::vector<Learned> ranks = train({.devices = devices});
    expect_as_one(ranks, 2e-5);
    expect_said(ranks, "");
    expect_sums(ranks, false, false);
  }
}

// Sums of each rank's devices are still NCCL's.
TEST_F(DeviceRanks, OfTheSameDevicesGoThroughHostMemory) {
  if (!has_nccl()) GTEST_SKIP() << "without NCCL nothing is refused";
  const std::vector<Learned> ranks = train({.devices = {{cuda(0), cuda(1)}, {cuda(0), cuda(1)}}});
  expect_as_one(ranks, 2e-5);
  expect_said(ranks, "rank 0 on this host and rank 1 on this host use the same GPU; gradients");
  expect_sums(ranks, true, false);
}

TEST_F(DeviceRanks, LearnAlmostTheSameIn16Bits) {
  if (!has_nccl()) GTEST_SKIP() << "without NCCL these ranks have no sums in 16 bits";
  for (const auto& devices : {devices_of(2, 1), devices_of(2, 2)}) {
    if (devices.empty()) continue;
    const std::vector<Learned> ranks = train({.devices = devices, .bf16 = true});
    EXPECT_GT(apart(one_, ranks[0]), 1e-4);
    EXPECT_LT(apart(one_, ranks[0]), .06);
    EXPECT_EQ(ranks[0].parameters, ranks[1].parameters);
    expect_said(ranks, "");
  }
}

// The other learns of it from MPI, not from its GPU: neither waits for the other's.
TEST_F(DeviceRanks, ThatFailAloneBetweenStepsEndWithTheirMessage) {
  try {
    run_ranks(2, [](Ranks& ranks) {
      const Team team = team_of({.devices = devices_of(2, 1)}, ranks);
      team.run(0);
      if (ranks.rank() == 1) fail("the disk is full");
      ranks.barrier();
    });
    FAIL() << "ended as if nothing had happened";
  } catch (const Error& e) {
    EXPECT_STREQ(e.what(), "the disk is full");
  }
}

// As -hours does, whichever way they sum.
TEST_F(DeviceRanks, MeasureTheirPace) {
  for (const bool in_order : {false, true})
    run_ranks(2, [&](Ranks& ranks) {
      EXPECT_GT(seconds_per_iteration({.cfg = "net.cfg",
                                       .sections = cfg_of(kParts),
                                       .device = cuda(static_cast<int>(ranks.rank())),
                                       .ranks = {.ranks = &ranks},
                                       .deterministic = in_order},
                                      0),
                0);
    });
}

class Failing final : public LayerObserver {
 public:
  void before(std::int64_t, bool) override { fail("the layer failed"); }
  void after(std::int64_t, bool) override {}
};

// Not in a backward pass, and after the first network has begun its own.
TEST_F(DeviceRanks, ThatFailInAStepEndTheJobAndSayWhy) {
  const auto devices = devices_of(2, 2);
  if (devices.empty() || !has_nccl()) GTEST_SKIP() << "without NCCL over four devices";
  run_ranks(2, [&](Ranks& ranks) {
    std::vector<std::string> said;
    const log::Capture::Take take = [&](log::Level, const std::string& m) { said.push_back(m); };
    const log::Capture capture(take);
    Failing failing;
    {
      const Team team = team_of({.devices = devices}, ranks);
      team.run(0);
      team.members[1]->net.observe(&failing);
      EXPECT_THROW(team.begin(1), Error);
      team.members[1]->net.observe(nullptr);
    }
    ASSERT_EQ(said.size(), 1u) << said.back();
    EXPECT_EQ(said[0].find("the layer failed; the job ends, since"), 0u) << said[0];
  });
}

// `work` runs in a process of its own, whose devices refuse that.
void expect_exit_without(const char* refused, int code, const char* text,
                         const std::function<void()>& work) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const Environment environment("EMULATED_GPU_REFUSE", refused);
  EXPECT_EXIT(work(), testing::ExitedWithCode(code), text);
}

TEST_F(DeviceRanks, WhoseNetworkDoesNotWorkGoThroughHostMemory) {
  if (!emulated() || !has_nccl()) GTEST_SKIP() << "a real network does not break on request";
  expect_exit_without("all-reduce", 0, "", [this] {
    const std::vector<Learned> ranks = train({.devices = devices_of(2, 1)});
    expect_as_one(ranks, 2e-5);
    expect_sums(ranks, false, false);
    EXPECT_NE(ranks[0].said.at(0).find("on this host: an all-reduce of NCCL: "), std::string::npos);
    EXPECT_TRUE(ranks[1].said.empty());
    _exit(HasFailure());
  });
}

// Where it breaks later the message comes first, and nothing waits for what the sums never end.
TEST_F(DeviceRanks, WhoseNetworkBreaksEndWithItsMessage) {
  if (!emulated() || !has_nccl()) GTEST_SKIP() << "a real network does not break on request";
  expect_exit_without("later-all-reduce", 7, "an all-reduce of NCCL: an error", [] {
    run_ranks(2, [](Ranks& ranks) {
      const Team team = team_of({.devices = devices_of(2, 1)}, ranks);
      try {
        for (std::int64_t k = 0; k < kSteps; ++k) team.run(k);
      } catch (const DeviceFailure& e) {
        std::fprintf(stderr, "%s\n", e.what());
        _exit(7);
      }
    });
  });
}

}  // namespace
}  // namespace darknet::testing_team
