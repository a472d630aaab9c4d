// Checks the status of CUDA and cuDNN calls; the calling thread's cuDNN handle.
// Included in cuda/ only.
#pragma once
#include <cuda_runtime_api.h>
#include <cudnn.h>

#include <map>
#include <memory>
#include <string>

#include "core/device.h"
#include "core/error.h"

namespace darknet::cuda {

// Throws Error "call (about): message".
[[noreturn]] void fail_call(const char* call, const std::string& about, const char* message);
// fail_call() with the library's message, unless the status is success.
void check(cudaError_t, const char* call, const std::string& about = "");
void check(cudnnStatus_t, const char* call, const std::string& about = "");

inline cudaStream_t native(const Stream& s) { return static_cast<cudaStream_t>(s.native); }

// As cudaEventSynchronize and cudaStreamSynchronize; throws also where an all-reduce failed that
// they would wait for.
void wait_for(const Device&, cudaEvent_t);
void wait_for(const Stream&);

int current_device();

// The calling thread's T for its current device, made at the first call.
template <class T>
T& of_current_device() {
  static thread_local std::map<int, std::unique_ptr<T>> of_device;
  auto& found = of_device[current_device()];
  if (!found) found = std::make_unique<T>();
  return *found;
}

// The calling thread's handle for its current device, set to work on the stream.
cudnnHandle_t cudnn(const Stream&);

}  // namespace darknet::cuda
