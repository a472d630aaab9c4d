#include <algorithm>
#include <array>
#include <limits>
#include <span>

#include "core/tuning.h"
#include "cuda/calls.h"
#include "cuda/plans.h"

namespace darknet {
namespace {

using namespace cuda;

constexpr std::size_t kWorkspaceLimit = std::size_t{1} << 30;  // Darknet: workspace_size_limit_MB
constexpr int kMostAlgorithms = 16;

std::string about(const ConvSpec& s) {
  return cat(to_string(s.in), " filters ", s.filters, " size ", s.size_y, 'x', s.size_x, " stride ",
             s.stride_y, " groups ", s.groups);
}

int to_int(std::int64_t v) {  // cuDNN's dimensions
  if (v > std::numeric_limits<int>::max()) fail("a dimension of ", v, " is too large for cuDNN");
  return static_cast<int>(v);
}

void describe(const TensorDescriptor& d, const Shape& s) {
  check(cudnnSetTensor4dDescriptor(d.get(), CUDNN_TENSOR_NHWC, CUDNN_DATA_FLOAT, to_int(s.n),
                                   to_int(s.c), to_int(s.h), to_int(s.w)),
        "cudnnSetTensor4dDescriptor", to_string(s));
}

void describe(const ConvolutionDescriptor& d, const ConvSpec& s, cudnnMathType_t math) {
  check(cudnnSetConvolution2dDescriptor(
            d.get(), to_int(s.pad_y), to_int(s.pad_x), to_int(s.stride_y), to_int(s.stride_x),
            to_int(s.dilation), to_int(s.dilation), CUDNN_CROSS_CORRELATION, CUDNN_DATA_FLOAT),
        "cudnnSetConvolution2dDescriptor", about(s));
  check(cudnnSetConvolutionGroupCount(d.get(), to_int(s.groups)), "cudnnSetConvolutionGroupCount",
        about(s));
  check(cudnnSetConvolutionMathType(d.get(), math), "cudnnSetConvolutionMathType", about(s));
}

// A direction: its algorithm, what it needs, and the convolution as that algorithm was proposed.
template <class Algorithm>
struct Chosen {
  ConvDirection direction;
  Algorithm algorithm{};
  std::int64_t workspace = 0;
  ConvolutionDescriptor convolution;
  std::string word;                // the algorithm's in a tuning table; "": not planned
  std::vector<std::string> words;  // of all that are acceptable
  bool tuned = false;              // by a measured entry of the table
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

// The default lets f32 through the tensor cores as TF32.
cudnnMathType_t asked_math(const PlanOptions& o) {
  return o.exact ? CUDNN_FMA_MATH : CUDNN_DEFAULT_MATH;
}

template <class Proposal>
bool acceptable(const Proposal& p, const PlanOptions& o) {
  if (p.status != CUDNN_STATUS_SUCCESS || p.memory > kWorkspaceLimit) return false;
  if (o.exact && (p.mathType != CUDNN_FMA_MATH || !is_direct(p.algo))) return false;
  return !o.deterministic || p.determinism == CUDNN_DETERMINISTIC;
}

// "1 fma": an algorithm's number, and the units that compute it.
template <class Proposal>
std::string word_of(const Proposal& p) {
  constexpr const char* kMath[] = {"default", "tensor", "tensor-converted", "fma"};
  const auto math = static_cast<std::size_t>(p.mathType);
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
    chosen.algorithm = p.algo;
    chosen.word = word_of(p);
    chosen.tuned = is_wanted(p) && wanted->milliseconds > 0;
    chosen.workspace = static_cast<std::int64_t>(bytes);
    return;
  }
  fail("cuDNN (", about(spec), "): none of its algorithms can be taken",
       options.exact ? " with -exact" : "", options.deterministic ? " with -deterministic" : "",
       "; it proposed ", refused);
}

class CudaConvPlan final : public ConvPlan {
 public:
  CudaConvPlan(const ConvSpec& spec, const Epilogue& epilogue, const PlanOptions& options);

