#include <algorithm>
#include <array>
#include <limits>
#include <span>

#include "core/copy.h"
#include "core/index.h"
#include "core/log.h"
#include "core/parts.h"
#include "core/split_conv.h"
#include "core/tuning.h"
#include "core/wide_conv.h"
#include "cuda/calls.h"
#include "cuda/plans.h"
#include "kernels/direct_conv.h"

namespace darknet {
namespace {

using namespace cuda;

constexpr std::size_t kWorkspaceLimit = std::size_t{1} << 30;  // Darknet: workspace_size_limit_MB
constexpr int kMaxAlgorithms = 16;
constexpr std::int64_t kMaxElements = std::numeric_limits<int>::max();  // cuDNN's, of a tensor

std::string about(const ConvSpec& s) {
  return cat(to_string(s.in), " filters ", s.filters, " size ", s.size_y, 'x', s.size_x, " stride ",
             s.stride_y, " groups ", s.groups);
}

int to_int(std::int64_t v) {  // cuDNN's dimensions
  if (v > std::numeric_limits<int>::max()) fail("a dimension of ", v, " is too large for cuDNN");
  return static_cast<int>(v);
}

cudnnDataType_t library_type(DType t) {
  if (t == DType::bf16) return CUDNN_DATA_BFLOAT16;
  return t == DType::f16 ? CUDNN_DATA_HALF : CUDNN_DATA_FLOAT;
}

// The library has no convolution for a shape and the options asked for.
struct NoAlgorithm : Error {
  using Error::Error;
};

// Of a call that plans: what the library does not support is no error.
void supported(cudnnStatus_t status, const char* call, const std::string& what) {
  if (CUDNN_STATUS_CATEGORY(status) == CUDNN_STATUS_NOT_SUPPORTED)
    throw NoAlgorithm(cat(call, " (", what, "): ", cudnnGetErrorString(status)));
  check(status, call, what);
}

void describe(const TensorDescriptor& d, const Shape& s, DType type) {
  supported(cudnnSetTensor4dDescriptor(d.get(), CUDNN_TENSOR_NHWC, library_type(type), to_int(s.n),
                                       to_int(s.c), to_int(s.h), to_int(s.w)),
            "cudnnSetTensor4dDescriptor", to_string(s));
}

void describe(const ConvolutionDescriptor& d, const ConvSpec& s, cudnnMathType_t math) {
  supported(cudnnSetConvolution2dDescriptor(
                d.get(), to_int(s.pad_y), to_int(s.pad_x), to_int(s.stride_y), to_int(s.stride_x),
                to_int(s.dilation), to_int(s.dilation), CUDNN_CROSS_CORRELATION, CUDNN_DATA_FLOAT),
            "cudnnSetConvolution2dDescriptor", about(s));
  supported(cudnnSetConvolutionGroupCount(d.get(), to_int(s.groups)),
            "cudnnSetConvolutionGroupCount", about(s));
  supported(cudnnSetConvolutionMathType(d.get(), math), "cudnnSetConvolutionMathType", about(s));
}

// What the library proposed and may be taken.
template <class Algorithm>
struct Candidate {
  Algorithm algorithm{};
  cudnnMathType_t math = CUDNN_DEFAULT_MATH;
  std::int64_t workspace = 0;
  std::string word;  // in a tuning table; "": not planned
};

// A direction: its algorithm, what may stand in for it, and the convolution as it was proposed.
template <class Algorithm>
struct Chosen : Candidate<Algorithm> {
  explicit Chosen(ConvDirection d) : direction(d) {}
  ConvDirection direction;
  ConvolutionDescriptor convolution;
  std::vector<Candidate<Algorithm>> others;  // best first; none needs more workspace
  std::vector<std::string> words;            // of all that are acceptable
  bool tuned = false;                        // by a measured entry of the table
};

// Not those that transform the data (Winograd, FFT): their rounding is another.
bool is_direct(cudnnConvolutionFwdAlgo_t a) {
  return a == CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM ||
         a == CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM ||
         a == CUDNN_CONVOLUTION_FWD_ALGO_DIRECT;
}
bool is_direct(cudnnConvolutionBwdDataAlgo_t a) {
  return a == CUDNN_CONVOLUTION_BWD_DATA_ALGO_0 || a == CUDNN_CONVOLUTION_BWD_DATA_ALGO_1;
}
bool is_direct(cudnnConvolutionBwdFilterAlgo_t a) {
  return a == CUDNN_CONVOLUTION_BWD_FILTER_ALGO_0 || a == CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1 ||
         a == CUDNN_CONVOLUTION_BWD_FILTER_ALGO_3;
}

// The default lets f32 through the tensor cores as TF32. 16 bits are let through as they are: their
// products are exact in f32, in which they are summed, so that -exact has nothing against it.
cudnnMathType_t asked_math(const PlanOptions& o) {
  if (o.precision != DType::f32) return CUDNN_TENSOR_OP_MATH;
  return o.exact ? CUDNN_FMA_MATH : CUDNN_DEFAULT_MATH;
}

template <class Proposal>
bool acceptable(const Proposal& p, const PlanOptions& o) {
  if (p.status != CUDNN_STATUS_SUCCESS || p.memory > kWorkspaceLimit) return false;
  if (o.precision == DType::f32 && p.mathType == CUDNN_TENSOR_OP_MATH_ALLOW_CONVERSION)
    return false;  // it rounds to f16
  const bool rounds = o.precision == DType::f32 && p.mathType != CUDNN_FMA_MATH;
  if (o.exact && (rounds || !is_direct(p.algo))) return false;
  return !o.deterministic || p.determinism == CUDNN_DETERMINISTIC;
}

// "1 fma": an algorithm's number, and the units that compute it.
template <class Proposal>
std::string word_of(const Proposal& p) {
  constexpr const char* kMath[] = {"default", "tensor", "tensor-converted", "fma"};
  const auto math = to_size(p.mathType);
  return cat(static_cast<int>(p.algo), ' ', math < std::size(kMath) ? kMath[math] : "other");
}

// Of the library's proposals, best first: the one that the tuning table names, else the first that
// may be taken, which is a rule of the shape and the card. Nothing is timed. `workspace_of`: asks
// the library, with the convolution as proposed.
template <class Algorithm, class Proposal, class WorkspaceOf>
void choose(Chosen<Algorithm>& chosen, std::span<Proposal> proposals, const ConvSpec& spec,
            const PlanOptions& options, const WorkspaceOf& workspace_of) {
  std::string refused;
  const ConvChoice* const wanted =
      options.tuning ? options.tuning->find(conv_use(chosen.direction, spec, options)) : nullptr;
  const auto is_wanted = [&](const Proposal& p) {
    return wanted && wanted->algorithm == word_of(p);
  };
  for (const Proposal& p : proposals)
    if (acceptable(p, options)) chosen.words.push_back(word_of(p));
  std::stable_partition(proposals.begin(), proposals.end(), is_wanted);
  for (const Proposal& p : proposals) {
    refused += cat(refused.empty() ? "" : ", ", static_cast<int>(p.algo), ": ",
                   cudnnGetErrorString(p.status), ' ', p.memory, " bytes");
    if (!acceptable(p, options)) continue;
    describe(chosen.convolution, spec, p.mathType);
    std::size_t bytes = 0;
    if (workspace_of(p.algo, bytes) != CUDNN_STATUS_SUCCESS || bytes > kWorkspaceLimit) continue;
    const Candidate<Algorithm> candidate{p.algo, p.mathType, static_cast<std::int64_t>(bytes),
                                         word_of(p)};
    if (!chosen.word.empty()) {
      if (candidate.workspace <= chosen.workspace) chosen.others.push_back(candidate);
      continue;
    }
    static_cast<Candidate<Algorithm>&>(chosen) = candidate;
    chosen.tuned = is_wanted(p) && wanted->milliseconds > 0;
  }
  if (!chosen.word.empty()) {
    describe(chosen.convolution, spec, chosen.math);
    return;
  }
  throw NoAlgorithm(cat("cuDNN (", about(spec), "): none of its algorithms can be taken",
                        options.exact ? " with -exact" : "",
                        options.deterministic ? " with -deterministic" : "", "; it proposed ",
                        refused));
}

// Whether a call that answered this can be tried in another way: not where it was wrong, where the
// device is in error, or where a capture would keep what was captured of it.
bool may_retry(const Stream& stream, cudnnStatus_t status, bool adds) {
  const cudnnStatus_t category = CUDNN_STATUS_FULL_ERROR_CODE(CUDNN_STATUS_CATEGORY(status), 0);
  const bool refused = category == CUDNN_STATUS_NOT_SUPPORTED;
  if (!refused && (adds || category != CUDNN_STATUS_EXECUTION_FAILED)) return false;
  cudaStreamCaptureStatus capture = cudaStreamCaptureStatusNone;
  check(cudaStreamIsCapturing(native(stream), &capture), "cudaStreamIsCapturing");
  if (capture != cudaStreamCaptureStatusNone) return false;
  cudaGetLastError();                                    // not to be found by the next launch
  check(cudaPeekAtLastError(), "the device before it");  // an error that stays
  return true;
}

TensorView vector_view(const void* data, DType type, std::int64_t n) {
  return {const_cast<void*>(data), type, vector_shape(n), n};
}

// All its tensors have one element type, as cuDNN's convolutions ask for: also weights, their
// gradient and the bias, which a plan of 16 bits therefore converts from and to f32. Sums are f32.
class CudaConvPlan final : public ConvPlan {
 public:
  CudaConvPlan(const ConvSpec& spec, const Epilogue& epilogue, const PlanOptions& options);

