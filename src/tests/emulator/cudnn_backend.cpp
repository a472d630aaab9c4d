// The descriptors of cuDNN's graph API: which attributes each takes, with which types and counts;
// set before they are finalized, read after it.
#include <cudnn.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <set>
#include <variant>

#include "tests/emulator/cudnn_graph.h"

using namespace emulator;

namespace {

struct Rule {
  cudnnBackendAttributeName_t name;
  cudnnBackendAttributeType_t type;
  std::int64_t min = 1, max = 1;
  bool required = true;
};

struct Value {
  std::vector<unsigned char> bytes;
  std::int64_t count = 0;
};

// What a finalized descriptor stands for.
struct PointwiseOperator {
  cudnnPointwiseMode_t mode;
  double slope = 0;
};
struct ConvolutionOperator {
  Operation geometry;
};
struct Knob {
  cudnnBackendKnobType_t type;
  std::int64_t value;
};
struct Heuristic {
  std::vector<EngineConfig> results;
};
struct EngineOf {
  EngineConfig config;
};
struct Plan {
  EngineConfig config;
};
struct Pack {
  std::map<std::int64_t, void*> pointers;
  void* workspace = nullptr;
};

struct Descriptor {
  cudnnBackendDescriptorType_t type;
  bool finalized = false;
  std::map<cudnnBackendAttributeName_t, Value> values;
  std::variant<std::monostate, TensorNode, PointwiseOperator, ConvolutionOperator, Operation,
               OperationList, Heuristic, EngineConfig, EngineOf, Knob, Plan, Pack>
      meaning;
};

std::set<const Descriptor*>& live() {
  static std::set<const Descriptor*> all;
  return all;
}
Descriptor* find(cudnnBackendDescriptor_t d) {
  auto* const found = static_cast<Descriptor*>(d);
  return live().contains(found) ? found : nullptr;
}

std::size_t size_of(cudnnBackendAttributeType_t type) {
  switch (type) {
    case CUDNN_TYPE_BOOLEAN:
      return sizeof(bool);
    case CUDNN_TYPE_INT64:
      return sizeof(std::int64_t);
    case CUDNN_TYPE_DOUBLE:
      return sizeof(double);
    case CUDNN_TYPE_FLOAT:
      return sizeof(float);
    case CUDNN_TYPE_HANDLE:
    case CUDNN_TYPE_VOID_PTR:
    case CUDNN_TYPE_BACKEND_DESCRIPTOR:
      return sizeof(void*);
    default:
      return sizeof(int);  // enumerations
  }
}

constexpr auto kDescriptor = CUDNN_TYPE_BACKEND_DESCRIPTOR;

std::vector<Rule> rules_of_operation(cudnnBackendAttributeName_t alpha) {
  // alpha, beta, the convolution, and three tensors, in cuDNN's numbers. cuDNN itself accepts alpha
  // and beta as doubles, but its kernels read them in the type of the computation, which is f32
  // here: 1.0 becomes 0 (seen on an H200).
  std::vector<Rule> all;
  for (int i = 0; i < 6; ++i)
    all.push_back({static_cast<cudnnBackendAttributeName_t>(alpha + i),
                   i < 2 ? CUDNN_TYPE_FLOAT : kDescriptor});
  return all;
}

const std::vector<Rule>& rules(cudnnBackendDescriptorType_t type) {
  constexpr auto kInt = CUDNN_TYPE_INT64;
  constexpr std::int64_t kMany = 64;
  static const std::map<cudnnBackendDescriptorType_t, std::vector<Rule>> all{
      {CUDNN_BACKEND_TENSOR_DESCRIPTOR,
       {{CUDNN_ATTR_TENSOR_UNIQUE_ID, kInt},
        {CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE},
        {CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, kInt},
        {CUDNN_ATTR_TENSOR_DIMENSIONS, kInt, 4, 4},
        {CUDNN_ATTR_TENSOR_STRIDES, kInt, 4, 4},
        {CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1, 1, false}}},
      {CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR,
       {{CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE},
        {CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE},
        {CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, kInt},
        {CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, kInt, 2, 2},
        {CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, kInt, 2, 2},
        {CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, kInt, 2, 2},
        {CUDNN_ATTR_CONVOLUTION_DILATIONS, kInt, 2, 2}}},
      {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
       rules_of_operation(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA)},
      {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
       rules_of_operation(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA)},
      {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
       rules_of_operation(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA)},
      {CUDNN_BACKEND_POINTWISE_DESCRIPTOR,
       {{CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE},
        {CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE},
        {CUDNN_ATTR_POINTWISE_RELU_LOWER_CLIP_SLOPE, CUDNN_TYPE_DOUBLE, 1, 1, false}}},
      {CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR,
       {{CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, kDescriptor},
        {CUDNN_ATTR_OPERATION_POINTWISE_XDESC, kDescriptor},
        {CUDNN_ATTR_OPERATION_POINTWISE_BDESC, kDescriptor, 1, 1, false},
        {CUDNN_ATTR_OPERATION_POINTWISE_YDESC, kDescriptor}}},
      {CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR,  // the handle: before 9.8
       {{CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE},
        {CUDNN_ATTR_OPERATIONGRAPH_OPS, kDescriptor, 1, kMany}}},
      {CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR,
       {{CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, kDescriptor},
        {CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE}}},
      {CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR,
       {{CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE},
        {CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, kDescriptor}}},
      {CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR,
       {{CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, kInt, 1, kMany},
        {CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, 1, kMany},
        {CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, 1, false}}},
      // These are filled by what they are read from.
      {CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, {}},
      {CUDNN_BACKEND_ENGINE_DESCRIPTOR, {}},
      {CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR, {}}};
  static const std::vector<Rule> none;
  const auto found = all.find(type);
  return found == all.end() ? none : found->second;
}

// Values of a descriptor that has all that is required.
template <class T>
T value(const Descriptor& d, cudnnBackendAttributeName_t name, std::size_t i = 0, T absent = {}) {
  const auto found = d.values.find(name);
  if (found == d.values.end()) return absent;
  T v;
  std::memcpy(&v, found->second.bytes.data() + i * sizeof(T), sizeof(T));
  return v;
}
std::int64_t whole(const Descriptor& d, cudnnBackendAttributeName_t name, std::size_t i = 0) {
  return value<std::int64_t>(d, name, i);
}
// What a finalized descriptor among the values means; null where it is not finalized or is another.
template <class T>
const T* meaning(const Descriptor& d, cudnnBackendAttributeName_t name, std::size_t i = 0) {
  const Descriptor* const other = find(value<void*>(d, name, i));
  return other && other->finalized ? std::get_if<T>(&other->meaning) : nullptr;
}

constexpr auto kBad = CUDNN_STATUS_BAD_PARAM;
constexpr auto kNotFinalized = CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED;

cudnnStatus_t finalize_tensor(Descriptor& d) {
  TensorNode t{.id = whole(d, CUDNN_ATTR_TENSOR_UNIQUE_ID),
               .alignment = whole(d, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT),
               .type = value<cudnnDataType_t>(d, CUDNN_ATTR_TENSOR_DATA_TYPE)};
  std::int64_t* const dimensions[] = {&t.n, &t.c, &t.h, &t.w};
  for (std::size_t i = 0; i < 4; ++i) {
    *dimensions[i] = whole(d, CUDNN_ATTR_TENSOR_DIMENSIONS, i);
    if (*dimensions[i] < 1) return kBad;
  }
  t.in_memory = !value<bool>(d, CUDNN_ATTR_TENSOR_IS_VIRTUAL);
  if (t.type != CUDNN_DATA_FLOAT && t.type != CUDNN_DATA_HALF && t.type != CUDNN_DATA_BFLOAT16)
    return CUDNN_STATUS_NOT_SUPPORTED_DATA_TYPE;
  if (t.alignment < 1 || t.alignment % (t.half() ? 2 : 4) != 0) return kBad;
  const std::int64_t strides[] = {t.h * t.w * t.c, 1, t.w * t.c, t.c};
  for (std::size_t i = 0; i < 4; ++i)
    if (whole(d, CUDNN_ATTR_TENSOR_STRIDES, i) != strides[i])
      return CUDNN_STATUS_NOT_SUPPORTED_LAYOUT;
  d.meaning = t;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t finalize_convolution(Descriptor& d) {
  if (value<cudnnConvolutionMode_t>(d, CUDNN_ATTR_CONVOLUTION_CONV_MODE) !=
          CUDNN_CROSS_CORRELATION ||
      value<cudnnDataType_t>(d, CUDNN_ATTR_CONVOLUTION_COMP_TYPE) != CUDNN_DATA_FLOAT)
    return CUDNN_STATUS_NOT_SUPPORTED;
  if (whole(d, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS) != 2) return kBad;
  Operation o{};
  for (std::size_t i = 0; i < 2; ++i) {
    o.pad[i] = whole(d, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, i);
    o.stride[i] = whole(d, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, i);
    o.dilation[i] = whole(d, CUDNN_ATTR_CONVOLUTION_DILATIONS, i);
    if (o.pad[i] < 0 || o.stride[i] < 1 || o.dilation[i] < 1) return kBad;
    if (whole(d, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, i) != o.pad[i])
      return CUDNN_STATUS_NOT_SUPPORTED_PADDING;
  }
  d.meaning = ConvolutionOperator{o};
  return CUDNN_STATUS_SUCCESS;
}

// first: the attribute of alpha; x, filters and y follow in an order of each direction's own.
cudnnStatus_t finalize_operation(Descriptor& d, int first, std::array<int, 3> tensors) {
  const auto name = [&](int i) { return static_cast<cudnnBackendAttributeName_t>(first + i); };
  const auto* const convolution = meaning<ConvolutionOperator>(d, name(2));
  const TensorNode* nodes[3];
  for (std::size_t i = 0; i < 3; ++i) nodes[i] = meaning<TensorNode>(d, name(tensors[i]));
  if (!convolution || !nodes[0] || !nodes[1] || !nodes[2]) return kNotFinalized;
  Operation o = convolution->geometry;
  o.kind = d.type;
  o.x = *nodes[0], o.w = *nodes[1], o.y = *nodes[2];
  o.alpha = value<float>(d, name(0)), o.beta = value<float>(d, name(1));
  d.meaning = o;
  return check_operation(o);
}

cudnnStatus_t finalize_pointwise(Descriptor& d) {
  if (value<cudnnDataType_t>(d, CUDNN_ATTR_POINTWISE_MATH_PREC) != CUDNN_DATA_FLOAT)
    return CUDNN_STATUS_NOT_SUPPORTED_DATA_TYPE;
  d.meaning = PointwiseOperator{value<cudnnPointwiseMode_t>(d, CUDNN_ATTR_POINTWISE_MODE),
                                value<double>(d, CUDNN_ATTR_POINTWISE_RELU_LOWER_CLIP_SLOPE)};
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t finalize_pointwise_operation(Descriptor& d) {
  const auto* const pointwise =
      meaning<PointwiseOperator>(d, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR);
  const auto* const x = meaning<TensorNode>(d, CUDNN_ATTR_OPERATION_POINTWISE_XDESC);
  const auto* const y = meaning<TensorNode>(d, CUDNN_ATTR_OPERATION_POINTWISE_YDESC);
  if (!pointwise || !x || !y) return kNotFinalized;
  Operation o{.kind = d.type, .x = *x, .w = {}, .y = *y};
  o.mode = pointwise->mode, o.slope = pointwise->slope;
  if (o.binary() != d.values.contains(CUDNN_ATTR_OPERATION_POINTWISE_BDESC)) return kBad;
  if (o.binary()) {
    const auto* const b = meaning<TensorNode>(d, CUDNN_ATTR_OPERATION_POINTWISE_BDESC);
    if (!b) return kNotFinalized;
    o.w = *b;
  }
  d.meaning = o;
  return check_operation(o);
}

cudnnStatus_t finalize_graph(Descriptor& d) {
  OperationList g;
  const auto count = d.values.at(CUDNN_ATTR_OPERATIONGRAPH_OPS).count;
  for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
    const auto* const o = meaning<Operation>(d, CUDNN_ATTR_OPERATIONGRAPH_OPS, i);
    if (!o) return kNotFinalized;
    g.operations.push_back(*o);
  }
  d.meaning = g;
  return check_graph(g);
}

cudnnStatus_t finalize_heuristic(Descriptor& d) {
  const auto* const g = meaning<OperationList>(d, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH);
  if (!g) return kNotFinalized;
  d.meaning =
      Heuristic{proposals(*g, value<cudnnBackendHeurMode_t>(d, CUDNN_ATTR_ENGINEHEUR_MODE))};
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t finalize_plan(Descriptor& d) {
  const auto* const config = meaning<EngineConfig>(d, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG);
  if (!config) return kNotFinalized;
  d.meaning = Plan{*config};
  return compile(*config);
}

cudnnStatus_t finalize_pack(Descriptor& d) {
  const auto ids = d.values.at(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS).count;
  if (ids != d.values.at(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS).count) return kBad;
  Pack pack{.pointers = {}, .workspace = value<void*>(d, CUDNN_ATTR_VARIANT_PACK_WORKSPACE)};
  for (std::size_t i = 0; i < static_cast<std::size_t>(ids); ++i)
    pack.pointers[whole(d, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, i)] =
        value<void*>(d, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, i);
  if (std::ssize(pack.pointers) != ids) return CUDNN_STATUS_BAD_PARAM_DUPLICATED_ENTRIES;
  d.meaning = std::move(pack);
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t finalize(Descriptor& d) {
  switch (d.type) {
    case CUDNN_BACKEND_TENSOR_DESCRIPTOR:
      return finalize_tensor(d);
    case CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR:
      return finalize_convolution(d);
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR:  // filters, x, y
      return finalize_operation(d, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, {4, 3, 5});
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR:  // filters, dx, dy
      return finalize_operation(d, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA, {4, 3, 5});
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR:  // dw, x, dy
      return finalize_operation(d, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA, {4, 3, 5});
    case CUDNN_BACKEND_POINTWISE_DESCRIPTOR:
      return finalize_pointwise(d);
    case CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR:
      return finalize_pointwise_operation(d);
    case CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR:
      return finalize_graph(d);
    case CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR:
      return finalize_heuristic(d);
    case CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR:
      return finalize_plan(d);
    case CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR:
      return finalize_pack(d);
    default:
      return CUDNN_STATUS_NOT_SUPPORTED;
  }
}

// Descriptors of one type that are filled with what is read.
template <class T>
cudnnStatus_t fill(const std::vector<T>& from, cudnnBackendDescriptorType_t type, std::int64_t max,
                   std::int64_t* count, void* to) {
  *count = std::ssize(from);
  for (std::int64_t i = 0; i < std::min<std::int64_t>(max, *count); ++i) {
    Descriptor* const d = find(static_cast<void**>(to)[i]);
    if (!d || d->type != type) return CUDNN_STATUS_BAD_PARAM_DESCRIPTOR_TYPE;
    if (d->finalized) return kBad;
    d->meaning = from[static_cast<std::size_t>(i)];
    d->finalized = true;
  }
  return CUDNN_STATUS_SUCCESS;
}

template <class T>
cudnnStatus_t copy(const std::vector<T>& from, std::int64_t max, std::int64_t* count, void* to) {
  *count = std::ssize(from);
  std::copy_n(from.data(), std::min<std::int64_t>(max, *count), static_cast<T*>(to));
  return CUDNN_STATUS_SUCCESS;
}

struct Read {  // of an attribute: what it is asked as, and where it goes
  cudnnBackendAttributeName_t name;
  cudnnBackendAttributeType_t type;
  std::int64_t max;
  std::int64_t* count;
  void* to;
  bool is(cudnnBackendAttributeName_t n, cudnnBackendAttributeType_t t) const {
    return name == n && type == t;
  }
};

cudnnStatus_t read_engine(const EngineConfig& e, const Read& r) {
  if (r.is(CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64))
    return copy<std::int64_t>({e.index}, r.max, r.count, r.to);
  if (r.is(CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE))
    return copy(e.notes, r.max, r.count, r.to);
  if (r.is(CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE, CUDNN_TYPE_BEHAVIOR_NOTE)) {
    std::vector<cudnnBackendBehaviorNote_t> notes;
    if (e.compiled) notes.push_back(CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION);
    return copy(notes, r.max, r.count, r.to);
  }
  return kBad;
}

cudnnStatus_t read(const Descriptor& d, const Read& r) {
  if (const auto* const h = std::get_if<Heuristic>(&d.meaning))
    return r.is(CUDNN_ATTR_ENGINEHEUR_RESULTS, kDescriptor)
               ? fill(h->results, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, r.max, r.count, r.to)
               : kBad;
  if (const auto* const c = std::get_if<EngineConfig>(&d.meaning)) {
    if (r.is(CUDNN_ATTR_ENGINECFG_ENGINE, kDescriptor))
      return fill(std::vector{EngineOf{*c}}, CUDNN_BACKEND_ENGINE_DESCRIPTOR, r.max, r.count, r.to);
    std::vector<Knob> knobs;
    for (const auto& [type, v] : c->knobs) knobs.push_back({type, v});
    return r.is(CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, kDescriptor)
               ? fill(knobs, CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR, r.max, r.count, r.to)
               : kBad;
  }
  if (const auto* const e = std::get_if<EngineOf>(&d.meaning)) return read_engine(e->config, r);
  if (const auto* const k = std::get_if<Knob>(&d.meaning)) {
    if (r.is(CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE))
      return copy(std::vector{k->type}, r.max, r.count, r.to);
    if (r.is(CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, CUDNN_TYPE_INT64))
      return copy(std::vector{k->value}, r.max, r.count, r.to);
  }
  if (const auto* const p = std::get_if<Plan>(&d.meaning))
    if (r.is(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64))
      return copy<std::int64_t>({p->config.workspace}, r.max, r.count, r.to);
  return kBad;
}

}  // namespace

extern "C" {

cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t type,
                                           cudnnBackendDescriptor_t* descriptor) {
  const Lock lock(Gpus::instance().mutex());
  auto d = std::make_unique<Descriptor>(Descriptor{.type = type, .values = {}, .meaning = {}});
  live().insert(d.get());
  *descriptor = d.release();
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t descriptor) {
  const Lock lock(Gpus::instance().mutex());
  Descriptor* const d = find(descriptor);
  if (!d) return CUDNN_STATUS_BAD_PARAM;
  live().erase(d);
  delete d;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t descriptor,
                                       cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, std::int64_t count,
                                       const void* values) {
  const Lock lock(Gpus::instance().mutex());
  Descriptor* const d = find(descriptor);
  if (!d || !values) return CUDNN_STATUS_BAD_PARAM_NULL_POINTER;
  const auto& known = rules(d->type);
  const auto rule = std::ranges::find(known, name, &Rule::name);
  if (d->finalized || rule == known.end()) return kBad;
  if (rule->type != type) return CUDNN_STATUS_BAD_PARAM_ATTRIBUTE_TYPE;
  if (count < rule->min || count > rule->max) return kBad;
  const auto* const from = static_cast<const unsigned char*>(values);
  d->values[name] = {{from, from + static_cast<std::size_t>(count) * size_of(type)}, count};
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendFinalize(cudnnBackendDescriptor_t descriptor) {
  const Lock lock(Gpus::instance().mutex());
  Descriptor* const d = find(descriptor);
  if (!d) return CUDNN_STATUS_BAD_PARAM_NULL_POINTER;
  if (d->finalized) return kBad;
  for (const Rule& r : rules(d->type))
    if (r.required && !d->values.contains(r.name)) return kBad;
  const cudnnStatus_t status = finalize(*d);
  d->finalized = status == CUDNN_STATUS_SUCCESS;
  return status;
}

cudnnStatus_t cudnnBackendGetAttribute(cudnnBackendDescriptor_t descriptor,
                                       cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, std::int64_t max,
                                       std::int64_t* count, void* to) {
  const Lock lock(Gpus::instance().mutex());
  const Descriptor* const d = find(descriptor);
  if (!d || !count || (max > 0 && !to)) return CUDNN_STATUS_BAD_PARAM_NULL_POINTER;
  if (!d->finalized) return CUDNN_STATUS_NOT_INITIALIZED;
  return read(*d, {name, type, max, count, to});
}

cudnnStatus_t cudnnBackendExecute(cudnnHandle_t handle, cudnnBackendDescriptor_t plan,
                                  cudnnBackendDescriptor_t pack) {
  const Lock lock(Gpus::instance().mutex());
  const Descriptor *const p = find(plan), *const v = find(pack);
  if (!p || !v) return CUDNN_STATUS_BAD_PARAM_NULL_POINTER;
  if (!p->finalized || !v->finalized) return kNotFinalized;
  const auto* const planned = std::get_if<Plan>(&p->meaning);
  const auto* const given = std::get_if<Pack>(&v->meaning);
  if (!planned || !given) return CUDNN_STATUS_BAD_PARAM_DESCRIPTOR_TYPE;
  return execute(*reinterpret_cast<const LibraryHandle*>(handle), planned->config, given->pointers,
                 given->workspace);
}

}  // extern "C"
