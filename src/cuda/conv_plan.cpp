#include <array>
#include <span>

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

// What a direction's algorithm is and what it needs.
template <class Algorithm>
struct Chosen {
  Algorithm algorithm{};
  std::int64_t workspace = 0;
};

// Of the library's proposals, best first: the first that works, fits and is deterministic where
// that was asked for. A rule of the shape and the card; nothing is timed.
template <class Algorithm, class Proposal>
Chosen<Algorithm> choose(std::span<const Proposal> proposals, const PlanOptions& options,
                         const char* call, const ConvSpec& spec) {
  for (const Proposal& p : proposals)
    if (p.status == CUDNN_STATUS_SUCCESS && p.memory <= kWorkspaceLimit &&
        (!options.deterministic || p.determinism == CUDNN_DETERMINISTIC))
      return {p.algo, static_cast<std::int64_t>(p.memory)};
  fail(call, " (", about(spec), "): cuDNN has no algorithm for it",
       options.deterministic ? " that gives the same bits every time" : "");
}

class CudaConvPlan final : public ConvPlan {
 public:
  CudaConvPlan(const ConvSpec& spec, const Epilogue& epilogue, const PlanOptions& options);

  Epilogue fused() const override { return fused_; }
  std::int64_t workspace() const override {
    return std::max({forward_.workspace, data_.workspace, weights_.workspace});
  }
  std::string description() const override;
  void set_weights(const Stream&, const float* weights, void*) override { packed_ = weights; }
  void forward(const Stream&, TensorView in, const float* bias, TensorView out,
               void* workspace) override;
  void backward_data(const Stream&, TensorView out_gradient, TensorView in_gradient, bool add,
                     void* workspace) override;
  void backward_weights(const Stream&, TensorView in, TensorView out_gradient,
                        float* weight_gradient, void* workspace) override;

 private:
  void describe_all();
  void choose_forward();
  void choose_backward();
  void fuse(const Epilogue& wanted);

  ConvSpec spec_;
  PlanOptions options_;
  Epilogue fused_;
  TensorDescriptor in_, out_, bias_;
  FilterDescriptor filter_;
  ConvolutionDescriptor convolution_;
  ActivationDescriptor activation_;
  Chosen<cudnnConvolutionFwdAlgo_t> forward_;
  Chosen<cudnnConvolutionBwdDataAlgo_t> data_;
  Chosen<cudnnConvolutionBwdFilterAlgo_t> weights_;
  const float* packed_ = nullptr;  // cuDNN takes OHWI as it is
};

CudaConvPlan::CudaConvPlan(const ConvSpec& spec, const Epilogue& epilogue,
                           const PlanOptions& options)
    : spec_(spec), options_(options) {
  describe_all();
  choose_forward();
  if (options.mode == Mode::training) choose_backward();
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
  check(cudnnSetConvolution2dDescriptor(
            convolution_.get(), to_int(spec_.pad_y), to_int(spec_.pad_x), to_int(spec_.stride_y),
            to_int(spec_.stride_x), to_int(spec_.dilation), to_int(spec_.dilation),
            CUDNN_CROSS_CORRELATION, CUDNN_DATA_FLOAT),
        "cudnnSetConvolution2dDescriptor", about(spec_));
  check(cudnnSetConvolutionGroupCount(convolution_.get(), to_int(spec_.groups)),
        "cudnnSetConvolutionGroupCount", about(spec_));
  // The default lets f32 through the tensor cores as TF32.
  check(cudnnSetConvolutionMathType(convolution_.get(),
                                    options_.exact ? CUDNN_FMA_MATH : CUDNN_DEFAULT_MATH),
        "cudnnSetConvolutionMathType", about(spec_));
}

void CudaConvPlan::choose_forward() {
  std::array<cudnnConvolutionFwdAlgoPerf_t, kMostAlgorithms> found{};
  int count = 0;
  const char* const call = "cudnnGetConvolutionForwardAlgorithm_v7";
  check(cudnnGetConvolutionForwardAlgorithm_v7(cudnn({}), in_.get(), filter_.get(),
                                               convolution_.get(), out_.get(), kMostAlgorithms,
                                               &count, found.data()),
        call, about(spec_));
  forward_ = choose<cudnnConvolutionFwdAlgo_t>(
      std::span<const cudnnConvolutionFwdAlgoPerf_t>(found).first(static_cast<std::size_t>(count)),
      options_, call, spec_);
}