  Epilogue fused() const override { return fused_; }
  std::int64_t workspace() const override {
    return std::max({bias_at() + (half() ? spec_.filters * 2 : 0), data_.workspace,
                     gradient_at() + (half() && has_weights_ ? spec_.weights() * 2 : 0)});
  }
  std::string description() const override;
  std::string algorithm(ConvDirection) const override;
  std::vector<std::string> algorithms(ConvDirection) const override;
  void set_weights(const Stream&, const float* weights, void*) override;
  void forward(const Stream&, TensorView in, const float* bias, TensorView out,
               void* workspace) override;
  void backward_data(const Stream&, TensorView out_gradient, TensorView in_gradient, bool add,
                     void* workspace) override;
  void backward_weights(const Stream&, TensorView in, TensorView out_gradient,
                        float* weight_gradient, void* workspace) override;

 private:
  void describe_all();
  void require_dense(const TensorView&, const TensorView&) const;
  void choose_forward();
  void choose_data();
  void choose_weights();
  void fuse(const Epilogue& wanted);
  bool half() const { return options_.precision != DType::f32; }
  // Where a bias and a weight gradient of 16 bits lie in the workspace.
  std::int64_t bias_at() const { return part_bytes(forward_.workspace); }
  std::int64_t gradient_at() const { return part_bytes(weights_.workspace); }
  const void* library_bias(const Stream&, const float* bias, void* workspace) const;
  template <class Algorithm, class Call>
  void run(const Stream&, Chosen<Algorithm>&, bool adds, const char* name, Call call);
  template <class F>
  auto with(ConvDirection d, F f) const {
    if (d == ConvDirection::forward) return f(forward_);
    return d == ConvDirection::backward_data ? f(data_) : f(weights_);
  }

