#include "cuda/graph.h"

#include <algorithm>
#include <array>
#include <map>

#include "cuda/calls.h"

namespace darknet::cuda {
namespace {

constexpr std::int64_t kAlignment = 16;  // bytes, of every tensor that a graph is given
constexpr std::int64_t kMaxNotes = 32;

cudnnDataType_t library_type(DType t) {
  if (t == DType::bf16) return CUDNN_DATA_BFLOAT16;
  return t == DType::f16 ? CUDNN_DATA_HALF : CUDNN_DATA_FLOAT;
}

void supported(cudnnStatus_t status, const char* call, const std::string& what) {
  if (CUDNN_STATUS_CATEGORY(status) == CUDNN_STATUS_NOT_SUPPORTED)
    throw NotSupported(cat(call, " (", what, "): ", cudnnGetErrorString(status)));
  check(status, call, what);
}

// An operation of one direction, and what cuDNN calls its attributes.
struct ConvolutionAttributes {
  cudnnBackendDescriptorType_t operation;
  cudnnBackendAttributeName_t convolution, x, weights, y, alpha, beta;
};
const ConvolutionAttributes& attributes_of(ConvDirection d) {
  static constexpr ConvolutionAttributes kAll[] = {
      {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
       CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
       CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
       CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
       CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA},
      {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA},
      {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA}};
  return kAll[static_cast<std::size_t>(d)];
}

std::vector<std::int64_t> pair_of(std::int64_t y, std::int64_t x) { return {y, x}; }

void set_numbers(BackendDescriptor& d, cudnnBackendAttributeName_t name,
                 const std::vector<std::int64_t>& numbers) {
  d.set(name, CUDNN_TYPE_INT64, std::span(numbers));
}

std::string settings_of(const BackendDescriptor& config) {
  std::map<int, std::int64_t> settings;
  for (const BackendDescriptor& knob :
       config.get(CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR,
                  CUDNN_KNOB_TYPE_COUNTS)) {
    const auto type =
        knob.get<cudnnBackendKnobType_t>(CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE, 1);
    const auto value =
        knob.get<std::int64_t>(CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, CUDNN_TYPE_INT64, 1);
    settings[static_cast<int>(type.at(0))] = value.at(0);
  }
  std::string text;
  for (const auto& [type, value] : settings) text += cat(' ', type, '=', value);
  return text;
}

Engine engine_of(BackendDescriptor config) {
  const auto engines = config.get(CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_BACKEND_ENGINE_DESCRIPTOR, 1);
  const BackendDescriptor& engine = engines.at(0);
  const auto notes = engine.get<cudnnBackendNumericalNote_t>(CUDNN_ATTR_ENGINE_NUMERICAL_NOTE,
                                                             CUDNN_TYPE_NUMERICAL_NOTE, kMaxNotes);
  const auto behaviour = engine.get<cudnnBackendBehaviorNote_t>(
      CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE, CUDNN_TYPE_BEHAVIOR_NOTE, kMaxNotes);
  const auto has = [&](cudnnBackendNumericalNote_t n) {
    return std::ranges::find(notes, n) != notes.end();
  };
  const auto index =
      engine.get<std::int64_t>(CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, 1).at(0);
  return {.name = cat(index, settings_of(config)),
          .tensor_cores = has(CUDNN_NUMERICAL_NOTE_TENSOR_CORE),
          .rounds_inputs = has(CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS),
          .rounds_sums = has(CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION),
          .transforms = has(CUDNN_NUMERICAL_NOTE_FFT) || has(CUDNN_NUMERICAL_NOTE_WINOGRAD) ||
                        has(CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_4x4) ||
                        has(CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_6x6) ||
                        has(CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_13x13),
          .deterministic = !has(CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC),
          .compiled = std::ranges::find(behaviour, CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION) !=
                      behaviour.end(),
          .config = std::make_shared<BackendDescriptor>(std::move(config))};
}

}  // namespace

BackendDescriptor::BackendDescriptor(cudnnBackendDescriptorType_t type) {
  check(cudnnBackendCreateDescriptor(type, &handle_), "cudnnBackendCreateDescriptor", cat(type));
}

BackendDescriptor::~BackendDescriptor() {
  if (handle_) cudnnBackendDestroyDescriptor(handle_);
}

void BackendDescriptor::finalize(const char* what) {
  supported(cudnnBackendFinalize(handle_), "cudnnBackendFinalize", what);
}

void BackendDescriptor::set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
                            std::int64_t count, const void* values) {
  supported(cudnnBackendSetAttribute(handle_, name, type, count, values),
            "cudnnBackendSetAttribute", cat("attribute ", name));
}

std::int64_t BackendDescriptor::get(cudnnBackendAttributeName_t name,
                                    cudnnBackendAttributeType_t type, std::int64_t max,
                                    void* values) const {
  std::int64_t count = 0;
  supported(cudnnBackendGetAttribute(handle_, name, type, max, &count, values),
            "cudnnBackendGetAttribute", cat("attribute ", name));
  return std::min(count, max);
}

std::vector<BackendDescriptor> BackendDescriptor::get(cudnnBackendAttributeName_t name,
                                                      cudnnBackendDescriptorType_t type,
                                                      std::int64_t max) const {
  std::vector<BackendDescriptor> all;
  std::vector<cudnnBackendDescriptor_t> handles;
  for (std::int64_t i = 0; i < max; ++i) handles.push_back(all.emplace_back(type).get());
  const std::int64_t count = get(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, max, handles.data());
  all.erase(all.begin() + count, all.end());
  return all;
}

