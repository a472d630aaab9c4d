// Memory of the runtime.
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "tests/emulator/gpu.h"
#include "tests/emulator/runtime_fixture.h"

namespace emulator {
namespace {

TEST_F(Runtime, MemoryIsFreedOnce) {
  void* p = nullptr;
  EXPECT_EQ(cudaFree(nullptr), cudaSuccess);
  EXPECT_EQ(cudaMalloc(&p, 4), cudaSuccess);
  EXPECT_EQ(cudaFree(p), cudaSuccess);
  expect_in_child([&] { EXPECT_NE(cudaFree(p), cudaSuccess); });
  EXPECT_EQ(cudaHostAlloc(&p, 4, 0), cudaSuccess);
  expect_in_child([&] { EXPECT_NE(cudaFree(p), cudaSuccess); });
  EXPECT_EQ(cudaFreeHost(p), cudaSuccess);
  expect_in_child([&] { EXPECT_NE(cudaFreeHost(p), cudaSuccess); });
}

TEST_F(Runtime, AFaultIsSticky) {
  cudaSetDevice(1);
  const cudaStream_t second = stream();
  int* const of_second = on_device(1);
  cudaSetDevice(0);
  int* const p = on_device(1);
  expect_in_child(
      [&] {
        EXPECT_EQ(cudaMemsetAsync(p, 0, 8, a_), cudaSuccess);
        EXPECT_EQ(cudaStreamSynchronize(b_), cudaSuccess);
        EXPECT_EQ(cudaStreamSynchronize(a_), cudaErrorIllegalAddress);
        EXPECT_EQ(cudaStreamSynchronize(b_), cudaErrorIllegalAddress);
        EXPECT_EQ(cudaMemsetAsync(p, 0, 4, b_), cudaErrorIllegalAddress);
        EXPECT_EQ(cudaFree(p), cudaErrorIllegalAddress);
        cudaSetDevice(1);
        EXPECT_EQ(cudaMemsetAsync(of_second, 0, 4, second), cudaSuccess);
        EXPECT_EQ(cudaStreamSynchronize(second), cudaSuccess);
      },
      "8 bytes at 0x[0-9a-f]+: over the end of an allocation");
}

// Every call returns it, and cudaGetLastError() does not take it back.
TEST_F(Runtime, NoCallSucceedsAfterAFault) {
  int* const p = on_device(1);
  expect_in_child([&] {
    EXPECT_EQ(cudaMemsetAsync(p, 0, 8, a_), cudaSuccess);
    EXPECT_EQ(cudaStreamSynchronize(a_), cudaErrorIllegalAddress);
    for (int i = 0; i < 2; ++i) EXPECT_EQ(cudaGetLastError(), cudaErrorIllegalAddress);
    void* q = nullptr;
    EXPECT_EQ(cudaMalloc(&q, 4), cudaErrorIllegalAddress);
    EXPECT_EQ(cudaHostAlloc(&q, 4, 0), cudaErrorIllegalAddress);
  });
}

TEST_F(Runtime, CopiesStayInTheirMemory) {
  int* const p = on_device(4);
  int* const host = locked(4);
  const auto illegal = [&](auto call) {
    expect_in_child([&] {
      call();
      EXPECT_EQ(cudaStreamSynchronize(a_), cudaErrorIllegalAddress);
    });
  };
  int* const wide = locked(8);
  illegal([&] { to_device(p, wide, 5, a_); });
  illegal([&] { to_host(wide, p + 1, 4, a_); });
  illegal([&] { to_device(p, host + 1, 4, a_); });  // also of page-locked memory
  cudaSetDevice(1);
  int* const other = on_device(4);
  cudaSetDevice(0);
  illegal([&] { to_device(other, host, 4, a_); });
  EXPECT_EQ(to_device(p, host, 4, a_), cudaSuccess);
  EXPECT_EQ(to_host(host + 1, p + 1, 3, a_), cudaSuccess);
  EXPECT_EQ(cudaStreamSynchronize(a_), cudaSuccess);
}

TEST_F(Runtime, CopiesOfNothingNeedNoMemory) {
  int* const p = on_device(4);
  expect_in_child([&] {
    EXPECT_EQ(cudaMemsetAsync(p + 4, 0, 0, a_), cudaSuccess);
    EXPECT_EQ(cudaMemsetAsync(nullptr, 0, 0, a_), cudaSuccess);
    EXPECT_EQ(to_device<int>(nullptr, nullptr, 0, a_), cudaSuccess);
    EXPECT_EQ(cudaStreamSynchronize(a_), cudaSuccess);
  });
}

TEST_F(Runtime, PageLockedMemoryOutlivesItsCopies) {
  int* const p = on_device(1);
  void *from = nullptr, *to = nullptr;
  EXPECT_EQ(cudaHostAlloc(&from, 4, 0), cudaSuccess);
  EXPECT_EQ(cudaHostAlloc(&to, 4, 0), cudaSuccess);
  for (const bool reads : {true, false})
    expect_in_child([&] {
      EXPECT_EQ(cudaMemcpyAsync(reads ? p : to, reads ? from : p, 4,
                                reads ? cudaMemcpyHostToDevice : cudaMemcpyDeviceToHost, a_),
                cudaSuccess);
      cudaFreeHost(reads ? from : to);
      EXPECT_EQ(cudaStreamSynchronize(a_), cudaErrorIllegalAddress);
    });
  EXPECT_EQ(cudaMemcpyAsync(p, from, 4, cudaMemcpyHostToDevice, a_), cudaSuccess);
  EXPECT_EQ(cudaMemcpyAsync(to, p, 4, cudaMemcpyDeviceToHost, a_), cudaSuccess);
  EXPECT_EQ(cudaStreamSynchronize(a_), cudaSuccess);
  EXPECT_EQ(cudaFreeHost(from), cudaSuccess);
  EXPECT_EQ(cudaFreeHost(to), cudaSuccess);
}

TEST_F(Runtime, MemoryOfPoolsIsFreedInOrder) {
  void* p = nullptr;
  EXPECT_EQ(cudaMallocAsync(&p, 4, a_), cudaSuccess);
  EXPECT_EQ(cudaMemsetAsync(p, 0, 4, a_), cudaSuccess);
  EXPECT_EQ(cudaFreeAsync(p, a_), cudaSuccess);
  expect_in_child([&] {
    EXPECT_EQ(cudaMemsetAsync(p, 0, 4, a_), cudaSuccess);
    EXPECT_EQ(cudaStreamSynchronize(a_), cudaErrorIllegalAddress);
  });
  expect_in_child([&] {
    EXPECT_EQ(cudaFreeAsync(p, a_), cudaSuccess);
    EXPECT_EQ(cudaStreamSynchronize(a_), cudaErrorIllegalAddress);
  });
  EXPECT_EQ(cudaStreamSynchronize(a_), cudaSuccess);
}

TEST_F(Runtime, MemoryOfADeviceEnds) {
  constexpr std::size_t kMost = kDeviceMiB << 20;
  std::size_t free = 0, total = 0;
  EXPECT_EQ(cudaMemGetInfo(&free, &total), cudaSuccess);
  EXPECT_EQ(total, kMost);
  void *p = nullptr, *q = nullptr;
  EXPECT_EQ(cudaMalloc(&p, kMost + 1), cudaErrorMemoryAllocation);
  EXPECT_EQ(cudaMalloc(&p, kMost / 2 + 1), cudaSuccess);
  std::size_t now = 0;
  EXPECT_EQ(cudaMemGetInfo(&now, &total), cudaSuccess);
  EXPECT_EQ(free - now, kMost / 2 + 1);
  EXPECT_EQ(cudaMalloc(&q, kMost / 2), cudaErrorMemoryAllocation);
  EXPECT_EQ(cudaMallocAsync(&q, kMost / 2, a_), cudaErrorMemoryAllocation);
  expect_in_child([&] {  // as much as a negative number, or one that wraps around with the others
    for (const std::size_t bytes : {std::size_t{0} - 4, ~(kMost / 2)})
      EXPECT_EQ(cudaMalloc(&q, bytes), cudaErrorMemoryAllocation) << bytes;
  });
  cudaSetDevice(1);
  EXPECT_EQ(cudaMalloc(&q, kMost / 2 + 1), cudaSuccess);
  EXPECT_EQ(cudaFree(q), cudaSuccess);
  cudaSetDevice(0);
  EXPECT_EQ(cudaFree(p), cudaSuccess);
  EXPECT_EQ(cudaMalloc(&p, kMost / 2 + 1), cudaSuccess);
  EXPECT_EQ(cudaFree(p), cudaSuccess);
}

TEST_F(Runtime, TheHostCannotTouchDeviceMemory) {
  volatile int* const p = filled(std::vector{5});
  EXPECT_EXIT(std::exit(*p), testing::KilledBySignal(SIGSEGV), "");
  EXPECT_EXIT(*p = 1, testing::KilledBySignal(SIGSEGV), "");
  volatile int* const host = locked(1, 6);
  EXPECT_EQ(*host, 6);
}

}  // namespace
}  // namespace emulator
