#include "cuda/calls.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "cuda/plans.h"

namespace darknet::cuda {
namespace {

// Not to be used by two threads at once.
struct CudnnHandle {
  int device = current_device();  // a handle belongs to the device that is current when it is made
  cudnnHandle_t handle = nullptr;

  CudnnHandle() { check(cudnnCreate(&handle), "cudnnCreate"); }
  CudnnHandle(const CudnnHandle&) = delete;
  CudnnHandle& operator=(const CudnnHandle&) = delete;
  ~CudnnHandle() {
    cudaSetDevice(device);
    cudnnDestroy(handle);
  }
};

// Asks until it is done, and for errors that would keep it from ever being so.
template <class Query>
void ask_where_nccl_sums(const Device& device, Query query) {
  using std::chrono::microseconds;
  if (!sums_by_nccl(device)) return;
  for (microseconds pause(10); query() == cudaErrorNotReady;
       pause = std::min(2 * pause, microseconds(200))) {
    cudaGetLastError();  // not to be found by the next launch
    check_nccl(device);
    std::this_thread::sleep_for(pause);
  }
}

}  // namespace

void wait_for(const Device& device, cudaEvent_t event) {
  ask_where_nccl_sums(device, [&] { return cudaEventQuery(event); });
  check(cudaEventSynchronize(event), "cudaEventSynchronize", to_string(device));
}

void wait_for(const Stream& s) {
  ask_where_nccl_sums(s.device, [&] { return cudaStreamQuery(native(s)); });
  check(cudaStreamSynchronize(native(s)), "cudaStreamSynchronize", to_string(s.device));
}

void fail_call(const char* call, const std::string& about, const char* message) {
  fail(call, about.empty() ? "" : cat(" (", about, ")"), ": ", message);
}

void check(cudaError_t status, const char* call, const std::string& about) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // not to be found by the next launch
  fail_call(call, about, cudaGetErrorString(status));
}

void check(cudnnStatus_t status, const char* call, const std::string& about) {
  if (status != CUDNN_STATUS_SUCCESS) fail_call(call, about, cudnnGetErrorString(status));
}

int current_device() {
  int index = 0;
  check(cudaGetDevice(&index), "cudaGetDevice");
  return index;
}

cudnnHandle_t cudnn(const Stream& s) {
  const cudnnHandle_t handle = of_current_device<CudnnHandle>().handle;
  check(cudnnSetStream(handle, native(s)), "cudnnSetStream");
  return handle;
}

}  // namespace darknet::cuda
