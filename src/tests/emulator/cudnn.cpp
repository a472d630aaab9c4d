// cuDNN 9 without its graphs: versions, messages and handles. The graphs are in cudnn_backend.cpp
// (descriptors) and cudnn_graph.cpp (engines).
#include <cudnn.h>

#include "tests/emulator/gpu.h"

using namespace emulator;

extern "C" {

std::size_t cudnnGetVersion() { return CUDNN_VERSION; }
const char* cudnnGetErrorString(cudnnStatus_t status) {
  switch (CUDNN_STATUS_CATEGORY(status)) {
    case CUDNN_STATUS_SUCCESS:
      return "CUDNN_STATUS_SUCCESS";
    case CUDNN_STATUS_BAD_PARAM:
      return "CUDNN_STATUS_BAD_PARAM";
    case CUDNN_STATUS_NOT_SUPPORTED:
      return "CUDNN_STATUS_NOT_SUPPORTED";
    default:
      return "CUDNN_STATUS_EXECUTION_FAILED";
  }
}
cudnnStatus_t cudnnCreate(cudnnHandle_t* handle) {
  const Lock lock(Gpus::instance().mutex());
  if (Gpus::instance().allow_unsafe_call()) return CUDNN_STATUS_EXECUTION_FAILED;
  *handle = reinterpret_cast<cudnnHandle_t>(new LibraryHandle{nullptr, Gpus::current_device()});
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnDestroy(cudnnHandle_t handle) {
  delete reinterpret_cast<LibraryHandle*>(handle);
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream) {
  const Lock lock(Gpus::instance().mutex());
  LibraryHandle& h = *reinterpret_cast<LibraryHandle*>(handle);
  const Stream* const s = Gpus::instance().find(stream);
  if (!s) return CUDNN_STATUS_BAD_PARAM;
  if (s->queue->device() != h.device) return CUDNN_STATUS_BAD_PARAM_STREAM_MISMATCH;
  h.stream = stream;
  return CUDNN_STATUS_SUCCESS;
}

}  // extern "C"