  Epilogue fused() const override { return fused_; }
  std::int64_t workspace() const override {
    return std::max({forward_.workspace, data_.workspace, weights_.workspace});
  }
  std::string description() const override;
  std::string algorithm(ConvDirection) const override;
  std::vector<std::string> algorithms(ConvDirection) const override;
  void set_weights(const Stream&, const float* weights, void*) override { packed_ = weights; }
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
  const float* packed_ = nullptr;  // cuDNN takes OHWI as it is
};

CudaConvPlan::CudaConvPlan(const ConvSpec& spec, const Epilogue& epilogue,
                           const PlanOptions& options)
    : spec_(spec), options_(options) {
  describe_all();
  choose_forward();
  const bool training = options.mode == Mode::training;
  if (training && options.input_gradient) choose_data();
  if (training && options.weight_gradient) choose_weights();
  fuse(epilogue);
}

void CudaConvPlan::describe_all() {
  describe(in_, spec_.in);
  describe(out_, spec_.out());
  describe(bias_, {1, 1, 1, spec_.filters});
  check(cudnnSetFilter4dDescriptor(filter_.get(), CUDNN_DATA_FLOAT, CUDNN_TENSOR_NHWC,
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
  std::array<cudnnConvolutionFwdAlgoPerf_t, kMostAlgorithms> found{};
  int count = 0;
  check(cudnnGetConvolutionForwardAlgorithm_v7(cudnn({}), in_.get(), filter_.get(),
                                               convolution_.get(), out_.get(), kMostAlgorithms,
                                               &count, found.data()),
        "cudnnGetConvolutionForwardAlgorithm_v7", about(spec_));
  choose(forward_, std::span(found.data(), static_cast<std::size_t>(count)), spec_, options_,
         [&](cudnnConvolutionFwdAlgo_t algorithm, std::size_t& bytes) {
           return cudnnGetConvolutionForwardWorkspaceSize(cudnn({}), in_.get(), filter_.get(),
                                                          forward_.convolution.get(), out_.get(),
                                                          algorithm, &bytes);
         });
}

void CudaConvPlan::choose_data() {
  std::array<cudnnConvolutionBwdDataAlgoPerf_t, kMostAlgorithms> found{};
  int count = 0;
  check(cudnnGetConvolutionBackwardDataAlgorithm_v7(cudnn({}), filter_.get(), out_.get(),
                                                    convolution_.get(), in_.get(), kMostAlgorithms,
                                                    &count, found.data()),
        "cudnnGetConvolutionBackwardDataAlgorithm_v7", about(spec_));
  choose(data_, std::span(found.data(), static_cast<std::size_t>(count)), spec_, options_,
         [&](cudnnConvolutionBwdDataAlgo_t algorithm, std::size_t& bytes) {
           return cudnnGetConvolutionBackwardDataWorkspaceSize(cudnn({}), filter_.get(), out_.get(),
                                                               data_.convolution.get(), in_.get(),
                                                               algorithm, &bytes);
         });
}

void CudaConvPlan::choose_weights() {
  std::array<cudnnConvolutionBwdFilterAlgoPerf_t, kMostAlgorithms> found{};
  int count = 0;
  check(cudnnGetConvolutionBackwardFilterAlgorithm_v7(cudnn({}), in_.get(), out_.get(),
                                                      convolution_.get(), filter_.get(),
                                                      kMostAlgorithms, &count, found.data()),
        "cudnnGetConvolutionBackwardFilterAlgorithm_v7", about(spec_));
  choose(weights_, std::span(found.data(), static_cast<std::size_t>(count)), spec_, options_,
         [&](cudnnConvolutionBwdFilterAlgo_t algorithm, std::size_t& bytes) {
           return cudnnGetConvolutionBackwardFilterWorkspaceSize(cudnn({}), in_.get(), out_.get(),
                                                                 weights_.convolution.get(),
                                                                 filter_.get(), algorithm, &bytes);
         });
}

// The fused call knows bias with ReLU, or with nothing behind it under one algorithm.
void CudaConvPlan::fuse(const Epilogue& wanted) {
  const bool relu = wanted.activation == Activation::relu;
  const bool precomputed = forward_.algorithm == CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM;
  if (options_.mode == Mode::training) return;  // its ReLU would turn a NaN into a zero
  if (!wanted.bias || !(relu || (wanted.activation == Activation::linear && precomputed))) return;
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
  std::string text = cat("forward", of(forward_), fused_.bias ? " with bias and activation" : "");
  if (!data_.word.empty()) text += cat(", data", of(data_));
  if (!weights_.word.empty()) text += cat(", weights", of(weights_));
  return text;
}

void CudaConvPlan::forward(const Stream& stream, TensorView in, const float* bias, TensorView out,
                           void* workspace) {
  require_dense(in, out);
  const float one = 1, zero = 0;
  const auto bytes = static_cast<std::size_t>(forward_.workspace);
  if (fused_.bias) {
    const cudnnStatus_t status = cudnnConvolutionBiasActivationForward(
        cudnn(stream), &one, in_.get(), in.data, filter_.get(), packed_, forward_.convolution.get(),
        forward_.algorithm, workspace, bytes, &zero, out_.get(), out.data, bias_.get(), bias,
        activation_.get(), out_.get(), out.data);
    if (status != CUDNN_STATUS_NOT_SUPPORTED)
      return check(status, "cudnnConvolutionBiasActivationForward", about(spec_));
    fused_ = {};  // from now on the caller does the rest
  }
  check(cudnnConvolutionForward(cudnn(stream), &one, in_.get(), in.data, filter_.get(), packed_,
                                forward_.convolution.get(), forward_.algorithm, workspace, bytes,
                                &zero, out_.get(), out.data),
        "cudnnConvolutionForward", about(spec_));
}

void CudaConvPlan::backward_data(const Stream& stream, TensorView out_gradient,
                                 TensorView in_gradient, bool add, void* workspace) {
  require_dense(out_gradient, in_gradient);
  const float one = 1, beta = add ? 1.f : 0.f;
  check(cudnnConvolutionBackwardData(cudnn(stream), &one, filter_.get(), packed_, out_.get(),
                                     out_gradient.data, data_.convolution.get(), data_.algorithm,
                                     workspace, static_cast<std::size_t>(data_.workspace), &beta,
                                     in_.get(), in_gradient.data),
        "cudnnConvolutionBackwardData", about(spec_));
}

void CudaConvPlan::backward_weights(const Stream& stream, TensorView in, TensorView out_gradient,
                                    float* weight_gradient, void* workspace) {
  require_dense(in, out_gradient);
  const float one = 1;  // twice: the result is added
  check(cudnnConvolutionBackwardFilter(
            cudnn(stream), &one, in_.get(), in.data, out_.get(), out_gradient.data,
            weights_.convolution.get(), weights_.algorithm, workspace,
            static_cast<std::size_t>(weights_.workspace), &one, filter_.get(), weight_gradient),
        "cudnnConvolutionBackwardFilter", about(spec_));
}

}  // namespace

std::unique_ptr<ConvPlan> make_cuda_conv(const ConvSpec& spec, const Epilogue& epilogue,
                                         const PlanOptions& options) {
  return std::make_unique<CudaConvPlan>(spec, epilogue, options);
}

}  // namespace darknet
