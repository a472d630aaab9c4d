// The calls of cuDNN 9 that the program makes: convolutions as plain loops that sum in f64, behind
// the checks of types, layouts, shapes and pointers that NVIDIA's "cuDNN API Reference" documents.
#include <cudnn.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#include "tests/emulator/gpu.h"
#include "tests/emulator/half.h"

using namespace emulator;

namespace {

using Handle = LibraryHandle;
struct Tensor4 {
  cudnnDataType_t type;
  std::int64_t n = 0, c = 0, h = 0, w = 0;
  std::int64_t size() const { return n * c * h * w; }
};
struct Filter {
  cudnnDataType_t type;
  std::int64_t k = 0, c = 0, h = 0, w = 0;  // c: of one group
  std::int64_t size() const { return k * c * h * w; }
};
struct Convolution {
  std::int64_t pad_y = 0, pad_x = 0, stride_y = 1, stride_x = 1, dilation_y = 1, dilation_x = 1;
  std::int64_t groups = 1;
  cudnnMathType_t math = CUDNN_DEFAULT_MATH;
};
struct ActivationSettings {
  cudnnActivationMode_t mode;
};

template <class T, class D>
T& of(D descriptor) {
  return *reinterpret_cast<T*>(const_cast<void*>(static_cast<const void*>(descriptor)));
}

bool is_type(cudnnDataType_t t) {
  return t == CUDNN_DATA_FLOAT || t == CUDNN_DATA_HALF || t == CUDNN_DATA_BFLOAT16;
}
std::int64_t bytes_of(cudnnDataType_t t) { return t == CUDNN_DATA_FLOAT ? 4 : 2; }

float get(cudnnDataType_t type, const void* p, std::int64_t i) {
  if (type == CUDNN_DATA_FLOAT) return static_cast<const float*>(p)[i];
  const std::uint16_t bits = static_cast<const std::uint16_t*>(p)[i];
  return type == CUDNN_DATA_HALF ? from_half(bits) : from_bfloat(bits);
}
void put(cudnnDataType_t type, void* p, std::int64_t i, float x) {
  if (type == CUDNN_DATA_FLOAT)
    static_cast<float*>(p)[i] = x;
  else
    static_cast<std::uint16_t*>(p)[i] =
        type == CUDNN_DATA_HALF ? to_half(double{x}) : to_bfloat(double{x});
}

std::int64_t output_size(std::int64_t in, std::int64_t pad, std::int64_t size, std::int64_t stride,
                         std::int64_t dilation) {
  return (in + 2 * pad - ((size - 1) * dilation + 1)) / stride + 1;
}

// What all three directions have in common: x, filters and y fit together.
cudnnStatus_t check_shapes(const Tensor4& x, const Filter& w, const Convolution& c,
                           const Tensor4& y) {
  if (x.h + 2 * c.pad_y < (w.h - 1) * c.dilation_y + 1 ||
      x.w + 2 * c.pad_x < (w.w - 1) * c.dilation_x + 1)
    return CUDNN_STATUS_BAD_PARAM_SHAPE_MISMATCH;
  if (x.c != w.c * c.groups || w.k % c.groups != 0 || y.n != x.n || y.c != w.k ||
      y.h != output_size(x.h, c.pad_y, w.h, c.stride_y, c.dilation_y) ||
      y.w != output_size(x.w, c.pad_x, w.w, c.stride_x, c.dilation_x))
    return CUDNN_STATUS_BAD_PARAM_SHAPE_MISMATCH;
  if (x.type != w.type || x.type != y.type) return CUDNN_STATUS_NOT_SUPPORTED_DATA_TYPE;
  if (x.type != CUDNN_DATA_FLOAT && c.groups > 1 &&
      Gpus::instance().options().refuses("half-groups"))
    return CUDNN_STATUS_NOT_SUPPORTED_SHAPE;
  if (x.size() >= std::int64_t{1} << 31 || y.size() >= std::int64_t{1} << 31)
    return CUDNN_STATUS_NOT_SUPPORTED_SHAPE;
  return CUDNN_STATUS_SUCCESS;
}

// Visits (x, filter, y) of every product, by runs along the channels of one group: f(offset in x,
// offset in the filters, their length, offset in y).
template <class F>
void for_products(const Tensor4& x, const Filter& w, const Convolution& c, const Tensor4& y, F f) {
  const std::int64_t filters = w.k / c.groups;
  for (std::int64_t n = 0; n < y.n; ++n)
    for (std::int64_t oy = 0; oy < y.h; ++oy)
      for (std::int64_t ox = 0; ox < y.w; ++ox)
        for (std::int64_t ky = 0; ky < w.h; ++ky)
          for (std::int64_t kx = 0; kx < w.w; ++kx) {
            const std::int64_t iy = oy * c.stride_y - c.pad_y + ky * c.dilation_y;
            const std::int64_t ix = ox * c.stride_x - c.pad_x + kx * c.dilation_x;
            if (iy < 0 || ix < 0 || iy >= x.h || ix >= x.w) continue;
            const std::int64_t in = ((n * x.h + iy) * x.w + ix) * x.c;
            const std::int64_t out = ((n * y.h + oy) * y.w + ox) * y.c;
            for (std::int64_t k = 0; k < w.k; ++k)
              f(in + k / filters * w.c, ((k * w.h + ky) * w.w + kx) * w.c, w.c, out + k);
          }
}

void* view(const void* p, std::int64_t bytes, int device) {
  return Gpus::instance().memory().view(p, static_cast<std::size_t>(bytes), device);
}
template <class D>  // all of a tensor or of filters
void* view(const D& d, const void* p, int device) {
  return view(p, d.size() * bytes_of(d.type), device);
}

template <class D>
std::vector<float> wide(const D& d, const void* p, int device) {
  const void* const from = view(d, p, device);
  std::vector<float> v(static_cast<std::size_t>(d.size()));
  for (std::int64_t i = 0; i < d.size(); ++i) v[static_cast<std::size_t>(i)] = get(d.type, from, i);
  return v;
}

// to = alpha v + beta to, as BLAS and cuDNN define it: with beta = 0 it is not read.
template <class D>
void store(const D& d, void* p, int device, const std::vector<double>& v, float alpha, float beta) {
  void* const to = view(d, p, device);
  for (std::size_t i = 0; i < v.size(); ++i) {
    const auto at = static_cast<std::int64_t>(i);
    put(d.type, to, at,
        static_cast<float>(alpha * v[i]) + (beta == 0 ? 0 : beta * get(d.type, to, at)));
  }
}

struct Workspace {
  void* at = nullptr;
  std::int64_t bytes = 0;
  void spoil(int device) const {
    if (bytes > 0)
      std::memset(view(at, bytes, device), Memory::kPoison, static_cast<std::size_t>(bytes));
  }
};

constexpr std::size_t kWorkspaceBytes = 1024;  // that every algorithm asks for

// An algorithm by its number: those that NHWC tensors can have.
bool known_algorithm(int algorithm) { return algorithm == 0 || algorithm == 1; }

cudnnStatus_t check_call(const Tensor4& x, const Filter& w, const Convolution& c, const Tensor4& y,
                         int algorithm, const Workspace& workspace) {
  if (const cudnnStatus_t s = check_shapes(x, w, c, y)) return s;
  if (!known_algorithm(algorithm)) return CUDNN_STATUS_NOT_SUPPORTED;
  if (Gpus::instance().options().refuses("first-algorithm") && algorithm == 1)
    return CUDNN_STATUS_NOT_SUPPORTED_SHARED_MEMORY_INSUFFICIENT;
  if (workspace.bytes < static_cast<std::int64_t>(kWorkspaceBytes))
    return CUDNN_STATUS_BAD_PARAM_SIZE_INSUFFICIENT;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t proposal_status() {
  return Gpus::instance().options().refuses("algorithms") ? CUDNN_STATUS_NOT_SUPPORTED
                                                          : CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t misaligned(std::initializer_list<const void*> pointers) {
  for (const void* p : pointers) {
    if (!p) return CUDNN_STATUS_BAD_PARAM_NULL_POINTER;
    if (reinterpret_cast<Address>(p) % 16 != 0) return CUDNN_STATUS_BAD_PARAM_MISALIGNED_POINTER;
  }
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t issue(const Handle& h, Work work) {
  if (h.device != Gpus::current_device()) return CUDNN_STATUS_BAD_PARAM_STREAM_MISMATCH;
  return Gpus::instance().issue(h.stream, std::move(work)) == cudaSuccess
             ? CUDNN_STATUS_SUCCESS
             : CUDNN_STATUS_EXECUTION_FAILED;
}

struct Added {  // to a convolution by the fused call
  const void* bias = nullptr;
  bool relu = false;
};

cudnnStatus_t forward(const Handle& h, float alpha, const Tensor4& x, const void* in,
                      const Filter& w, const void* weights, const Convolution& c, int algorithm,
                      const Workspace& workspace, float beta, const Tensor4& y, void* out,
                      const Added& added) {
  if (const cudnnStatus_t s = check_call(x, w, c, y, algorithm, workspace)) return s;
  if (const cudnnStatus_t s = misaligned({in, weights, out})) return s;
  return issue(h, [=, device = h.device] {
    workspace.spoil(device);
    const std::vector<float> a = wide(x, in, device), b = wide(w, weights, device);
    const void* const bias =
        added.bias ? view(added.bias, y.c * bytes_of(y.type), device) : nullptr;
    std::vector<double> sums(static_cast<std::size_t>(y.size()));
    for_products(x, w, c, y, [&](std::int64_t i, std::int64_t k, std::int64_t n, std::int64_t o) {
      double sum = 0;
#pragma omp simd reduction(+ : sum)
      for (std::int64_t j = 0; j < n; ++j)
        sum +=
            double{a[static_cast<std::size_t>(i + j)]} * double{b[static_cast<std::size_t>(k + j)]};
      sums[static_cast<std::size_t>(o)] += sum;
    });
    if (bias) {
      for (std::size_t i = 0; i < sums.size(); ++i) {
        sums[i] = alpha * sums[i] + get(y.type, bias, static_cast<std::int64_t>(i) % y.c);
        if (added.relu && !(sums[i] > 0)) sums[i] = 0;  // also a NaN: CUDNN_NOT_PROPAGATE_NAN
      }
    }
    store(y, out, device, sums, bias ? 1 : alpha, beta);
  });
}

// A direction of the backward pass: the sums of out_gradient times `factor`, into `to`. places(i,
// k): of the run of products at i in x and k in the filters, where it begins in `factor` and in
// `to`.
struct Problem {
  Tensor4 x;
  Filter w;
  Convolution c;
  Tensor4 y;
};
struct Scales {
  float alpha, beta;
};
struct Run {
  std::int64_t factor, to;
};
template <class Factor, class To, class Places>
cudnnStatus_t backward(const Handle& h, const Problem& p, int algorithm, const Workspace& workspace,
                       const void* out_gradient, const Factor& of_factor, const void* factor,
                       const To& of_to, void* to, const Scales& scales, Places places) {
  if (const cudnnStatus_t s = check_call(p.x, p.w, p.c, p.y, algorithm, workspace)) return s;
  if (const cudnnStatus_t s = misaligned({out_gradient, factor, to})) return s;
  return issue(h, [=, device = h.device] {
    workspace.spoil(device);
    const std::vector<float> g = wide(p.y, out_gradient, device);
    const std::vector<float> f = wide(of_factor, factor, device);
    std::vector<double> sums(static_cast<std::size_t>(of_to.size()));
    for_products(p.x, p.w, p.c, p.y,
                 [&](std::int64_t i, std::int64_t k, std::int64_t n, std::int64_t o) {
                   const Run run = places(i, k);
                   const double gradient = g[static_cast<std::size_t>(o)];
                   for (std::int64_t j = 0; j < n; ++j)
                     sums[static_cast<std::size_t>(run.to + j)] +=
                         gradient * double{f[static_cast<std::size_t>(run.factor + j)]};
                 });
    store(of_to, to, device, sums, scales.alpha, scales.beta);
  });
}

float number(const void* p) { return *static_cast<const float*>(p); }

}  // namespace

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
  *handle = reinterpret_cast<cudnnHandle_t>(new Handle{nullptr, Gpus::current_device()});
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnDestroy(cudnnHandle_t handle) {
  delete &of<Handle>(handle);
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream) {
  const Lock lock(Gpus::instance().mutex());
  const Stream* const s = Gpus::instance().find(stream);
  if (!s) return CUDNN_STATUS_BAD_PARAM;
  if (s->queue->device() != of<Handle>(handle).device)
    return CUDNN_STATUS_BAD_PARAM_STREAM_MISMATCH;
  of<Handle>(handle).stream = stream;
  return CUDNN_STATUS_SUCCESS;
}

#define DESCRIPTOR(NAME, STRUCT)                                                       \
  cudnnStatus_t cudnnCreate##NAME##Descriptor(cudnn##NAME##Descriptor_t* descriptor) { \
    *descriptor = reinterpret_cast<cudnn##NAME##Descriptor_t>(new STRUCT{});           \
    return CUDNN_STATUS_SUCCESS;                                                       \
  }                                                                                    \
  cudnnStatus_t cudnnDestroy##NAME##Descriptor(cudnn##NAME##Descriptor_t descriptor) { \
    delete &of<STRUCT>(descriptor);                                                    \
    return CUDNN_STATUS_SUCCESS;                                                       \
  }
DESCRIPTOR(Tensor, Tensor4)
DESCRIPTOR(Filter, Filter)
DESCRIPTOR(Convolution, Convolution)
DESCRIPTOR(Activation, ActivationSettings)
#undef DESCRIPTOR

cudnnStatus_t cudnnSetTensor4dDescriptor(cudnnTensorDescriptor_t d, cudnnTensorFormat_t format,
                                         cudnnDataType_t type, int n, int c, int h, int w) {
  if (n < 1 || c < 1 || h < 1 || w < 1) return CUDNN_STATUS_BAD_PARAM;
  if (format != CUDNN_TENSOR_NHWC || !is_type(type)) return CUDNN_STATUS_NOT_SUPPORTED;
  of<Tensor4>(d) = {type, n, c, h, w};
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetFilter4dDescriptor(cudnnFilterDescriptor_t d, cudnnDataType_t type,
                                         cudnnTensorFormat_t format, int k, int c, int h, int w) {
  if (k < 1 || c < 1 || h < 1 || w < 1) return CUDNN_STATUS_BAD_PARAM;
  if (format != CUDNN_TENSOR_NHWC || !is_type(type)) return CUDNN_STATUS_NOT_SUPPORTED;
  of<Filter>(d) = {type, k, c, h, w};
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetConvolution2dDescriptor(cudnnConvolutionDescriptor_t d, int pad_y, int pad_x,
                                              int stride_y, int stride_x, int dilation_y,
                                              int dilation_x, cudnnConvolutionMode_t mode,
                                              cudnnDataType_t compute) {
  if (pad_y < 0 || pad_x < 0 || stride_y < 1 || stride_x < 1 || dilation_y < 1 || dilation_x < 1)
    return CUDNN_STATUS_BAD_PARAM;
  if (mode != CUDNN_CROSS_CORRELATION || compute != CUDNN_DATA_FLOAT)
    return CUDNN_STATUS_NOT_SUPPORTED;
  of<Convolution>(d) = {pad_y, pad_x, stride_y, stride_x, dilation_y, dilation_x};
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetConvolutionGroupCount(cudnnConvolutionDescriptor_t d, int groups) {
  if (groups < 1) return CUDNN_STATUS_BAD_PARAM;
  of<Convolution>(d).groups = groups;
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetConvolutionMathType(cudnnConvolutionDescriptor_t d, cudnnMathType_t math) {
  of<Convolution>(d).math = math;
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetActivationDescriptor(cudnnActivationDescriptor_t d,
                                           cudnnActivationMode_t mode, cudnnNanPropagation_t,
                                           double) {
  of<ActivationSettings>(d) = {mode};
  return CUDNN_STATUS_SUCCESS;
}

// Two proposals for every shape: the second is slower, and deterministic where the first is not.
#define PROPOSALS(DIRECTION, SHORT, A, B, C)                                                      \
  cudnnStatus_t cudnnGetConvolution##DIRECTION##Algorithm_v7(                                     \
      cudnnHandle_t, const A##_t, const B##_t, const cudnnConvolutionDescriptor_t c, const C##_t, \
      const int most, int* count, cudnnConvolution##SHORT##AlgoPerf_t* proposals) {               \
    *count = most < 2 ? most : 2;                                                                 \
    for (int i = 0; i < *count; ++i) {                                                            \
      proposals[i] = {};                                                                          \
      proposals[i].algo = static_cast<cudnnConvolution##SHORT##Algo_t>(1 - i);                    \
      proposals[i].status = proposal_status();                                                    \
      proposals[i].memory = kWorkspaceBytes;                                                      \
      proposals[i].determinism = i == 0 ? CUDNN_NON_DETERMINISTIC : CUDNN_DETERMINISTIC;          \
      proposals[i].mathType = of<Convolution>(c).math;                                            \
    }                                                                                             \
    return CUDNN_STATUS_SUCCESS;                                                                  \
  }
PROPOSALS(Forward, Fwd, cudnnTensorDescriptor, cudnnFilterDescriptor, cudnnTensorDescriptor)
PROPOSALS(BackwardData, BwdData, cudnnFilterDescriptor, cudnnTensorDescriptor,
          cudnnTensorDescriptor)
PROPOSALS(BackwardFilter, BwdFilter, cudnnTensorDescriptor, cudnnTensorDescriptor,
          cudnnFilterDescriptor)
#undef PROPOSALS

cudnnStatus_t cudnnGetConvolutionForwardWorkspaceSize(
    cudnnHandle_t, const cudnnTensorDescriptor_t x, const cudnnFilterDescriptor_t w,
    const cudnnConvolutionDescriptor_t c, const cudnnTensorDescriptor_t y,
    cudnnConvolutionFwdAlgo_t algorithm, std::size_t* bytes) {
  *bytes = kWorkspaceBytes;
  if (!known_algorithm(algorithm)) return CUDNN_STATUS_NOT_SUPPORTED;
  return check_shapes(of<Tensor4>(x), of<Filter>(w), of<Convolution>(c), of<Tensor4>(y));
}
cudnnStatus_t cudnnGetConvolutionBackwardDataWorkspaceSize(
    cudnnHandle_t, const cudnnFilterDescriptor_t w, const cudnnTensorDescriptor_t y,
    const cudnnConvolutionDescriptor_t c, const cudnnTensorDescriptor_t x,
    cudnnConvolutionBwdDataAlgo_t algorithm, std::size_t* bytes) {
  *bytes = kWorkspaceBytes;
  if (!known_algorithm(algorithm)) return CUDNN_STATUS_NOT_SUPPORTED;
  return check_shapes(of<Tensor4>(x), of<Filter>(w), of<Convolution>(c), of<Tensor4>(y));
}
cudnnStatus_t cudnnGetConvolutionBackwardFilterWorkspaceSize(
    cudnnHandle_t, const cudnnTensorDescriptor_t x, const cudnnTensorDescriptor_t y,
    const cudnnConvolutionDescriptor_t c, const cudnnFilterDescriptor_t w,
    cudnnConvolutionBwdFilterAlgo_t algorithm, std::size_t* bytes) {
  *bytes = kWorkspaceBytes;
  if (!known_algorithm(algorithm)) return CUDNN_STATUS_NOT_SUPPORTED;
  return check_shapes(of<Tensor4>(x), of<Filter>(w), of<Convolution>(c), of<Tensor4>(y));
}

cudnnStatus_t cudnnConvolutionForward(cudnnHandle_t handle, const void* alpha,
                                      const cudnnTensorDescriptor_t x, const void* in,
                                      const cudnnFilterDescriptor_t w, const void* weights,
                                      const cudnnConvolutionDescriptor_t c,
                                      cudnnConvolutionFwdAlgo_t algorithm, void* workspace,
                                      std::size_t bytes, const void* beta,
                                      const cudnnTensorDescriptor_t y, void* out) {
  const Lock lock(Gpus::instance().mutex());
  return forward(of<Handle>(handle), number(alpha), of<Tensor4>(x), in, of<Filter>(w), weights,
                 of<Convolution>(c), algorithm, {workspace, static_cast<std::int64_t>(bytes)},
                 number(beta), of<Tensor4>(y), out, {});
}

cudnnStatus_t cudnnConvolutionBiasActivationForward(
    cudnnHandle_t handle, const void* alpha, const cudnnTensorDescriptor_t x, const void* in,
    const cudnnFilterDescriptor_t w, const void* weights, const cudnnConvolutionDescriptor_t c,
    cudnnConvolutionFwdAlgo_t algorithm, void* workspace, std::size_t bytes, const void* beta,
    const cudnnTensorDescriptor_t z, const void*, const cudnnTensorDescriptor_t b, const void* bias,
    const cudnnActivationDescriptor_t activation, const cudnnTensorDescriptor_t y, void* out) {
  const Lock lock(Gpus::instance().mutex());
  if (Gpus::instance().options().refuses("fused")) return CUDNN_STATUS_NOT_SUPPORTED_SHAPE;
  const cudnnActivationMode_t mode = of<ActivationSettings>(activation).mode;
  const bool precomputed = algorithm == CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM;
  if (mode != CUDNN_ACTIVATION_RELU && (mode != CUDNN_ACTIVATION_IDENTITY || !precomputed))
    return CUDNN_STATUS_NOT_SUPPORTED;
  const Tensor4 &of_bias = of<Tensor4>(b), &of_out = of<Tensor4>(y);
  if (of_bias.n != 1 || of_bias.h != 1 || of_bias.w != 1 || of_bias.c != of_out.c ||
      of<Tensor4>(z).size() != of_out.size() || in == out)
    return CUDNN_STATUS_BAD_PARAM_SHAPE_MISMATCH;
  if (of_bias.type != of_out.type) return CUDNN_STATUS_NOT_SUPPORTED_DATA_TYPE;
  if (number(beta) != 0) return CUDNN_STATUS_NOT_SUPPORTED;
  if (const cudnnStatus_t s = misaligned({bias})) return s;
  return forward(of<Handle>(handle), number(alpha), of<Tensor4>(x), in, of<Filter>(w), weights,
                 of<Convolution>(c), algorithm, {workspace, static_cast<std::int64_t>(bytes)}, 0,
                 of_out, out, {bias, mode == CUDNN_ACTIVATION_RELU});
}

cudnnStatus_t cudnnConvolutionBackwardData(
    cudnnHandle_t handle, const void* alpha, const cudnnFilterDescriptor_t w_descriptor,
    const void* weights, const cudnnTensorDescriptor_t y_descriptor, const void* out_gradient,
    const cudnnConvolutionDescriptor_t c_descriptor, cudnnConvolutionBwdDataAlgo_t algorithm,
    void* workspace, std::size_t bytes, const void* beta,
    const cudnnTensorDescriptor_t x_descriptor, void* in_gradient) {
  const Lock lock(Gpus::instance().mutex());
  const Problem p{of<Tensor4>(x_descriptor), of<Filter>(w_descriptor),
                  of<Convolution>(c_descriptor), of<Tensor4>(y_descriptor)};
  return backward(of<Handle>(handle), p, algorithm, {workspace, static_cast<std::int64_t>(bytes)},
                  out_gradient, p.w, weights, p.x, in_gradient, {number(alpha), number(beta)},
                  [](std::int64_t i, std::int64_t k) {
                    return Run{k, i};
                  });
}

cudnnStatus_t cudnnConvolutionBackwardFilter(
    cudnnHandle_t handle, const void* alpha, const cudnnTensorDescriptor_t x_descriptor,
    const void* in, const cudnnTensorDescriptor_t y_descriptor, const void* out_gradient,
    const cudnnConvolutionDescriptor_t c_descriptor, cudnnConvolutionBwdFilterAlgo_t algorithm,
    void* workspace, std::size_t bytes, const void* beta,
    const cudnnFilterDescriptor_t w_descriptor, void* weight_gradient) {
  const Lock lock(Gpus::instance().mutex());
  const Problem p{of<Tensor4>(x_descriptor), of<Filter>(w_descriptor),
                  of<Convolution>(c_descriptor), of<Tensor4>(y_descriptor)};
  return backward(of<Handle>(handle), p, algorithm, {workspace, static_cast<std::int64_t>(bytes)},
                  out_gradient, p.x, in, p.w, weight_gradient, {number(alpha), number(beta)},
                  [](std::int64_t i, std::int64_t k) {
                    return Run{i, k};
                  });
}

}  // extern "C"
