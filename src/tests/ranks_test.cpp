// The ranks of a job: what the environment says of a launcher, one rank alone, and collectives,
// which run in several processes where mpirun starts this program (CMakeLists.txt).
#include "core/ranks.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <map>
#include <new>
#include <numeric>
#include <optional>
#include <stdexcept>

#include "core/checksum.h"
#include "core/device_failure.h"
#include "core/error.h"
#include "core/half.h"
#include "core/index.h"
#include "core/rng.h"
#include "core/sentence_of.h"
#include "core/together.h"
#include "tests/thread_ranks.h"

namespace darknet {
namespace {

constexpr const char* kTimeout = "OMPI_MCA_odls_base_sigkill_timeout";

// The environment of a process that no launcher started, but for `variables`; put back at its end.
class Environment {
 public:
  explicit Environment(const std::map<std::string, std::string>& variables) {
    for (const char* name : {"OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "PMI_SIZE", "PMI_RANK",
                             "SLURM_STEP_NUM_TASKS", "SLURM_PROCID", "SLURM_NTASKS", kTimeout}) {
      if (const char* const value = std::getenv(name)) before_[name] = value;
      ::unsetenv(name);
    }
    for (const auto& [name, value] : variables) ::setenv(name.c_str(), value.c_str(), 1);
    for (const auto& [name, value] : variables) given_.push_back(name);
  }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;
  ~Environment() {
    for (const std::string& name : given_) ::unsetenv(name.c_str());
    for (const auto& [name, value] : before_) ::setenv(name.c_str(), value.c_str(), 1);
  }

