// What the emulated cuDNN knows of a finalized graph: its tensors, its operations in the order in
// which they were given, the engines that compute it, and how.
#pragma once
#include <cudnn.h>

#include <array>
#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "tests/emulator/gpu.h"

namespace emulator {

struct TensorNode {  // NHWC and dense; of filters: n = filters, c = channels of one group
  std::int64_t id = 0, alignment = 1;
  cudnnDataType_t type = CUDNN_DATA_FLOAT;
  std::int64_t n = 0, c = 0, h = 0, w = 0;
  bool in_memory = true;
  std::int64_t size() const { return n * c * h * w; }
  std::int64_t bytes() const { return size() * (type == CUDNN_DATA_FLOAT ? 4 : 2); }
  bool half() const { return type != CUDNN_DATA_FLOAT; }
};

struct Operation {
  cudnnBackendDescriptorType_t kind;
  // Of a convolution: x, filters, y, one of which it computes. Of a pointwise operation: a, b, y.
  TensorNode x, w, y;
  std::array<std::int64_t, 2> pad{0, 0}, stride{1, 1}, dilation{1, 1};  // y, x
  double alpha = 1, beta = 0;
  cudnnPointwiseMode_t mode = CUDNN_POINTWISE_ADD;
  double slope = 0;

  bool convolution() const { return kind != CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR; }
  bool binary() const { return mode == CUDNN_POINTWISE_ADD || mode == CUDNN_POINTWISE_MUL; }
  std::int64_t groups() const { return x.c / w.c; }
  const TensorNode& result() const {
    if (kind == CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR) return x;
    return kind == CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR ? w : y;
  }
  std::vector<TensorNode> operands() const;  // what it reads
};

struct OperationList {
  std::vector<Operation> operations;
  std::vector<TensorNode> in_memory() const;  // each once
  const Operation& first() const { return operations.front(); }
};

struct EngineConfig {
  std::int64_t index = 0, workspace = 0;
  std::vector<cudnnBackendNumericalNote_t> notes;
  bool compiled = false;
  std::vector<std::pair<cudnnBackendKnobType_t, std::int64_t>> knobs;
  OperationList graph;
  bool has(cudnnBackendNumericalNote_t) const;
};

// Success where the operations fit together.
cudnnStatus_t check_operation(const Operation&);
cudnnStatus_t check_graph(const OperationList&);
std::vector<EngineConfig> proposals(const OperationList&, cudnnBackendHeurMode_t);
cudnnStatus_t compile(const EngineConfig&);
cudnnStatus_t execute(const LibraryHandle&, const EngineConfig&,
                      const std::map<std::int64_t, void*>& pointers, void* workspace);

}  // namespace emulator
