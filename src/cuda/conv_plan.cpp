#include <algorithm>
#include <limits>
#include <optional>

#include "core/copy.h"
#include "core/index.h"
#include "core/log.h"
#include "core/parts.h"
#include "core/split_conv.h"
#include "core/wide_conv.h"
#include "cuda/calls.h"
#include "cuda/conv_engines.h"
#include "cuda/plans.h"
#include "kernels/direct_conv.h"
#include "kernels/stem_conv.h"

namespace darknet {
namespace {

using namespace cuda;

constexpr std::int64_t kMaxElements = std::numeric_limits<int>::max();  // cuDNN's, of a tensor

// Whether a call that answered this can be tried in another way: not where it was wrong, where the
// device is in error, or where a capture would keep what was captured of it.
bool may_retry(const Stream& stream, cudnnStatus_t status, bool adds) {
  const cudnnStatus_t category = CUDNN_STATUS_FULL_ERROR_CODE(CUDNN_STATUS_CATEGORY(status), 0);
  const bool refused = category == CUDNN_STATUS_NOT_SUPPORTED;
  const bool failed = category == CUDNN_STATUS_EXECUTION_FAILED ||
                      category == CUDNN_STATUS_INTERNAL_ERROR;  // also: it cannot be compiled
  if (!refused && (adds || !failed)) return false;
  cudaStreamCaptureStatus capture = cudaStreamCaptureStatusNone;
  check(cudaStreamIsCapturing(native(stream), &capture), "cudaStreamIsCapturing");
  if (capture != cudaStreamCaptureStatusNone) return false;
  cudaGetLastError();                                    // not to be found by the next launch
  check(cudaPeekAtLastError(), "the device before it");  // an error that stays
  return true;
}

Device current_cuda() { return {.type = DeviceType::cuda, .index = current_device()}; }

TensorView vector_view(const void* data, DType type, std::int64_t n) {
  return {const_cast<void*>(data), type, vector_shape(n), n};
}

struct Directions {
  bool forward = true, data = false, weights = false;
};
Directions directions_of(const PlanOptions& o) {
  const bool training = o.mode == Mode::training;
  return {.data = training && o.input_gradient, .weights = training && o.weight_gradient};
}

// Activations, weights and the gradients of both have one element type, which a plan of 16 bits
// converts weights to and their gradient from; out may be f32. Biases and sums are f32.
class CudaConvPlan final : public ConvPlan {
 public:
  CudaConvPlan(const ConvSpec& spec, const Epilogue& epilogue, const PlanOptions& options,
               const Directions& directions);

  Epilogue fused() const override { return forward_ ? forward_->fused() : Epilogue{}; }
  std::int64_t workspace() const override;
  std::int64_t packed_weights() const override { return half_weights_.bytes(); }
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
  void run(const Stream&, std::optional<ConvEngines>&, const ConvOperands&, bool adds,
           void* workspace);
  bool half() const { return options_.precision != DType::f32; }
  // Where a weight gradient of 16 bits lies in the workspace.
  std::int64_t gradient_at() const { return part_bytes(weights_->workspace()); }
  const std::optional<ConvEngines>& engines(ConvDirection d) const {
    if (d == ConvDirection::forward) return forward_;
    return d == ConvDirection::backward_data ? data_ : weights_;
  }

