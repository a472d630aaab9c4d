// Graphs of the emulated cuDNN for tests: a convolution and what may follow it, built step by step,
// so that a test can spoil any of them.
#pragma once
#include <cudnn.h>

#include <bit>
#include <cstdint>
#include <map>

#include "tests/emulator/runtime_fixture.h"

namespace emulator {

using Descriptor = cudnnBackendDescriptor_t;
using Numbers = std::vector<std::int64_t>;

inline constexpr auto kOk = CUDNN_STATUS_SUCCESS;
inline constexpr auto kBad = CUDNN_STATUS_BAD_PARAM;
inline constexpr auto kForward = CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR;
inline constexpr auto kData = CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR;
inline constexpr auto kFilters = CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR;
inline constexpr cudnnDataType_t kTypes[] = {CUDNN_DATA_FLOAT, CUDNN_DATA_HALF,
                                             CUDNN_DATA_BFLOAT16};

inline std::uint16_t as_16_bits(cudnnDataType_t type, float x) {
  if (type == CUDNN_DATA_HALF) return std::bit_cast<std::uint16_t>(static_cast<_Float16>(x));
  return static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(x) >> 16);
}

// A convolution of NHWC tensors; the tests change it.
struct Call {
  cudnnBackendDescriptorType_t kind = kForward;
  cudnnDataType_t x_type = CUDNN_DATA_FLOAT, w_type = x_type, y_type = x_type;
  std::int64_t n = 1, c = 4, h = 5, w = 6, filters = 4, size_y = 3, size_x = 3, groups = 1;
  std::int64_t pad_y = 1, pad_x = 1, stride_y = 1, stride_x = 1, dilation_y = 1, dilation_x = 1;
  float alpha = 1, beta = 0;
  std::int64_t out_h = 0, out_c = 0, filter_channels = 0;  // other than they should be

  std::int64_t filter_c() const { return filter_channels ? filter_channels : c / groups; }
  std::int64_t height() const {
    return out_h ? out_h : (h + 2 * pad_y - (size_y - 1) * dilation_y - 1) / stride_y + 1;
  }
  std::int64_t width() const {
    return (w + 2 * pad_x - (size_x - 1) * dilation_x - 1) / stride_x + 1;
  }
  Numbers x() const { return {n, c, h, w}; }
  Numbers weights() const { return {filters, filter_c(), size_y, size_x}; }
  Numbers y() const { return {n, out_c ? out_c : filters, height(), width()}; }
  Call typed(cudnnDataType_t t) const {
    Call c = *this;
    c.x_type = c.w_type = c.y_type = t;
    return c;
  }
  // f(index in x, index in the filters, index in y) of every product.
  template <class F>
  void for_products(F f) const {
    for (std::int64_t in = 0; in < n; ++in)
      for (std::int64_t k = 0; k < filters; ++k)
        for (std::int64_t oy = 0; oy < height(); ++oy)
          for (std::int64_t ox = 0; ox < width(); ++ox)
            for (std::int64_t j = 0; j < filter_c(); ++j)
              for (std::int64_t ky = 0; ky < size_y; ++ky)
                for (std::int64_t kx = 0; kx < size_x; ++kx) {
                  const std::int64_t iy = oy * stride_y + ky * dilation_y - pad_y;
                  const std::int64_t ix = ox * stride_x + kx * dilation_x - pad_x;
                  if (iy < 0 || iy >= h || ix < 0 || ix >= w) continue;
                  const std::int64_t channel = k / (filters / groups) * filter_c() + j;
                  f(static_cast<std::size_t>(((in * h + iy) * w + ix) * c + channel),
                    static_cast<std::size_t>(((k * size_y + ky) * size_x + kx) * filter_c() + j),
                    static_cast<std::size_t>(((in * height() + oy) * width() + ox) * filters + k));
                }
  }
};

inline std::size_t product(const Numbers& n) {
  std::int64_t all = 1;
  for (const std::int64_t i : n) all *= i;
  return static_cast<std::size_t>(all);
}

// Small whole numbers, whose sums every type holds exactly.
inline std::vector<float> numbers(std::size_t n, int period) {
  std::vector<float> v(n);
  for (std::size_t i = 0; i < n; ++i)
    v[i] = static_cast<float>(static_cast<int>(i * 11 % 17) % period - period / 2);
  return v;
}

inline std::vector<float> convolved(const Call& c) {
  const std::vector<float> x = numbers(product(c.x()), 5), w = numbers(product(c.weights()), 3);
  std::vector<float> y(product(c.y()));
  c.for_products([&](auto i, auto k, auto o) { y[o] += x[i] * w[k]; });
  return y;
}

