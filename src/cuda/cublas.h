// cuBLAS, loaded at the first matrix product: libcublasLt takes 70 ms and 200 MB of memory to load,
// and only [connected] layers need it. Included in cuda/ only.
#pragma once
#include <cublas_v2.h>

#include <string>

#include "core/device.h"

namespace darknet::cuda {

struct Cublas {
  decltype(&cublasCreate_v2) create;
  decltype(&cublasDestroy_v2) destroy;
  decltype(&cublasSetStream_v2) set_stream;
  decltype(&cublasSetWorkspace_v2) set_workspace;
  decltype(&cublasGemmEx_64) gemm_ex;
  decltype(&cublasGetStatusString) status_string;

  // Throws Error "call (about): what the library says" unless the status is success.
  void check(cublasStatus_t, const char* call, const std::string& about = "") const;
};

// Throws Error where the library is not found or lacks a function.
const Cublas& cublas();

// The calling thread's for its current device, set to work on the stream.
cublasHandle_t cublas_handle(const Stream&);

}  // namespace darknet::cuda
