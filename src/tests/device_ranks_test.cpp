// Ranks that train on GPUs of their own, as threads of this process: by NCCL where the build has
// it, else through host memory.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <mutex>

#include "core/log_capture.h"
#include "tests/thread_ranks.h"
#include "tests/training_team.h"
#include "train/device_check.h"

namespace darknet::testing_team {
namespace {

constexpr std::int64_t kSteps = 3, kParts = 4;  // micro-batches of all devices together

struct Learned {
  std::vector<std::vector<float>> parameters;  // of the last device
  std::vector<double> running, losses;
  std::vector<std::string> said;
};

void train(const Team& team, Learned& learned) {
  for (std::int64_t k = 0; k < kSteps; ++k) learned.losses.push_back(team.run(k).loss);
  learned.parameters = team.parameters(team.members.size() - 1);
  learned.running = team.running(team.members.size() - 1);
}

struct Job {
  std::vector<std::vector<Device>> devices;  // of each rank
  bool bf16 = false, in_order = false;
};

// What each rank has in the end.
std::vector<Learned> train(const Job& job) {
  std::vector<Learned> all(job.devices.size());
  run_ranks(std::ssize(job.devices), [&](Ranks& ranks) {
    Learned& mine = all[to_size(ranks.rank())];
    const log::Capture::Take take = [&](log::Level, const std::string& m) {
      mine.said.push_back(m);
    };
    const log::Capture capture(take);
    const auto& devices = job.devices[to_size(ranks.rank())];
    train(Team(cfg_of(kParts / std::ssize(devices)), devices, job.in_order,
               {.ranks = &ranks, .bf16 = job.bf16, .bucket_bytes = kSmallBucket}),
          mine);
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
    }
  }
}

TEST_F(DeviceRanks, InOrderGoThroughHostMemory) {
  for (const auto& devices : {devices_of(2, 1), devices_of(2, 2)}) {
    if (devices.empty()) continue;
    const std::vector<Learned> ranks = train({.devices = devices, .in_order = true});
    expect_as_one(ranks, 2e-5);
    expect_said(ranks, "");
  }
}

TEST_F(DeviceRanks, DoWithoutNcclWhereToldTo) {
  const Environment environment("DARKNET_NCCL", "0");
  for (const auto& devices : {devices_of(2, 1), devices_of(2, 2)}) {
    if (devices.empty()) continue;
    const std::vector<Learned> ranks = train({.devices = devices});
    expect_as_one(ranks, 2e-5);
    expect_said(ranks, "");
  }
}

// Sums of each rank's devices are still NCCL's.
TEST_F(DeviceRanks, OfTheSameDevicesGoThroughHostMemory) {
  if (!has_nccl()) GTEST_SKIP() << "without NCCL nothing is refused";
  const std::vector<Learned> ranks = train({.devices = {{cuda(0), cuda(1)}, {cuda(0), cuda(1)}}});
  expect_as_one(ranks, 2e-5);
  expect_said(ranks, "rank 0 on this host and rank 1 on this host use the same GPU; gradients");
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

}  // namespace
}  // namespace darknet::testing_team
