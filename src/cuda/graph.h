// cuDNN's graph API: operations on tensors as a graph, the engines that cuDNN proposes for it, and
// plans that execute it. Every tensor is NHWC and dense. Included in cuda/ only.
#pragma once
#include <cudnn.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/index.h"
#include "core/ops.h"
#include "core/tensor.h"

namespace darknet::cuda {

// cuDNN has no engine for the operation.
struct NotSupported : Error {
  using Error::Error;
};

// Set up by set(), constant after finalize(). What it refers to must outlive it.
class BackendDescriptor {
 public:
  explicit BackendDescriptor(cudnnBackendDescriptorType_t);
  BackendDescriptor(BackendDescriptor&& other) noexcept
      : handle_(std::exchange(other.handle_, nullptr)) {}
  BackendDescriptor& operator=(BackendDescriptor&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~BackendDescriptor();
  cudnnBackendDescriptor_t get() const { return handle_; }

  template <class T>
  void set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
           std::span<const T> values) {
    set(name, type, std::ssize(values), values.data());
  }
  template <class T>
  void set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, const T& value) {
    set(name, type, 1, &value);
  }
  void set(cudnnBackendAttributeName_t name, const BackendDescriptor& other) {
    set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, other.handle_);
  }
  // Throws NotSupported where cuDNN cannot do what it describes, Error where it is wrong.
  void finalize(const char* what);
  cudnnStatus_t try_to_finalize() { return cudnnBackendFinalize(handle_); }

  // The values of an attribute, at most `max`.
  template <class T>
  std::vector<T> get(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
                     std::int64_t max) const {
    std::vector<T> values(static_cast<std::size_t>(max));
    values.resize(static_cast<std::size_t>(get(name, type, max, values.data())));
    return values;
  }
  // Those that are descriptors themselves.
  std::vector<BackendDescriptor> get(cudnnBackendAttributeName_t name,
                                     cudnnBackendDescriptorType_t type, std::int64_t max) const;

 private:
  void set(cudnnBackendAttributeName_t, cudnnBackendAttributeType_t, std::int64_t count,
           const void* values);
  std::int64_t get(cudnnBackendAttributeName_t, cudnnBackendAttributeType_t, std::int64_t max,
                   void* values) const;

  cudnnBackendDescriptor_t handle_ = nullptr;
};

// One way to compute a graph, as cuDNN proposes it.
struct Engine {
  std::string name;  // "62 2=20 13=0": its index and settings (knobs) in cuDNN's numbers
  bool tensor_cores = false, rounds_inputs = false, rounds_sums = false, transforms = false;
  bool deterministic = true;
  bool compiled = false;  // its kernel is compiled when a plan is made
  std::shared_ptr<const BackendDescriptor> config;
};

using TensorId = std::int64_t;  // of a tensor in its graph: from 1

struct ConvolutionNode {
  ConvDirection direction = ConvDirection::forward;
  TensorId x = 0, weights = 0, y = 0;  // or their gradients, whatever the direction
  std::int64_t pad_y = 0, pad_x = 0, stride_y = 1, stride_x = 1, dilation = 1;
  bool add = false;  // to what the result's tensor holds
};

struct PointwiseNode {
  cudnnPointwiseMode_t mode = CUDNN_POINTWISE_ADD;
  TensorId a = 0, b = 0, to = 0;  // b: 0 where the mode takes one; its dimensions may be 1
  double slope = 0;               // of the negative part, for RELU_FWD
};

// Operations, each of which may read what one before it computes.
class OperationGraph {
 public:
  // A tensor in memory, or a virtual one (cuDNN): the result of one operation that only others
  // read. Filters are a tensor, too: n of them, with the channels of one group.
  TensorId tensor(const Shape&, DType);
  TensorId intermediate(const Shape&);
  void add(const ConvolutionNode&);
  void add(const PointwiseNode&);
  // No more operations. Throws NotSupported, or Error where they do not fit together.
  void finish(cudnnHandle_t);

  // Best first; none where cuDNN has nothing for the graph.
  std::vector<Engine> proposals(cudnnBackendHeurMode_t) const;

 private:
  TensorId describe(const Shape&, DType, bool in_memory);
  const BackendDescriptor& at(TensorId id) const { return tensors_[to_size(id - 1)]; }

  std::vector<BackendDescriptor> tensors_, operators_, operations_;
  BackendDescriptor graph_{CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR};
};

struct Binding {
  TensorId tensor;
  const void* data;
};

// A graph with one engine, ready to run.
class ExecutionPlan {
 public:
  // Null where cuDNN cannot do it after all; `status` says why.
  static std::unique_ptr<ExecutionPlan> make(cudnnHandle_t, std::shared_ptr<const OperationGraph>,
                                             const Engine&, cudnnStatus_t& status);
  std::int64_t workspace() const { return workspace_; }  // bytes
  cudnnStatus_t execute(cudnnHandle_t, std::span<const Binding>, void* workspace) const;

 private:
  ExecutionPlan() = default;
  std::shared_ptr<const OperationGraph> graph_;
  std::shared_ptr<const BackendDescriptor> config_;
  BackendDescriptor plan_{CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR};
  std::int64_t workspace_ = 0;
};

}  // namespace darknet::cuda