 private:
  std::map<std::string, std::string> before_;
  std::vector<std::string> given_;
};

Launch launch_with(const std::map<std::string, std::string>& variables) {
  const Environment environment(variables);
  return launch_of_environment();
}

TEST(Launches, AreToldByTheEnvironment) {
  EXPECT_EQ(launch_with({}).count, 1);
  const Launch open_mpi =
      launch_with({{"OMPI_COMM_WORLD_SIZE", "4"}, {"OMPI_COMM_WORLD_RANK", "3"}});
  EXPECT_EQ(open_mpi.count, 4);
  EXPECT_EQ(open_mpi.rank, 3);
  EXPECT_EQ(open_mpi.launcher, "mpirun");
  EXPECT_EQ(launch_with({{"PMI_SIZE", "8"}, {"PMI_RANK", "0"}}).count, 8);
  EXPECT_EQ(open_mpi.kill_timeout, 1);
  const Launch slurm = launch_with({{"SLURM_STEP_NUM_TASKS", "2"}, {"SLURM_PROCID", "1"}});
  EXPECT_EQ(slurm.count, 2);
  EXPECT_EQ(slurm.launcher, "srun");
  EXPECT_TRUE(std::isinf(slurm.kill_timeout));
}

TEST(Launches, OfMpirunTellHowLongItWaits) {
  EXPECT_EQ(
      launch_with({{"OMPI_COMM_WORLD_SIZE", "4"}, {"OMPI_COMM_WORLD_RANK", "3"}, {kTimeout, "600"}})
          .kill_timeout,
      600);
}

TEST(Launches, AreNotTakenFromABatchScriptOrNonsense) {
  EXPECT_EQ(launch_with({{"SLURM_NTASKS", "4"}, {"SLURM_PROCID", "0"}}).count, 1);
  EXPECT_EQ(launch_with({{"PMI_SIZE", "two"}, {"PMI_RANK", "0"}}).count, 1);
  EXPECT_EQ(launch_with({{"PMI_SIZE", "2"}, {"PMI_RANK", "2"}}).count, 1);
}

// Too short a time would call a rank lost between two heartbeats. Says so before MPI starts.
TEST(Launches, TooShortATimeoutIsRefused) {
  for (const char* seconds : {"5", "0", "soon"}) {
    const Environment environment({{"OMPI_COMM_WORLD_SIZE", "2"},
                                   {"OMPI_COMM_WORLD_RANK", "0"},
                                   {"DARKNET_RANK_TIMEOUT", seconds}});
    try {
      launched_ranks();
      ADD_FAILURE() << seconds << " was taken";
    } catch (const Error& e) {
      EXPECT_NE(std::string(e.what()).find(cat("DARKNET_RANK_TIMEOUT=", seconds, ": expected")),
                std::string::npos)
          << e.what();
    }
  }
}

TEST(SingleRank, HasWhatItBrings) {
  Ranks& one = single_rank();
  EXPECT_FALSE(one.several());
  std::vector<float> values{1, 2};
  one.sum(values);
  one.begin_sum(values)->wait();
  EXPECT_EQ(values, (std::vector<float>{1, 2}));
  EXPECT_EQ(one.gather("a"), std::vector<std::string>{"a"});
  EXPECT_EQ(one.all_gather("a"), std::vector<std::string>{"a"});
  EXPECT_EQ(one.all_gather_values(7), std::vector<int>{7});
  EXPECT_EQ(one.broadcast_value(7), 7);
  EXPECT_EQ(largest_of_all(one, [] { return std::int64_t{5}; }), 5);
  try {
    together(one, [] { fail("no"); });
    ADD_FAILURE() << "nothing was thrown";
  } catch (const Error& e) {
    EXPECT_FALSE(dynamic_cast<const CommonFailure*>(&e));
  }
}

// What rank 0 of three makes of what rank 1 throws.
template <class Fault>
CommonFailure common_failure(const Fault& fault) {
  std::optional<CommonFailure> failure;
  run_ranks(3, [&](Ranks& ranks) {
    try {
      together(ranks, [&] {
        if (ranks.rank() == 1) throw fault;
      });
    } catch (const CommonFailure& e) {
      if (ranks.is_first()) failure = e;
    }
  });
  return failure.value();
}

// What main() adds for one process.
TEST(Together, AnErrorOfOneKeepsItsRemedy) {
  EXPECT_STREQ(common_failure(DeviceOutOfMemory("the GPU is full")).what(),
               cat("rank 1 on this host: the GPU is full; ", kLessDeviceMemory).c_str());
  EXPECT_STREQ(common_failure(OutOfMemory("the cache")).what(),
               "rank 1 on this host: out of memory for the cache");
  const std::string memory = common_failure(std::bad_alloc()).what();
  EXPECT_TRUE(memory.starts_with("rank 1 on this host: out of memory; a smaller batch")) << memory;
  const std::string length = common_failure(std::length_error("vector")).what();
  EXPECT_TRUE(length.ends_with("please report it with the command that led here")) << length;
  EXPECT_EQ(common_failure(Error("no such flag", 2)).exit_code(), 2);
}

// Its parameters are not to be saved.
TEST(Together, AFailureOfADeviceStaysOne) {
  EXPECT_TRUE(common_failure(DeviceFailure("the GPU fell off the bus")).of_device());
  EXPECT_FALSE(common_failure(Error("no")).of_device());
}

// MPI is left when all tests are done, as in the program.
class LeaveMpi : public testing::Environment {
  void TearDown() override { close_ranks(1, testing::UnitTest::GetInstance()->Failed()); }
};
const auto* const kMpiEnvironment = testing::AddGlobalTestEnvironment(new LeaveMpi);

class UnderMpirun : public testing::Test {
 protected:
  void SetUp() override {
    if (launch_of_environment().count == 1) GTEST_SKIP() << "one process: mpirun starts several";
    ranks_ = &launched_ranks();
  }
  // What rank r brings, of both signs and many sizes, so that the order of a sum shows.
  static std::vector<float> of_rank(std::int64_t r, std::size_t n) {
    Rng rng(static_cast<std::uint64_t>(r), 1);
    std::vector<float> values(n);
    for (float& v : values) v = std::exp(rng.uniform(-9, 9)) * (rng.flip() ? 1.f : -1.f);
    return values;
  }
  std::vector<float> sum_in_order(std::size_t n) const {
    std::vector<float> sum = of_rank(0, n);
    for (std::int64_t r = 1; r < ranks_->count(); ++r)
      for (std::size_t i = 0; const float v : of_rank(r, n)) sum[i++] += v;
    return sum;
  }
  void expect_equal_everywhere(const std::vector<float>& values) const {
    const std::uint64_t mine =
        checksum_of({reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)});
    for (const std::uint64_t other : ranks_->all_gather_values(mine)) EXPECT_EQ(other, mine);
  }
  Ranks* ranks_ = nullptr;
};

TEST_F(UnderMpirun, SumsHaveTheBytesOfALoopOverTheRanks) {
  for (const std::size_t n : {std::size_t{1}, std::size_t{5}, std::size_t{300'001}}) {
    std::vector<float> values = of_rank(ranks_->rank(), n);
    ranks_->sum(values);
    EXPECT_EQ(values, sum_in_order(n)) << n;
    expect_equal_everywhere(values);
  }
}

TEST_F(UnderMpirun, SumsIn16BitsRoundOnTheWireOnly) {
  constexpr std::size_t kCount = 10'001;
  std::vector<float> values = of_rank(ranks_->rank(), kCount);
  ranks_->sum(values, {.bf16 = true});
  const auto rounded = [](float v) { return half_bits::as_float(half_bits::to_bf16(v) << 16u); };
  std::vector<float> expected(kCount);
  for (std::int64_t r = 0; r < ranks_->count(); ++r)
    for (std::size_t i = 0; const float v : of_rank(r, kCount)) {
      expected[i] = r == 0 ? rounded(v) : expected[i] + rounded(v);
      ++i;
    }
  for (float& v : expected) v = rounded(v);
  EXPECT_EQ(values, expected);
  expect_equal_everywhere(values);
}

TEST_F(UnderMpirun, SumsThatWereBegunAreFormedOneAfterTheOther) {
  std::vector<std::vector<float>> all;
  for (std::size_t k = 0; k < 9; ++k) all.push_back(of_rank(ranks_->rank(), 20'000 + k));
  std::vector<std::unique_ptr<PendingSum>> sums;
  for (auto& values : all) sums.push_back(ranks_->begin_sum(values));
  for (const auto& sum : sums) sum->wait();
  for (std::size_t k = 0; k < all.size(); ++k) EXPECT_EQ(all[k], sum_in_order(20'000 + k));
}

TEST_F(UnderMpirun, DoublesAndIntegersAreSummed) {
  const auto rank = static_cast<double>(ranks_->rank());
  std::vector<double> doubles{.1 * (rank + 1), 1e17, rank == 0 ? -1e17 : 1};
  ranks_->sum(doubles);
  double first = .1;
  for (std::int64_t r = 1; r < ranks_->count(); ++r) first += .1 * static_cast<double>(r + 1);
  EXPECT_EQ(doubles[0], first);
  EXPECT_EQ(doubles[1], 1e17 * static_cast<double>(ranks_->count()));
  std::int64_t big = (std::int64_t{1} << 53) + ranks_->rank();
  ranks_->sum(std::span(&big, 1));
  EXPECT_EQ(
      big, (std::int64_t{1} << 53) * ranks_->count() + ranks_->count() * (ranks_->count() - 1) / 2);
}

TEST_F(UnderMpirun, BytesOfAnyLengthArrive) {
  const auto text_of = [](std::int64_t r) {
    return std::string(r == 1 ? 0 : to_size(r * 100'000 + 1), static_cast<char>('a' + r));
  };
  const std::vector<std::string> gathered = ranks_->gather(text_of(ranks_->rank()));
  const std::vector<std::string> all = ranks_->all_gather(text_of(ranks_->rank()));
  ASSERT_EQ(std::ssize(all), ranks_->count());
  for (std::int64_t r = 0; r < ranks_->count(); ++r) EXPECT_TRUE(all[to_size(r)] == text_of(r));
  EXPECT_TRUE(gathered == (ranks_->is_first() ? all : std::vector<std::string>{}));
  EXPECT_EQ(ranks_->broadcast(cat("from ", ranks_->rank())), "from 0");
  std::vector<float> values = of_rank(ranks_->rank(), 1000);
  ranks_->broadcast(values);
  EXPECT_EQ(values, of_rank(0, 1000));
  EXPECT_EQ(ranks_->broadcast_value(ranks_->rank()), 0);
  ranks_->barrier();
}

TEST_F(UnderMpirun, WhatFailsInOneFailsInAll) {
  EXPECT_EQ(largest_of_all(*ranks_, [&] { return ranks_->rank(); }), ranks_->count() - 1);
  try {
    together(*ranks_, [&] {
      if (ranks_->rank() == 1) throw Error("no such file", 3);
    });
    ADD_FAILURE() << "nothing was thrown";
  } catch (const CommonFailure& e) {
    EXPECT_NE(std::string(e.what()).find("rank 1 on "), std::string::npos) << e.what();
    EXPECT_NE(std::string(e.what()).find(": no such file"), std::string::npos) << e.what();
    EXPECT_EQ(e.exit_code(), 3);
  }
}

}  // namespace
}  // namespace darknet