TensorId OperationGraph::describe(const Shape& s, DType type, bool in_memory) {
  const TensorId id = std::ssize(tensors_) + 1;
  BackendDescriptor& d = tensors_.emplace_back(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  d.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, id);
  d.set(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, library_type(type));
  d.set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, kAlignment);
  set_numbers(d, CUDNN_ATTR_TENSOR_DIMENSIONS, {s.n, s.c, s.h, s.w});
  set_numbers(d, CUDNN_ATTR_TENSOR_STRIDES, {s.features(), 1, s.w * s.c, s.c});
  d.set(CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, !in_memory);
  d.finalize("tensor");
  return id;
}

TensorId OperationGraph::tensor(const Shape& s, DType type) { return describe(s, type, true); }
TensorId OperationGraph::intermediate(const Shape& s) { return describe(s, DType::f32, false); }

void OperationGraph::add(const ConvolutionNode& n) {
  BackendDescriptor& c = operators_.emplace_back(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
  c.set(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT);
  c.set(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, CUDNN_CROSS_CORRELATION);
  c.set(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, std::int64_t{2});
  const auto pad = pair_of(n.pad_y, n.pad_x);
  set_numbers(c, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, pad);
  set_numbers(c, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, pad);
  set_numbers(c, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, pair_of(n.stride_y, n.stride_x));
  set_numbers(c, CUDNN_ATTR_CONVOLUTION_DILATIONS, pair_of(n.dilation, n.dilation));
  c.finalize("convolution");
  const ConvolutionAttributes& of = attributes_of(n.direction);
  BackendDescriptor& operation = operations_.emplace_back(of.operation);
  operation.set(of.convolution, c);
  operation.set(of.x, at(n.x));
  operation.set(of.weights, at(n.weights));
  operation.set(of.y, at(n.y));
  // cuDNN accepts doubles, too, but reads their first four bytes as a float: 1.0 becomes 0.
  operation.set(of.alpha, CUDNN_TYPE_FLOAT, 1.f);
  operation.set(of.beta, CUDNN_TYPE_FLOAT, n.add ? 1.f : 0.f);
  operation.finalize("operation of a convolution");
}

void OperationGraph::add(const PointwiseNode& n) {
  BackendDescriptor& p = operators_.emplace_back(CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
  p.set(CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, n.mode);
  p.set(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT);
  if (n.slope != 0) p.set(CUDNN_ATTR_POINTWISE_RELU_LOWER_CLIP_SLOPE, CUDNN_TYPE_DOUBLE, n.slope);
  p.finalize("pointwise operator");
  BackendDescriptor& operation =
      operations_.emplace_back(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
  operation.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, p);
  operation.set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, at(n.a));
  if (n.b != 0) operation.set(CUDNN_ATTR_OPERATION_POINTWISE_BDESC, at(n.b));
  operation.set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, at(n.to));
  operation.finalize("pointwise operation");
}

void OperationGraph::finish(cudnnHandle_t handle) {
  std::vector<cudnnBackendDescriptor_t> all;
  for (const BackendDescriptor& d : operations_) all.push_back(d.get());
  graph_.set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, handle);
  graph_.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR,
             std::span<const cudnnBackendDescriptor_t>(all));
  graph_.finalize("operation graph");
}

std::vector<Engine> OperationGraph::proposals(cudnnBackendHeurMode_t mode) const {
  BackendDescriptor heuristic(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
  heuristic.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph_);
  heuristic.set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, mode);
  std::vector<Engine> all;
  try {
    heuristic.finalize("heuristic");
    std::int64_t count = 0;
    supported(cudnnBackendGetAttribute(heuristic.get(), CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                       CUDNN_TYPE_BACKEND_DESCRIPTOR, 0, &count, nullptr),
              "cudnnBackendGetAttribute", "number of proposals");
    if (count == 0) return {};
    for (BackendDescriptor& config :
         heuristic.get(CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, count))
      all.push_back(engine_of(std::move(config)));
  } catch (const NotSupported&) {
  }
  return all;
}

std::unique_ptr<ExecutionPlan> ExecutionPlan::make(cudnnHandle_t handle,
                                                   std::shared_ptr<const OperationGraph> graph,
                                                   const Engine& engine, cudnnStatus_t& status) {
  std::unique_ptr<ExecutionPlan> plan(new ExecutionPlan);
  plan->graph_ = std::move(graph), plan->config_ = engine.config;
  plan->plan_.set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, handle);
  plan->plan_.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, *engine.config);
  status = plan->plan_.try_to_finalize();
  if (status != CUDNN_STATUS_SUCCESS) return nullptr;
  plan->workspace_ =
      plan->plan_.get<std::int64_t>(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1)
          .at(0);
  return plan;
}

cudnnStatus_t ExecutionPlan::execute(cudnnHandle_t handle, std::span<const Binding> bindings,
                                     void* workspace) const {
  std::vector<const void*> pointers;
  std::vector<std::int64_t> ids;
  for (const Binding& b : bindings) pointers.push_back(b.data), ids.push_back(b.tensor);
  BackendDescriptor pack(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
  pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64,
           std::span<const std::int64_t>(ids));
  pack.set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR,
           std::span<const void* const>(pointers));
  pack.set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, workspace);
  pack.finalize("variant pack");
  return cudnnBackendExecute(handle, plan_.get(), pack.get());
}

}  // namespace darknet::cuda
