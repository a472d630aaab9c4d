#include "cuda/calls.h"

#include <map>
#include <memory>

namespace darknet::cuda {
namespace {

[[noreturn]] void fail_call(const char* call, const std::string& about, const char* message) {
  fail(call, about.empty() ? "" : cat(" (", about, ")"), ": ", message);
}

// Both libraries' handles belong to the device that is current when they are made, and are not to
// be used by two threads at once.
template <class T, auto create, auto destroy>
class Handle {
 public:
  explicit Handle(const char* call) : device_(current_device()) { check(create(&handle_), call); }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  ~Handle() {
    cudaSetDevice(device_);
    destroy(handle_);
  }
  T get() const { return handle_; }

 private:
  int device_;
  T handle_ = nullptr;
};

struct Handles {
  Handle<cudnnHandle_t, cudnnCreate, cudnnDestroy> dnn{"cudnnCreate"};
  Handle<cublasHandle_t, cublasCreate_v2, cublasDestroy_v2> blas{"cublasCreate"};
};

Handles& handles() {
  static thread_local std::map<int, std::unique_ptr<Handles>> of_device;
  auto& found = of_device[current_device()];
  if (!found) found = std::make_unique<Handles>();
  return *found;
}

}  // namespace

void check(cudaError_t status, const char* call, const std::string& about) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // not to be found by the next launch
  fail_call(call, about, cudaGetErrorString(status));
}

void check(cudnnStatus_t status, const char* call, const std::string& about) {
  if (status != CUDNN_STATUS_SUCCESS) fail_call(call, about, cudnnGetErrorString(status));
}

void check(cublasStatus_t status, const char* call, const std::string& about) {
  if (status != CUBLAS_STATUS_SUCCESS) fail_call(call, about, cublasGetStatusString(status));
}

int current_device() {
  int index = 0;
  check(cudaGetDevice(&index), "cudaGetDevice");
  return index;
}

cudnnHandle_t cudnn(const Stream& s) {
  cudnnHandle_t handle = handles().dnn.get();
  check(cudnnSetStream(handle, native(s)), "cudnnSetStream");
  return handle;
}

cublasHandle_t cublas(const Stream& s) {
  cublasHandle_t handle = handles().blas.get();
  check(cublasSetStream(handle, native(s)), "cublasSetStream");
  return handle;
}

}  // namespace darknet::cuda
