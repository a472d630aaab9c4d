// NCCL: the devices of one thread, and ranks in threads of their own.
#if __has_include(<nccl.h>)
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>
#include <nccl.h>

#include <array>
#include <chrono>
#include <functional>
#include <thread>
#include <utility>
#include <vector>

#include "tests/emulator/gpu.h"
#include "tests/emulator/half.h"
#include "tests/emulator/runtime_fixture.h"

namespace emulator {
namespace {

ncclUniqueId make_id() {
  ncclUniqueId id;
  EXPECT_EQ(ncclGetUniqueId(&id), ncclSuccess);
  return id;
}

class Nccl : public Runtime {
 protected:
  static constexpr std::size_t kCount = 3;
  void SetUp() override {
    Runtime::SetUp();
    ASSERT_EQ(join_two(), ncclSuccess);
    streams_[0] = a_, from_[0] = filled(std::vector<float>{1, 2, 3});
    to_[0] = on_device<float>(kCount);
    cudaSetDevice(1);
    streams_[1] = stream();
    from_[1] = on_device<float>(kCount), to_[1] = on_device<float>(kCount);
    const std::vector<float> values{10, 20, 30};
    EXPECT_EQ(to_device(from_[1], values.data(), kCount, streams_[1]), cudaSuccess);
    cudaSetDevice(0);
  }
  void TearDown() override {
    EXPECT_EQ(cudaStreamSynchronize(streams_[0]), cudaSuccess);
    EXPECT_EQ(cudaStreamSynchronize(streams_[1]), cudaSuccess);
    EXPECT_EQ(ncclGroupStart(), ncclSuccess);
    for (const ncclComm_t c : communicators_) EXPECT_EQ(ncclCommFinalize(c), ncclSuccess);
    EXPECT_EQ(ncclGroupEnd(), ncclSuccess);
    EXPECT_EQ(ncclGroupStart(), ncclSuccess);
    for (const ncclComm_t c : communicators_) EXPECT_EQ(ncclCommDestroy(c), ncclSuccess);
    EXPECT_EQ(ncclGroupEnd(), ncclSuccess);
    Runtime::TearDown();
  }
  ncclResult_t join_two() {
    const ncclUniqueId id = make_id();
    EXPECT_EQ(ncclGroupStart(), ncclSuccess);
    for (const int device : {0, 1}) {
      cudaSetDevice(device);
      EXPECT_EQ(ncclCommInitRank(&communicators_[device], 2, id, device), ncclSuccess);
    }
    cudaSetDevice(0);
    return ncclGroupEnd();
  }
  ncclResult_t add(int device, const void* from, void* to, std::size_t count = kCount,
                   ncclDataType_t type = ncclFloat, ncclRedOp_t operation = ncclSum) {
    return ncclAllReduce(from, to, count, type, operation, communicators_[device],
                         streams_[device]);
  }
  ncclResult_t add(int device) { return add(device, from_[device], to_[device]); }

