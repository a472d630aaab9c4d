// CUDA, cuDNN and cuBLAS calls whose status is looked at, their descriptors as move-only objects,
// and the calling thread's library handles. Included in cuda/ only.
#pragma once
#include <cublas_v2.h>
#include <cuda_runtime_api.h>
#include <cudnn.h>

#include <string>
#include <utility>

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

template <class T, auto create, auto destroy>
class Descriptor {
 public:
  Descriptor() { check(create(&handle_), "cudnnCreate...Descriptor"); }
  Descriptor(Descriptor&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Descriptor() {
    if (handle_) destroy(handle_);
  }
  T get() const { return handle_; }

 private:
  T handle_ = nullptr;
};

using TensorDescriptor =
    Descriptor<cudnnTensorDescriptor_t, cudnnCreateTensorDescriptor, cudnnDestroyTensorDescriptor>;
using FilterDescriptor =
    Descriptor<cudnnFilterDescriptor_t, cudnnCreateFilterDescriptor, cudnnDestroyFilterDescriptor>;
using ConvolutionDescriptor =
    Descriptor<cudnnConvolutionDescriptor_t, cudnnCreateConvolutionDescriptor,
               cudnnDestroyConvolutionDescriptor>;
using ActivationDescriptor =
    Descriptor<cudnnActivationDescriptor_t, cudnnCreateActivationDescriptor,
               cudnnDestroyActivationDescriptor>;

}  // namespace darknet::cuda
