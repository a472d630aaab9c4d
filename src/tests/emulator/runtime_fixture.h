// Two small emulated devices for tests: streams and memory that are released after each test.
#pragma once
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <type_traits>
#include <vector>

namespace emulator {

inline constexpr std::size_t kDeviceMiB = 64;
// Before the first call: memory enough for the tests, and little to fill.
inline const bool kSmallDevices =
    setenv("EMULATED_GPU_MEMORY", std::to_string(kDeviceMiB).c_str(), 1) == 0;

// Runs what leaves a device with an error, or may end the process, in a process of its own.
// `message`: a regular expression that its stderr matches.
inline void expect_in_child(const std::function<void()>& f, const std::string& message = "") {
  const testing::TestResult& result =
      *testing::UnitTest::GetInstance()->current_test_info()->result();
  const int before = result.total_part_count();
  const auto run = [&] {
    f();
    for (int i = before; i < result.total_part_count(); ++i) {  // gtest is silent in a child
      const testing::TestPartResult& part = result.GetTestPartResult(i);
      std::fprintf(stderr, "line %d: %s\n", part.line_number(), part.message());
    }
    std::fflush(nullptr);
    std::_Exit(result.total_part_count() > before ? 1 : 0);
  };
  EXPECT_EXIT(run(), testing::ExitedWithCode(0), message);
}

// A pointer some bytes further.
template <class T>
T* shifted(T* p, std::ptrdiff_t bytes) {
  using Byte = std::conditional_t<std::is_const_v<T>, const char, char>;
  return static_cast<Byte*>(p) + bytes;
}

class Runtime : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(kSmallDevices);
    ASSERT_EQ(cudaSetDevice(0), cudaSuccess);
    a_ = stream(), b_ = stream();
  }
  void TearDown() override {
    for (const cudaStream_t s : streams_) cudaStreamDestroy(s);
    for (int device = 0; device < 2; ++device) {
      cudaSetDevice(device);
      EXPECT_EQ(cudaStreamSynchronize(nullptr), cudaSuccess);
    }
    cudaSetDevice(0);
    for (void* const p : device_) EXPECT_EQ(cudaFree(p), cudaSuccess);
    for (void* const p : locked_) EXPECT_EQ(cudaFreeHost(p), cudaSuccess);
    cudaGetLastError();
  }
  cudaStream_t stream() {
    cudaStream_t s = nullptr;
    EXPECT_EQ(cudaStreamCreate(&s), cudaSuccess);
    streams_.push_back(s);
    return s;
  }
  cudaEvent_t event() {
    cudaEvent_t e = nullptr;
    EXPECT_EQ(cudaEventCreateWithFlags(&e, cudaEventDefault), cudaSuccess);
    return e;
  }
  template <class T = int>
  T* on_device(std::size_t n) {
    void* p = nullptr;
    EXPECT_EQ(cudaMalloc(&p, n * sizeof(T)), cudaSuccess);
    device_.push_back(p);
    return static_cast<T*>(p);
  }
  template <class T = int>
  T* locked(std::size_t n, T value = {}) {
    void* p = nullptr;
    EXPECT_EQ(cudaHostAlloc(&p, n * sizeof(T), cudaHostAllocPortable), cudaSuccess);
    locked_.push_back(p);
    std::fill_n(static_cast<T*>(p), n, value);
    return static_cast<T*>(p);
  }
  template <class T>
  T* filled(const std::vector<T>& values) {
    T* const p = on_device<T>(values.size());
    EXPECT_EQ(to_device(p, values.data(), values.size(), a_), cudaSuccess);
    EXPECT_EQ(cudaStreamSynchronize(a_), cudaSuccess);
    return p;
  }
  template <class T>
  cudaError_t to_device(T* to, const T* from, std::size_t n, cudaStream_t s) {
    return cudaMemcpyAsync(to, from, n * sizeof(T), cudaMemcpyHostToDevice, s);
  }
  template <class T>
  cudaError_t to_host(T* to, const T* from, std::size_t n, cudaStream_t s) {
    return cudaMemcpyAsync(to, from, n * sizeof(T), cudaMemcpyDeviceToHost, s);
  }
  template <class T>
  std::vector<T> contents(const T* p, std::size_t n) {
    std::vector<T> values(n);
    EXPECT_EQ(to_host(values.data(), p, n, nullptr), cudaSuccess);
    return values;
  }

  cudaStream_t a_ = nullptr, b_ = nullptr;  // of device 0

 private:
  std::vector<cudaStream_t> streams_;
  std::vector<void*> device_, locked_;
};

}  // namespace emulator