void CudaConvPlan::choose_backward() {
  int count = 0;
  if (options_.input_gradient) {
    std::array<cudnnConvolutionBwdDataAlgoPerf_t, kMostAlgorithms> found{};
    const char* const call = "cudnnGetConvolutionBackwardDataAlgorithm_v7";
    check(cudnnGetConvolutionBackwardDataAlgorithm_v7(cudnn({}), filter_.get(), out_.get(),
                                                      convolution_.get(), in_.get(),
                                                      kMostAlgorithms, &count, found.data()),
          call, about(spec_));
    data_ = choose<cudnnConvolutionBwdDataAlgo_t>(
        std::span<const cudnnConvolutionBwdDataAlgoPerf_t>(found).first(
            static_cast<std::size_t>(count)),
        options_, call, spec_);
  }
  if (!options_.weight_gradient) return;
  std::array<cudnnConvolutionBwdFilterAlgoPerf_t, kMostAlgorithms> found{};
  const char* const call = "cudnnGetConvolutionBackwardFilterAlgorithm_v7";
  check(cudnnGetConvolutionBackwardFilterAlgorithm_v7(cudnn({}), in_.get(), out_.get(),
                                                      convolution_.get(), filter_.get(),
                                                      kMostAlgorithms, &count, found.data()),
        call, about(spec_));
  weights_ = choose<cudnnConvolutionBwdFilterAlgo_t>(
      std::span<const cudnnConvolutionBwdFilterAlgoPerf_t>(found).first(
          static_cast<std::size_t>(count)),
      options_, call, spec_);
}

// The fused call knows bias with ReLU, or with nothing behind it under one algorithm.
void CudaConvPlan::fuse(const Epilogue& wanted) {
  const bool relu = wanted.activation == Activation::relu;
  const bool precomputed = forward_.algorithm == CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM;
  if (!wanted.bias || !(relu || (wanted.activation == Activation::linear && precomputed))) return;
  check(cudnnSetActivationDescriptor(activation_.get(),
                                     relu ? CUDNN_ACTIVATION_RELU : CUDNN_ACTIVATION_IDENTITY,
                                     CUDNN_PROPAGATE_NAN, 0),
        "cudnnSetActivationDescriptor");
  fused_ = {.bias = true, .activation = wanted.activation};
}

std::string CudaConvPlan::description() const {
  std::string text = cat("forward cudnn:", static_cast<int>(forward_.algorithm),
                         fused_.bias ? " with bias and activation" : "");
  if (options_.mode != Mode::training) return text;
  if (options_.input_gradient) text += cat(", data cudnn:", static_cast<int>(data_.algorithm));
  if (options_.weight_gradient)
    text += cat(", weights cudnn:", static_cast<int>(weights_.algorithm));
  return text;
}

void CudaConvPlan::forward(const Stream& stream, TensorView in, const float* bias, TensorView out,
                           void* workspace) {
  const float one = 1, zero = 0;
  const auto bytes = static_cast<std::size_t>(forward_.workspace);
  if (!fused_.bias) {
    check(cudnnConvolutionForward(cudnn(stream), &one, in_.get(), in.data, filter_.get(), packed_,
                                  convolution_.get(), forward_.algorithm, workspace, bytes, &zero,
                                  out_.get(), out.data),
          "cudnnConvolutionForward", about(spec_));
    return;
  }
  check(cudnnConvolutionBiasActivationForward(
            cudnn(stream), &one, in_.get(), in.data, filter_.get(), packed_, convolution_.get(),
            forward_.algorithm, workspace, bytes, &zero, out_.get(), out.data, bias_.get(), bias,
            activation_.get(), out_.get(), out.data),
        "cudnnConvolutionBiasActivationForward", about(spec_));
}

void CudaConvPlan::backward_data(const Stream& stream, TensorView out_gradient,
                                 TensorView in_gradient, bool add, void* workspace) {
  const float one = 1, beta = add ? 1.f : 0.f;
  check(cudnnConvolutionBackwardData(cudnn(stream), &one, filter_.get(), packed_, out_.get(),
                                     out_gradient.data, convolution_.get(), data_.algorithm,
                                     workspace, static_cast<std::size_t>(data_.workspace), &beta,
                                     in_.get(), in_gradient.data),
        "cudnnConvolutionBackwardData", about(spec_));
}

void CudaConvPlan::backward_weights(const Stream& stream, TensorView in, TensorView out_gradient,
                                    float* weight_gradient, void* workspace) {
  const float one = 1;  // twice: the result is added
  check(cudnnConvolutionBackwardFilter(cudnn(stream), &one, in_.get(), in.data, out_.get(),
                                       out_gradient.data, convolution_.get(), weights_.algorithm,
                                       workspace, static_cast<std::size_t>(weights_.workspace),
                                       &one, filter_.get(), weight_gradient),
        "cudnnConvolutionBackwardFilter", about(spec_));
}

}  // namespace

std::unique_ptr<ConvPlan> make_cuda_conv(const ConvSpec& spec, const Epilogue& epilogue,
                                         const PlanOptions& options) {
  return std::make_unique<CudaConvPlan>(spec, epilogue, options);
}

}  // namespace darknet
