// The calls of cuBLAS that the program makes, as plain loops that sum in f64.
#include <cublas_v2.h>

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "tests/emulator/gpu.h"

using namespace emulator;

namespace {

struct Handle : LibraryHandle {
  void* workspace = nullptr;
  std::size_t workspace_bytes = 0;
};
Handle& of(cublasHandle_t h) { return *reinterpret_cast<Handle*>(h); }

// A matrix of BLAS: by columns, `stride` apart; op() of it has rows x columns.
struct Matrix {
  const float* at;
  std::int64_t stride;
  bool transposed;
  std::int64_t rows, columns;
  float operator()(std::int64_t r, std::int64_t c) const {
    return transposed ? at[r * stride + c] : at[c * stride + r];
  }
  bool valid() const {
    if (reinterpret_cast<Address>(at) % sizeof(float) != 0) return false;
    return at && stride >= std::max<std::int64_t>(1, transposed ? columns : rows);
  }
  // The same where the emulator reads and writes it; throws Fault.
  Matrix viewed(int device) const {
    const std::int64_t count = transposed ? rows : columns, length = transposed ? columns : rows;
    Matrix m = *this;
    m.at = reinterpret_cast<const float*>(Gpus::instance().memory().view(
        at, static_cast<std::size_t>(((count - 1) * stride + length) * 4), device));
    return m;
  }
};

}  // namespace

extern "C" {

const char* cublasGetStatusString(cublasStatus_t status) {
  return status == CUBLAS_STATUS_SUCCESS ? "success" : "an error of the emulated cuBLAS";
}
cublasStatus_t cublasGetProperty(libraryPropertyType type, int* value) {
  if (type != MAJOR_VERSION) return CUBLAS_STATUS_INVALID_VALUE;
  *value = CUBLAS_VER_MAJOR;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasCreate_v2(cublasHandle_t* handle) {
  const Lock lock(Gpus::instance().mutex());
  if (Gpus::instance().allow_unsafe_call()) return CUBLAS_STATUS_NOT_INITIALIZED;
  *handle = reinterpret_cast<cublasHandle_t>(new Handle{{nullptr, Gpus::current_device()}});
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasDestroy_v2(cublasHandle_t handle) {
  delete &of(handle);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasSetStream_v2(cublasHandle_t handle, cudaStream_t stream) {
  const Lock lock(Gpus::instance().mutex());
  const Stream* const s = Gpus::instance().find(stream);
  if (!s || s->queue->device() != of(handle).device) return CUBLAS_STATUS_INVALID_VALUE;
  of(handle).stream = stream;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasSetWorkspace_v2(cublasHandle_t handle, void* workspace, std::size_t bytes) {
  if (reinterpret_cast<Address>(workspace) % 256 != 0) return CUBLAS_STATUS_INVALID_VALUE;
  of(handle).workspace = workspace;
  of(handle).workspace_bytes = bytes;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasGemmEx_64(cublasHandle_t handle, cublasOperation_t op_a,
                               cublasOperation_t op_b, std::int64_t m, std::int64_t n,
                               std::int64_t k, const void* alpha, const void* a,
                               cudaDataType type_a, std::int64_t lda, const void* b,
                               cudaDataType type_b, std::int64_t ldb, const void* beta, void* c,
                               cudaDataType type_c, std::int64_t ldc, cublasComputeType_t compute,
                               cublasGemmAlgo_t) {
  const Lock lock(Gpus::instance().mutex());
  const Handle h = of(handle);
  const Matrix left{static_cast<const float*>(a), lda, op_a != CUBLAS_OP_N, m, k};
  const Matrix right{static_cast<const float*>(b), ldb, op_b != CUBLAS_OP_N, k, n};
  const Matrix result{static_cast<const float*>(c), ldc, false, m, n};
  if (type_a != CUDA_R_32F || type_b != CUDA_R_32F || type_c != CUDA_R_32F ||
      (compute != CUBLAS_COMPUTE_32F_PEDANTIC && compute != CUBLAS_COMPUTE_32F_FAST_TF32))
    return CUBLAS_STATUS_NOT_SUPPORTED;
  if (!left.valid() || !right.valid() || !result.valid() || h.device != Gpus::current_device())
    return CUBLAS_STATUS_INVALID_VALUE;
  const auto work = [=, by = *static_cast<const float*>(alpha),
                     keep = *static_cast<const float*>(beta)] {
    if (h.workspace_bytes > 0)
      std::memset(Gpus::instance().memory().view(h.workspace, h.workspace_bytes, h.device),
                  Memory::kPoison, h.workspace_bytes);
    const Matrix x = left.viewed(h.device), y = right.viewed(h.device);
    auto* const to = const_cast<float*>(result.viewed(h.device).at);
    for (std::int64_t column = 0; column < n; ++column)
      for (std::int64_t row = 0; row < m; ++row) {
        double sum = 0;
        for (std::int64_t i = 0; i < k; ++i) sum += double{x(row, i)} * double{y(i, column)};
        float& element = to[column * ldc + row];
        element = static_cast<float>(by * sum) + (keep == 0 ? 0 : keep * element);
      }
  };
  return Gpus::instance().issue(h.stream, work) == cudaSuccess ? CUBLAS_STATUS_SUCCESS
                                                               : CUBLAS_STATUS_EXECUTION_FAILED;
}

}  // extern "C"
