// CUDA, cuDNN and cuBLAS calls whose status is looked at, and the calling thread's library handles.
// Included in cuda/ only.
#pragma once
#include <cublas_v2.h>
#include <cuda_runtime_api.h>
#include <cudnn.h>

#include <string>

#include "core/device.h"
#include "core/error.h"

namespace darknet::cuda {

// Throws Error "call (about): what the library says" unless the status is success.
void check(cudaError_t, const char* call, const std::string& about = "");
void check(cudnnStatus_t, const char* call, const std::string& about = "");
void check(cublasStatus_t, const char* call, const std::string& about = "");

inline cudaStream_t native(const Stream& s) { return static_cast<cudaStream_t>(s.native); }

int current_device();

// Handles of the calling thread for its current device, set to work on the stream.
cudnnHandle_t cudnn(const Stream&);
cublasHandle_t cublas(const Stream&);

}  // namespace darknet::cuda