  ConvSpec spec_;
  PlanOptions options_;
  Epilogue fused_;
  TensorDescriptor in_, out_, bias_;
  FilterDescriptor filter_;
  ConvolutionDescriptor convolution_;  // as it is proposed to the library
  ActivationDescriptor activation_;
  Chosen<cudnnConvolutionFwdAlgo_t> forward_{ConvDirection::forward};
  Chosen<cudnnConvolutionBwdDataAlgo_t> data_{ConvDirection::backward_data};
  Chosen<cudnnConvolutionBwdFilterAlgo_t> weights_{ConvDirection::backward_weights};
  bool has_weights_ = false;  // whether weights_ was chosen
  Buffer half_weights_;
  const void* packed_ = nullptr;  // cuDNN takes OHWI as it is
};

CudaConvPlan::CudaConvPlan(const ConvSpec& spec, const Epilogue& epilogue,
                           const PlanOptions& options)
    : spec_(spec), options_(options) {
  describe_all();
  choose_forward();
  const bool training = options.mode == Mode::training;
  if (training && options.input_gradient) choose_data();
  has_weights_ = training && options.weight_gradient;
  if (has_weights_) choose_weights();
  fuse(epilogue);
  if (half())
    half_weights_ =
        Buffer({.type = DeviceType::cuda, .index = current_device()}, spec.weights() * 2);
}

void CudaConvPlan::describe_all() {
  const DType type = options_.precision;
  describe(in_, spec_.in, type);
  describe(out_, spec_.out(), type);
  describe(bias_, vector_shape(spec_.filters), type);
  supported(cudnnSetFilter4dDescriptor(filter_.get(), library_type(type), CUDNN_TENSOR_NHWC,
                                       to_int(spec_.filters), to_int(spec_.in.c / spec_.groups),
                                       to_int(spec_.size_y), to_int(spec_.size_x)),
            "cudnnSetFilter4dDescriptor", about(spec_));
  describe(convolution_, spec_, asked_math(options_));
}

void CudaConvPlan::require_dense(const TensorView& a, const TensorView& b) const {
  if (!a.contiguous() || !b.contiguous())
    fail("convolution of a slice of channels (", about(spec_), ")");
}

void CudaConvPlan::choose_forward() {
  std::array<cudnnConvolutionFwdAlgoPerf_t, kMaxAlgorithms> found{};
  int count = 0;
  supported(cudnnGetConvolutionForwardAlgorithm_v7(cudnn({}), in_.get(), filter_.get(),
                                                   convolution_.get(), out_.get(), kMaxAlgorithms,
                                                   &count, found.data()),
            "cudnnGetConvolutionForwardAlgorithm_v7", about(spec_));
  choose(forward_, std::span(found.data(), to_size(count)), spec_, options_,
         [&](cudnnConvolutionFwdAlgo_t algorithm, std::size_t& bytes) {
           return cudnnGetConvolutionForwardWorkspaceSize(cudnn({}), in_.get(), filter_.get(),
                                                          forward_.convolution.get(), out_.get(),
                                                          algorithm, &bytes);
         });
}

void CudaConvPlan::choose_data() {
  std::array<cudnnConvolutionBwdDataAlgoPerf_t, kMaxAlgorithms> found{};
  int count = 0;
  supported(cudnnGetConvolutionBackwardDataAlgorithm_v7(cudnn({}), filter_.get(), out_.get(),
                                                        convolution_.get(), in_.get(),
                                                        kMaxAlgorithms, &count, found.data()),
            "cudnnGetConvolutionBackwardDataAlgorithm_v7", about(spec_));
  choose(data_, std::span(found.data(), to_size(count)), spec_, options_,
         [&](cudnnConvolutionBwdDataAlgo_t algorithm, std::size_t& bytes) {
           return cudnnGetConvolutionBackwardDataWorkspaceSize(cudnn({}), filter_.get(), out_.get(),
                                                               data_.convolution.get(), in_.get(),
                                                               algorithm, &bytes);
         });
}

void CudaConvPlan::choose_weights() {
  std::array<cudnnConvolutionBwdFilterAlgoPerf_t, kMaxAlgorithms> found{};
  int count = 0;
  supported(cudnnGetConvolutionBackwardFilterAlgorithm_v7(cudnn({}), in_.get(), out_.get(),
                                                          convolution_.get(), filter_.get(),
                                                          kMaxAlgorithms, &count, found.data()),
            "cudnnGetConvolutionBackwardFilterAlgorithm_v7", about(spec_));
  choose(weights_, std::span(found.data(), to_size(count)), spec_, options_,
         [&](cudnnConvolutionBwdFilterAlgo_t algorithm, std::size_t& bytes) {
           return cudnnGetConvolutionBackwardFilterWorkspaceSize(cudnn({}), in_.get(), out_.get(),
                                                                 weights_.convolution.get(),
                                                                 filter_.get(), algorithm, &bytes);
         });
}

// The fused call knows bias with ReLU, or with nothing behind it under one algorithm.
void CudaConvPlan::fuse(const Epilogue& wanted) {
  const bool relu = std::holds_alternative<activations::Relu>(wanted.activation);
  const bool precomputed = forward_.algorithm == CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM;
  if (options_.mode == Mode::training) return;  // its ReLU would turn a NaN into a zero
  if (!wanted.bias || !(relu || (is_linear(wanted.activation) && precomputed))) return;
  check(cudnnSetActivationDescriptor(activation_.get(),
                                     relu ? CUDNN_ACTIVATION_RELU : CUDNN_ACTIVATION_IDENTITY,
                                     CUDNN_NOT_PROPAGATE_NAN, 0),
        "cudnnSetActivationDescriptor");
  fused_ = {.bias = true, .activation = wanted.activation};
}

std::string CudaConvPlan::algorithm(ConvDirection d) const {
  return with(d, [](const auto& chosen) { return chosen.word; });
}

std::vector<std::string> CudaConvPlan::algorithms(ConvDirection d) const {
  return with(d, [](const auto& chosen) { return chosen.words; });
}

std::string CudaConvPlan::description() const {
  const auto of = [](const auto& chosen) {
    return cat(" cudnn:", chosen.word, chosen.tuned ? " (tuned)" : "");
  };
  std::string text = cat(half() ? cat(name_of(options_.precision), ' ') : "", "forward",
                         of(forward_), fused_.bias ? " with bias and activation" : "");
  if (!data_.word.empty()) text += cat(", data", of(data_));
  if (!weights_.word.empty()) text += cat(", weights", of(weights_));
  return text;
}

void CudaConvPlan::set_weights(const Stream& stream, const float* weights, void*) {
  packed_ = half() ? half_weights_.data() : weights;
  if (half())
    copy_pixels(stream, vector_view(weights, DType::f32, spec_.weights()),
                vector_view(packed_, options_.precision, spec_.weights()));
}

const void* CudaConvPlan::library_bias(const Stream& stream, const float* bias,
                                       void* workspace) const {
  if (!half()) return bias;
  const TensorView to = vector_view(part(workspace, bias_at()), options_.precision, spec_.filters);
  copy_pixels(stream, vector_view(bias, DType::f32, spec_.filters), to);
  return to.data;
}

// A proposal may still fail when it is run, in the first pass, which no graph captures: then the
// next one takes its place. A call that adds may have failed half-way, so that there only a refusal
// counts.
template <class Algorithm, class Call>
void CudaConvPlan::run(const Stream& stream, Chosen<Algorithm>& chosen, bool adds, const char* name,
                       Call call) {
  cudnnStatus_t status = call();
  while (may_retry(stream, status, adds) && !chosen.others.empty()) {
    log::warn(cat(name, " (", about(spec_), "): algorithm ", chosen.word, " failed (",
                  cudnnGetErrorString(status), "); taking ", chosen.others.front().word));
    static_cast<Candidate<Algorithm>&>(chosen) = chosen.others.front();
    chosen.others.erase(chosen.others.begin());
    describe(chosen.convolution, spec_, chosen.math);
    status = call();
  }
  check(status, name, about(spec_));
}

void CudaConvPlan::forward(const Stream& stream, TensorView in, const float* bias, TensorView out,
                           void* workspace) {
  require_dense(in, out);
  const float one = 1, zero = 0;
  const auto bytes = to_size(forward_.workspace);
  if (fused_.bias) {
    const cudnnStatus_t status = cudnnConvolutionBiasActivationForward(
        cudnn(stream), &one, in_.get(), in.data, filter_.get(), packed_, forward_.convolution.get(),
        forward_.algorithm, workspace, bytes, &zero, out_.get(), out.data, bias_.get(),
        library_bias(stream, bias, workspace), activation_.get(), out_.get(), out.data);
    if (!may_retry(stream, status, false))
      return check(status, "cudnnConvolutionBiasActivationForward", about(spec_));
    if (CUDNN_STATUS_CATEGORY(status) != CUDNN_STATUS_NOT_SUPPORTED)
      log::warn(cat("cudnnConvolutionBiasActivationForward (", about(spec_), ") failed (",
                    cudnnGetErrorString(status), "); bias and activation follow apart"));
    fused_ = {};  // from now on the caller does the rest
  }
  run(stream, forward_, false, "cudnnConvolutionForward", [&] {
    return cudnnConvolutionForward(cudnn(stream), &one, in_.get(), in.data, filter_.get(), packed_,
                                   forward_.convolution.get(), forward_.algorithm, workspace,
                                   to_size(forward_.workspace), &zero, out_.get(), out.data);
  });
}

void CudaConvPlan::backward_data(const Stream& stream, TensorView out_gradient,
                                 TensorView in_gradient, bool add, void* workspace) {
  require_dense(out_gradient, in_gradient);
  const float one = 1, beta = add ? 1.f : 0.f;
  run(stream, data_, add, "cudnnConvolutionBackwardData", [&] {
    return cudnnConvolutionBackwardData(cudnn(stream), &one, filter_.get(), packed_, out_.get(),
                                        out_gradient.data, data_.convolution.get(), data_.algorithm,
                                        workspace, to_size(data_.workspace), &beta, in_.get(),
                                        in_gradient.data);
  });
}

void CudaConvPlan::backward_weights(const Stream& stream, TensorView in, TensorView out_gradient,
                                    float* weight_gradient, void* workspace) {
  require_dense(in, out_gradient);
  const float one = 1, beta = half() ? 0.f : 1.f;
  void* const to = half() ? part(workspace, gradient_at()) : weight_gradient;
  run(stream, weights_, !half(), "cudnnConvolutionBackwardFilter", [&] {
    return cudnnConvolutionBackwardFilter(cudnn(stream), &one, in_.get(), in.data, out_.get(),
                                          out_gradient.data, weights_.convolution.get(),
                                          weights_.algorithm, workspace,
                                          to_size(weights_.workspace), &beta, filter_.get(), to);
  });
  if (half())
    put_pixels(stream, vector_view(to, options_.precision, spec_.weights()),
               vector_view(weight_gradient, DType::f32, spec_.weights()), true);
}

// Null where cuDNN refuses the convolution in 16 bits.
std::unique_ptr<ConvPlan> make_half(const ConvSpec& spec, const Epilogue& epilogue,
                                    const PlanOptions& options) {
  try {
    return std::make_unique<CudaConvPlan>(spec, epilogue, options);
  } catch (const NoAlgorithm& e) {
    log::warn(
        cat(e.what(), "; computing this convolution in f32, not ", name_of(options.precision)));
    return nullptr;
  }
}

std::unique_ptr<ConvPlan> make_wide(const ConvSpec& spec, const Epilogue& epilogue,
                                    const PlanOptions& options) {
  try {
    return std::make_unique<CudaConvPlan>(spec, epilogue, options);
  } catch (const NoAlgorithm& e) {
    log::warn(cat(e.what(), "; computing this convolution without cuDNN, which is slow"));
    return make_launched_conv(spec);
  }
}

// cuDNN has no convolution from 16 bits to f32. What asks for one feeds a head or another part in
// f32: it is computed in f32 throughout, and the logits and their gradients stay whole.
std::unique_ptr<ConvPlan> make_whole(const ConvSpec& spec, const Epilogue& epilogue,
                                     const PlanOptions& options) {
  PlanOptions wide = options;
  wide.precision = DType::f32;
  if (options.precision == DType::f32) return make_wide(spec, epilogue, wide);
  if (!options.f32_output)
    if (auto plan = make_half(spec, epilogue, options)) return plan;
  return widened(make_wide(spec, epilogue, wide), spec, options);
}

}  // namespace

std::unique_ptr<ConvPlan> make_cuda_conv(const ConvSpec& spec, const Epilogue& epilogue,
                                         const PlanOptions& options) {
  return split_along_batch(spec, epilogue, kMaxElements, [&](const ConvSpec& s, const Epilogue& e) {
    return make_whole(s, e, options);
  });
}

}  // namespace darknet