  ncclComm_t communicators_[2] = {};
  cudaStream_t streams_[2] = {};
  float *from_[2] = {}, *to_[2] = {};
};

// Each device sees the sum, whichever the host waits for; work before and after it is ordered.
TEST_F(Nccl, SumsOverTheDevices) {
  for (const int waits : {0, 1}) {
    float* const host = locked(kCount, -1.f);
    EXPECT_EQ(ncclGroupStart(), ncclSuccess);
    for (const int device : {0, 1}) EXPECT_EQ(add(device), ncclSuccess);
    EXPECT_EQ(ncclGroupEnd(), ncclSuccess);
    cudaSetDevice(waits);
    EXPECT_EQ(to_host(host, to_[waits], kCount, streams_[waits]), cudaSuccess);
    EXPECT_EQ(host[0], -1);
    EXPECT_EQ(cudaStreamSynchronize(streams_[waits]), cudaSuccess);
    EXPECT_EQ(std::vector(host, host + kCount), (std::vector<float>{11, 22, 33}));
    cudaSetDevice(0);
  }
}

TEST_F(Nccl, CallsThatDoNotFitAreRefused) {
  EXPECT_EQ(add(0), ncclInvalidUsage);  // outside of a group
  void* pool = nullptr;
  EXPECT_EQ(cudaMallocAsync(&pool, 4 * kCount, a_), cudaSuccess);
  EXPECT_EQ(ncclGroupStart(), ncclSuccess);
  EXPECT_EQ(add(0, pool, to_[0]), ncclInvalidArgument);
  EXPECT_EQ(add(0, from_[0], pool), ncclInvalidArgument);
  EXPECT_EQ(add(0, from_[0], to_[0], kCount, ncclDouble), ncclInvalidArgument);
  EXPECT_EQ(add(0, from_[0], to_[0], kCount, ncclFloat, ncclMax), ncclInvalidArgument);
  EXPECT_EQ(ncclGroupEnd(), ncclSuccess);
  EXPECT_EQ(cudaFreeAsync(pool, a_), cudaSuccess);
}

TEST_F(Nccl, CommunicatorsOfOneThreadEndTogether) {
  EXPECT_EQ(ncclGroupStart(), ncclSuccess);
  EXPECT_EQ(ncclCommDestroy(communicators_[0]), ncclInvalidUsage);  // before it is finalized
  EXPECT_EQ(ncclGroupEnd(), ncclSuccess);
  EXPECT_DEATH(ncclCommDestroy(communicators_[0]), "without the others");
  EXPECT_DEATH(ncclCommAbort(communicators_[0]), "without the others");
  EXPECT_DEATH(ncclCommFinalize(communicators_[0]), "without the others");
  EXPECT_DEATH(
      {
        Gpus::instance().set_stuck(0, true);
        ncclGroupStart();
        for (const ncclComm_t c : communicators_) ncclCommFinalize(c);
        ncclGroupEnd();
      },
      "in place of aborted");
}

// Nothing ends before it is aborted.
TEST_F(Nccl, WhatIsWaitedForAfterAnErrorHasToBeAborted) {
  ncclResult_t error = ncclSuccess;
  EXPECT_EQ(cudaMemsetAsync(to_[0], 0, 4, streams_[0]), cudaSuccess);
  Gpus::instance().set_stuck(0, true);
  EXPECT_DEATH(cudaStreamSynchronize(streams_[0]), "the host waits for ever: an all-reduce failed");
  EXPECT_DEATH(cudaFree(to_[0]), "the host waits for ever: an all-reduce failed");
  EXPECT_EQ(ncclCommGetAsyncError(communicators_[0], &error), ncclSuccess);
  EXPECT_EQ(error, ncclSuccess);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(cudaStreamQuery(streams_[0]), cudaErrorNotReady);
  EXPECT_EQ(cudaGetLastError(), cudaErrorNotReady);
  EXPECT_EQ(ncclGroupStart(), ncclSuccess);
  for (const ncclComm_t c : communicators_) EXPECT_EQ(ncclCommAbort(c), ncclSuccess);
  EXPECT_EQ(ncclGroupEnd(), ncclSuccess);
  EXPECT_EQ(cudaStreamSynchronize(streams_[0]), cudaSuccess);
  EXPECT_EQ(join_two(), ncclSuccess);
}

TEST_F(Nccl, AGroupIsOfAllDevices) {
  const auto group = [&](auto calls) {
    EXPECT_EQ(ncclGroupStart(), ncclSuccess);
    calls();
    return ncclGroupEnd();
  };
  EXPECT_NE(group([&] { add(0); }), ncclSuccess);
  EXPECT_NE(group([&] { add(0), add(1, from_[1], to_[1], kCount - 1); }), ncclSuccess);
  std::swap(streams_[0], streams_[1]);
  EXPECT_NE(group([&] { add(0), add(1); }), ncclSuccess);
  std::swap(streams_[0], streams_[1]);
  EXPECT_NE(group([&] { add(0), add(0); }), ncclSuccess);  // one of them twice
  EXPECT_EQ(group([] {}), ncclSuccess);
  EXPECT_EQ(group([&] { add(0), add(1); }), ncclSuccess);
  EXPECT_EQ(group([&] {  // one within another
              EXPECT_EQ(group([&] { add(0), add(1); }), ncclSuccess);
            }),
            ncclSuccess);
}

TEST_F(Nccl, BuffersLieInMemoryOfTheirDevice) {
  const std::vector<std::function<ncclResult_t()>> calls{
      [&] { return add(0, from_[1], to_[0]); }, [&] { return add(0, nullptr, to_[0]); },
      [&] { return add(0, from_[0], nullptr); }, [&] { return add(0, from_[0] + 1, to_[0]); }};
  for (const auto& call : calls)
    expect_in_child([&] {
      EXPECT_EQ(ncclGroupStart(), ncclSuccess);
      EXPECT_EQ(call(), ncclSuccess);
      EXPECT_EQ(add(1), ncclSuccess);
      EXPECT_EQ(ncclGroupEnd(), ncclSuccess);
      EXPECT_EQ(cudaStreamSynchronize(a_), cudaErrorIllegalAddress);
    });
}

// A rank of each device, in a thread of its own.
class NcclRanks : public Runtime {
 protected:
  struct Rank {
    int device;
    ncclResult_t joined = ncclSuccess;
    ncclComm_t communicator = nullptr;
    cudaStream_t stream = nullptr;
    void* data = nullptr;
  };
  // `work` runs in the threads of those that have joined.
  static std::array<Rank, 2> ranks(const std::function<void(Rank&, int rank)>& work,
                                   std::array<int, 2> devices = {0, 1},
                                   std::array<int, 2> numbers = {0, 1}, int count = 2) {
    const ncclUniqueId id = make_id();
    std::array<Rank, 2> all{{{devices[0]}, {devices[1]}}};
    std::vector<std::jthread> threads;
    for (int r = 0; r < 2; ++r)
      threads.emplace_back([&, r] {
        Rank& rank = all[r];
        cudaSetDevice(rank.device);
        rank.joined = ncclCommInitRank(&rank.communicator, r == 0 ? 2 : count, id, numbers[r]);
        if (rank.joined != ncclSuccess) return;
        EXPECT_EQ(cudaStreamCreate(&rank.stream), cudaSuccess);
        EXPECT_EQ(cudaMalloc(&rank.data, kBytes), cudaSuccess);
        work(rank, r);
        EXPECT_EQ(ncclCommFinalize(rank.communicator), ncclSuccess);
        EXPECT_EQ(ncclCommDestroy(rank.communicator), ncclSuccess);
        EXPECT_EQ(cudaStreamDestroy(rank.stream), cudaSuccess);
        EXPECT_EQ(cudaFree(rank.data), cudaSuccess);
      });
    return threads.clear(), all;
  }
  static ncclResult_t add(const Rank& r, std::size_t count = 3, ncclDataType_t type = ncclFloat) {
    return ncclAllReduce(r.data, r.data, count, type, ncclSum, r.communicator, r.stream);
  }
  static constexpr std::size_t kBytes = 12;
};

// However often, and whoever asks first; the host may look at its stream or wait for it.
TEST_F(NcclRanks, SumTogether) {
  ranks([&](Rank& r, int rank) {
    for (int k = 0; k < 20; ++k) {
      std::vector<float> mine(3, static_cast<float>((rank + 1) * (k + 1))), got(3);
      EXPECT_EQ(cudaMemcpyAsync(r.data, mine.data(), kBytes, cudaMemcpyHostToDevice, r.stream),
                cudaSuccess);
      EXPECT_EQ(add(r), ncclSuccess);
      if (k % 2 == rank)
        while (cudaStreamQuery(r.stream) == cudaErrorNotReady) cudaGetLastError();
      EXPECT_EQ(cudaMemcpyAsync(got.data(), r.data, kBytes, cudaMemcpyDeviceToHost, r.stream),
                cudaSuccess);
      EXPECT_EQ(got, std::vector<float>(3, static_cast<float>(3 * (k + 1))));
    }
  });
}

// 256 + 1 is no bf16 number.
TEST_F(NcclRanks, SumIn16Bits) {
  ranks([&](Rank& r, int rank) {
    std::vector<std::uint16_t> mine(6, to_bfloat(rank == 0 ? 256 : 1)), got(6);
    mine[0] = to_bfloat(2);
    EXPECT_EQ(cudaMemcpyAsync(r.data, mine.data(), kBytes, cudaMemcpyHostToDevice, r.stream),
              cudaSuccess);
    EXPECT_EQ(add(r, 6, ncclBfloat16), ncclSuccess);
    EXPECT_EQ(cudaMemcpyAsync(got.data(), r.data, kBytes, cudaMemcpyDeviceToHost, r.stream),
              cudaSuccess);
    EXPECT_EQ(from_bfloat(got[0]), 4);
    EXPECT_EQ(from_bfloat(got[1]), 256);
  });
}

TEST_F(NcclRanks, ThatDoNotFitAreRefusedEverywhere) {
  const auto refused = [](const std::array<Rank, 2>& all, ncclResult_t why) {
    for (const Rank& r : all) EXPECT_EQ(r.joined, why);
  };
  const auto nothing = [](Rank&, int) { ADD_FAILURE() << "joined"; };
  refused(ranks(nothing, {1, 1}), ncclInvalidUsage);             // one GPU twice
  refused(ranks(nothing, {0, 1}, {1, 1}), ncclInvalidUsage);     // one rank twice
  refused(ranks(nothing, {0, 1}, {0, 2}), ncclInvalidArgument);  // beyond the last
  refused(ranks(nothing, {0, 1}, {0, 1}, 3), ncclInvalidArgument);
}

TEST_F(NcclRanks, OfAnotherProcessAreNotFound) {
  ncclUniqueId id = make_id();
  id.internal[0] = 'x';
  ncclComm_t communicator = nullptr;
  EXPECT_EQ(ncclCommInitRank(&communicator, 2, id, 0), ncclSystemError);
  EXPECT_EQ(communicator, nullptr);
}

// On a card nothing would ever end.
TEST_F(NcclRanks, ThatAskForDifferentSumsEndTheProgram) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(ranks([](Rank& r, int rank) { add(r, rank == 0 ? 3 : 2); }), "different lengths");
  EXPECT_DEATH(ranks([](Rank& r, int rank) { add(r, 3, rank == 0 ? ncclFloat : ncclBfloat16); }),
               "different lengths or types");
  EXPECT_DEATH(
      ranks([](Rank& r, int rank) {
        if (rank == 0) add(r), cudaStreamSynchronize(r.stream);
      }),
      "another rank does not ask for|one of another rank is not");  // whose wait ends first
}

TEST_F(NcclRanks, ThatEndAloneEndTheProgram) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto end_alone = [](ncclResult_t (*end)(ncclComm_t)) {
    ranks([end](Rank& r, int rank) {
      if (rank == 0) end(r.communicator);
      std::this_thread::sleep_for(std::chrono::seconds(8));
    });
  };
  EXPECT_DEATH(end_alone(ncclCommFinalize), "is finalized, and one of another rank is not");
  EXPECT_DEATH(end_alone(ncclCommAbort), "is aborted, and one of another rank is not");
}

}  // namespace
}  // namespace emulator
#endif