// An engine that was proposed.
struct Proposal {
  Descriptor config = nullptr;
  std::int64_t index = 0;
  std::vector<cudnnBackendNumericalNote_t> notes;
  bool has(cudnnBackendNumericalNote_t n) const { return std::ranges::count(notes, n) > 0; }
};

class CudnnGraph : public Runtime {
 protected:
  void SetUp() override {
    Runtime::SetUp();
    EXPECT_EQ(cudnnCreate(&handle_), kOk);
    EXPECT_EQ(cudnnSetStream(handle_, a_), kOk);
  }
  void TearDown() override {
    for (const Descriptor d : descriptors_) EXPECT_EQ(cudnnBackendDestroyDescriptor(d), kOk);
    EXPECT_EQ(cudnnDestroy(handle_), kOk);
    Runtime::TearDown();
  }

  Descriptor make(cudnnBackendDescriptorType_t type) {
    Descriptor d = nullptr;
    EXPECT_EQ(cudnnBackendCreateDescriptor(type, &d), kOk);
    descriptors_.push_back(d);
    return d;
  }
  template <class T>
  static cudnnStatus_t set(Descriptor d, cudnnBackendAttributeName_t name,
                           cudnnBackendAttributeType_t type, const std::vector<T>& values) {
    return cudnnBackendSetAttribute(d, name, type, std::ssize(values), values.data());
  }
  template <class T>
  static std::vector<T> get(Descriptor d, cudnnBackendAttributeName_t name,
                            cudnnBackendAttributeType_t type) {
    std::vector<T> values(16);
    std::int64_t count = 0;
    EXPECT_EQ(cudnnBackendGetAttribute(d, name, type, 16, &count, values.data()), kOk);
    values.resize(static_cast<std::size_t>(count));
    return values;
  }