  ConvSpec spec_;
  PlanOptions options_;
  std::optional<ConvEngines> forward_, data_, weights_;  // none: not planned
  Buffer half_weights_;
  const void* packed_ = nullptr;  // cuDNN takes OHWI as it is
};

CudaConvPlan::CudaConvPlan(const ConvSpec& spec, const Epilogue& epilogue,
                           const PlanOptions& options, const Directions& directions)
    : spec_(spec), options_(options) {
  if (directions.forward) forward_.emplace(ConvDirection::forward, spec, epilogue, options);
  if (directions.data) data_.emplace(ConvDirection::backward_data, spec, epilogue, options);
  if (directions.weights)
    weights_.emplace(ConvDirection::backward_weights, spec, epilogue, options);
  if (half()) half_weights_ = Buffer(current_cuda(), spec.weights() * 2);
}

std::int64_t CudaConvPlan::workspace() const {
  std::int64_t bytes = 0;
  if (forward_) bytes = forward_->workspace();
  if (data_) bytes = std::max(bytes, data_->workspace());
  if (weights_) bytes = std::max(bytes, gradient_at() + (half() ? spec_.weights() * 2 : 0));
  return bytes;
}

std::string CudaConvPlan::algorithm(ConvDirection d) const {
  return engines(d) ? engines(d)->name() : "";
}

std::vector<std::string> CudaConvPlan::algorithms(ConvDirection d) const {
  return engines(d) ? engines(d)->names() : std::vector<std::string>{};
}

std::string CudaConvPlan::description() const {
  std::string text = half() ? std::string(name_of(options_.precision)) : "";
  const char* const names[] = {"forward", "data", "weights"};
  for (const ConvDirection d :
       {ConvDirection::forward, ConvDirection::backward_data, ConvDirection::backward_weights}) {
    if (!engines(d)) continue;
    text += cat(text.empty()                  ? ""
                : d == ConvDirection::forward ? " "
                                              : ", ",
                names[static_cast<std::size_t>(d)], " cudnn:", engines(d)->name(),
                engines(d)->tuned() ? " (tuned)" : "",
                engines(d)->fused().bias ? " with bias and activation" : "");
  }
  return text;
}

void CudaConvPlan::set_weights(const Stream& stream, const float* weights, void*) {
  packed_ = half() ? half_weights_.data() : weights;
  if (half())
    copy_pixels(stream, vector_view(weights, DType::f32, spec_.weights()),
                vector_view(packed_, options_.precision, spec_.weights()));
}

// A proposal may still fail when it is run, in the first pass, which no graph captures: then the
// next one takes its place. A call that adds may have failed half-way, so that there only a refusal
// counts.
void CudaConvPlan::run(const Stream& stream, std::optional<ConvEngines>& engines,
                       const ConvOperands& operands, bool adds, void* workspace) {
  cudnnStatus_t status = engines->run(cudnn(stream), operands, adds, workspace);
  while (may_retry(stream, status, adds)) {
    const std::string failed = engines->name();
    if (!engines->take_next()) break;
    log::warn(cat("a convolution of cuDNN (", about(spec_), "): algorithm ", failed, " failed (",
                  cudnnGetErrorString(status), "); taking ", engines->name()));
    status = engines->run(cudnn(stream), operands, adds, workspace);
  }
  check(status, "cudnnBackendExecute", about(spec_));
}

void require_dense(const ConvSpec& spec, const TensorView& a, const TensorView& b) {
  if (!a.contiguous() || !b.contiguous())
    fail("convolution of a slice of channels (", about(spec), ")");
}

// Where an engine that does not fuse takes the place of one that does, the caller does the rest
// from now on.
void CudaConvPlan::forward(const Stream& stream, TensorView in, const float* bias, TensorView out,
                           void* workspace) {
  require_dense(spec_, in, out);
  run(stream, forward_, {in.data, packed_, out.data, bias}, false, workspace);
}

void CudaConvPlan::backward_data(const Stream& stream, TensorView out_gradient,
                                 TensorView in_gradient, bool add, void* workspace) {
  require_dense(spec_, out_gradient, in_gradient);
  run(stream, data_, {in_gradient.data, packed_, out_gradient.data}, add, workspace);
}

void CudaConvPlan::backward_weights(const Stream& stream, TensorView in, TensorView out_gradient,
                                    float* weight_gradient, void* workspace) {
  require_dense(spec_, in, out_gradient);
  void* const to = half() ? part(workspace, gradient_at()) : weight_gradient;
  run(stream, weights_, {in.data, to, out_gradient.data}, !half(), workspace);
  if (half())
    put_pixels(stream, vector_view(to, options_.precision, spec_.weights()),
               vector_view(weight_gradient, DType::f32, spec_.weights()), true);
}

// A convolution of 16 bits whose output is f32: forwards as such; backwards in f32, as its output's
// gradient is, from converted activations.
class MixedConv final : public ConvPlan {
 public:
  MixedConv(std::shared_ptr<ConvPlan> forward, std::shared_ptr<ConvPlan> backward)
      : forward_(std::move(forward)), backward_(std::move(backward)) {}