  // Dimensions by n, c, h, w.
  Descriptor tensor(std::int64_t id, cudnnDataType_t type, const Numbers& d,
                    bool in_memory = true) {
    const Descriptor t = make(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    set<std::int64_t>(t, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, {id});
    set(t, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, std::vector{type});
    set<std::int64_t>(t, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, {16});
    set(t, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, d);
    set<std::int64_t>(t, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64,
                      {d[1] * d[2] * d[3], 1, d[1] * d[3], d[1]});
    const bool is_virtual = !in_memory;
    EXPECT_EQ(cudnnBackendSetAttribute(t, CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1,
                                       &is_virtual),
              kOk);
    return t;
  }
  Descriptor finalized(Descriptor d, cudnnStatus_t status = kOk) {
    EXPECT_EQ(cudnnBackendFinalize(d), status);
    return d;
  }
  Descriptor convolution(const Call& c) {
    const Descriptor d = make(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
    const Numbers pad{c.pad_y, c.pad_x};
    set(d, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, std::vector{CUDNN_DATA_FLOAT});
    set(d, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE,
        std::vector{CUDNN_CROSS_CORRELATION});
    set<std::int64_t>(d, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, {2});
    set(d, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, pad);
    set(d, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, pad);
    set<std::int64_t>(d, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64,
                      {c.stride_y, c.stride_x});
    set<std::int64_t>(d, CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64,
                      {c.dilation_y, c.dilation_x});
    return d;
  }
  // Not finalized. y: the tensor that stands for it; null: one in memory with id 3.
  Descriptor operation(const Call& c, Descriptor y = nullptr) {
    const Descriptor o = make(c.kind);
    const int first = c.kind == kForward ? CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA
                      : c.kind == kData  ? CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA
                                         : CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA;
    const auto name = [&](int i) { return static_cast<cudnnBackendAttributeName_t>(first + i); };
    const std::map<int, Descriptor> parts{{2, finalized(convolution(c))},
                                          {3, finalized(tensor(2, c.w_type, c.weights()))},
                                          {4, finalized(tensor(1, c.x_type, c.x()))},
                                          {5, y ? y : finalized(tensor(3, c.y_type, c.y()))}};
    EXPECT_EQ(set(o, name(0), CUDNN_TYPE_FLOAT, std::vector{c.alpha}), kOk);
    EXPECT_EQ(set(o, name(1), CUDNN_TYPE_FLOAT, std::vector{c.beta}), kOk);
    for (const auto& [i, d] : parts)
      EXPECT_EQ(set(o, name(i), CUDNN_TYPE_BACKEND_DESCRIPTOR, std::vector{d}), kOk);
    return o;
  }
  // Not finalized. b: null where the mode takes one tensor.
  Descriptor pointwise(cudnnPointwiseMode_t mode, Descriptor a, Descriptor b, Descriptor y,
                       double slope = 0) {
    const Descriptor p = make(CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
    set(p, CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, std::vector{mode});
    set(p, CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, std::vector{CUDNN_DATA_FLOAT});
    set(p, CUDNN_ATTR_POINTWISE_RELU_LOWER_CLIP_SLOPE, CUDNN_TYPE_DOUBLE, std::vector{slope});
    const Descriptor o = make(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    const auto refer = [&](cudnnBackendAttributeName_t name, Descriptor d) {
      EXPECT_EQ(set(o, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, std::vector{d}), kOk);
    };
    refer(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, finalized(p));
    refer(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, a);
    if (b) refer(CUDNN_ATTR_OPERATION_POINTWISE_BDESC, b);
    refer(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, y);
    return o;
  }
  Descriptor graph(const std::vector<Descriptor>& operations) {
    const Descriptor g = make(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    set(g, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, std::vector{handle_});
    set(g, CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, operations);
    return g;
  }
  Descriptor graph_of(const Call& c) { return finalized(graph({finalized(operation(c))})); }

  std::vector<Proposal> proposals(Descriptor g, cudnnBackendHeurMode_t mode = CUDNN_HEUR_MODE_A) {
    const Descriptor h = make(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
    set(h, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, CUDNN_TYPE_BACKEND_DESCRIPTOR, std::vector{g});
    set(h, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, std::vector{mode});
    finalized(h);
    std::int64_t count = 0;
    EXPECT_EQ(cudnnBackendGetAttribute(h, CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                       CUDNN_TYPE_BACKEND_DESCRIPTOR, 0, &count, nullptr),
              kOk);
    std::vector<Descriptor> configs;
    for (std::int64_t i = 0; i < count; ++i)
      configs.push_back(make(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR));
    EXPECT_EQ(
        cudnnBackendGetAttribute(h, CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                                 count, &count, configs.data()),
        kOk);
    std::vector<Proposal> all;
    for (const Descriptor config : configs) all.push_back(described(config));
    return all;
  }
  Proposal described(Descriptor config) {
    Descriptor engine = make(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
    std::int64_t count = 0;
    EXPECT_EQ(cudnnBackendGetAttribute(config, CUDNN_ATTR_ENGINECFG_ENGINE,
                                       CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &count, &engine),
              kOk);
    return {config,
            get<std::int64_t>(engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64).at(0),
            get<cudnnBackendNumericalNote_t>(engine, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE,
                                             CUDNN_TYPE_NUMERICAL_NOTE)};
  }
  Descriptor plan(Descriptor config) {
    const Descriptor p = make(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
    set(p, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, std::vector{handle_});
    set(p, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, CUDNN_TYPE_BACKEND_DESCRIPTOR,
        std::vector{config});
    return p;
  }
  // By an engine that rounds nothing.
  Descriptor plan_of(Descriptor g) {
    for (const auto mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK})
      for (const Proposal& p : proposals(g, mode))
        if (!p.has(CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS) &&
            !p.has(CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION))
          return finalized(plan(p.config));
    ADD_FAILURE() << "no proposal";
    return nullptr;
  }
  static std::int64_t workspace_of(Descriptor p) {
    return get<std::int64_t>(p, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64).at(0);
  }

  // Pointers of the tensors 1, 2, 3, ...
  Descriptor pack(const std::vector<const void*>& pointers, void* workspace) {
    const Descriptor v = make(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
    Numbers ids;
    for (std::size_t i = 1; i <= pointers.size(); ++i) ids.push_back(static_cast<std::int64_t>(i));
    set(v, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, ids);
    set(v, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, pointers);
    set(v, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, std::vector{workspace});
    return v;
  }
  cudnnStatus_t run(Descriptor p, const std::vector<const void*>& pointers) {
    return cudnnBackendExecute(
        handle_, p,
        finalized(pack(pointers,
                       on_device<unsigned char>(static_cast<std::size_t>(workspace_of(p)) + 16))));
  }

  void* values(cudnnDataType_t type, const std::vector<float>& v) {
    if (type == CUDNN_DATA_FLOAT) return filled(v);
    std::vector<std::uint16_t> words;
    for (const float x : v) words.push_back(as_16_bits(type, x));
    return filled(words);
  }
  void expect(cudnnDataType_t type, const void* p, const std::vector<float>& v) {
    if (type == CUDNN_DATA_FLOAT) {
      EXPECT_EQ(contents(static_cast<const float*>(p), v.size()), v);
      return;
    }
    std::vector<std::uint16_t> words;
    for (const float x : v) words.push_back(as_16_bits(type, x + 0.f));
    EXPECT_EQ(contents(static_cast<const std::uint16_t*>(p), v.size()), words);
  }
  // x, filters and memory for y.
  std::vector<const void*> memory_for(const Call& c) {
    return {values(c.x_type, numbers(product(c.x()), 5)),
            values(c.w_type, numbers(product(c.weights()), 3)), on_device<float>(product(c.y()))};
  }

  cudnnHandle_t handle_ = nullptr;

 private:
  std::vector<Descriptor> descriptors_;
};

}  // namespace emulator