  Epilogue fused() const override { return forward_->fused(); }
  std::int64_t workspace() const override {
    return std::max(forward_->workspace(), backward_->workspace());
  }
  std::int64_t packed_weights() const override {
    return forward_->packed_weights() + backward_->packed_weights();
  }
  std::string description() const override {
    return cat(forward_->description(), ", ", backward_->description());
  }
  std::string algorithm(ConvDirection d) const override { return of(d).algorithm(d); }
  std::vector<std::string> algorithms(ConvDirection d) const override {
    return of(d).algorithms(d);
  }
  void set_weights(const Stream& s, const float* weights, void* workspace) override {
    forward_->set_weights(s, weights, workspace);
    backward_->set_weights(s, weights, workspace);
  }
  void forward(const Stream& s, TensorView in, const float* bias, TensorView out,
               void* workspace) override {
    forward_->forward(s, in, bias, out, workspace);
  }
  void backward_data(const Stream& s, TensorView out_gradient, TensorView in_gradient, bool add,
                     void* workspace) override {
    backward_->backward_data(s, out_gradient, in_gradient, add, workspace);
  }
  void backward_weights(const Stream& s, TensorView in, TensorView out_gradient,
                        float* weight_gradient, void* workspace) override {
    backward_->backward_weights(s, in, out_gradient, weight_gradient, workspace);
  }

 private:
  const ConvPlan& of(ConvDirection d) const {
    return d == ConvDirection::forward ? *forward_ : *backward_;
  }
  std::shared_ptr<ConvPlan> forward_, backward_;
};

// What is to be planned: of the convolutions below, one.
struct Request {
  ConvSpec spec;
  Epilogue epilogue;
  PlanOptions options;
};

// Null where cuDNN refuses the convolution in 16 bits.
std::shared_ptr<ConvPlan> make_half(const Request& w, const Directions& directions) {
  try {
    return std::make_unique<CudaConvPlan>(w.spec, w.epilogue, w.options, directions);
  } catch (const NotSupported& e) {
    if (!w.options.f32_output)
      log::warn(
          cat(e.what(), "; computing this convolution in f32, not ", name_of(w.options.precision)));
    return nullptr;
  }
}

std::shared_ptr<ConvPlan> make_f32(Request w, const Directions& directions) {
  w.options.precision = DType::f32;
  try {
    return std::make_unique<CudaConvPlan>(w.spec, w.epilogue, w.options, directions);
  } catch (const NotSupported& e) {
    log::warn(cat(e.what(), "; computing this convolution without cuDNN, which is slow"));
    return make_launched_conv(w.spec);
  }
}

// What asks for an f32 output feeds a head or another part in f32. Where cuDNN cannot write one
// from 16 bits, and with -exact, it is computed in f32 throughout.
std::shared_ptr<ConvPlan> make_mixed(const Request& w) {
  Directions directions = directions_of(w.options);
  std::shared_ptr<ConvPlan> forward = w.options.exact ? nullptr : make_half(w, {});
  if (forward && !directions.data && !directions.weights) return forward;
  directions.forward = !forward;
  auto f32 = widened(make_f32(w, directions), w.spec, w.options);
  if (!forward) return f32;
  return std::make_unique<MixedConv>(std::move(forward), std::move(f32));
}

std::shared_ptr<ConvPlan> make_whole(const Request& w) {
  const Directions directions = directions_of(w.options);
  if (w.options.precision == DType::f32) return make_f32(w, directions);
  if (w.options.f32_output) return make_mixed(w);
  if (auto plan = make_half(w, directions)) return plan;
  return widened(make_f32(w, directions), w.spec, w.options);
}

}  // namespace

std::shared_ptr<ConvPlan> make_cuda_conv(const ConvSpec& spec, const Epilogue& epilogue,
                                         const PlanOptions& options) {
  return split_along_batch(spec, epilogue, kMaxElements, [&](const ConvSpec& s, const Epilogue& e) {
    if (is_stem_conv(s, options)) return make_stem_conv(s, e, options, current_cuda());
    return make_whole({s, e, options});
  });
}

}  // namespace darknet
