// The library work of a device, as plans. A plan is made when shapes are known; it owns
// descriptors, the choice of algorithm, packed weights and the size of its workspace, and costs
// nothing per step. All tensors are NHWC, f32 unless a plan says otherwise; weights are OHWI.
// Gradients are dL/dx.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>
#include "core/activation.h"
#include "core/tensor.h"

namespace darknet {

enum class Mode : std::uint8_t { inference, training };

struct ConvSpec {
  Shape in;
  std::int64_t filters = 1, groups = 1;
  std::int64_t size_y = 1, size_x = 1, stride_y = 1, stride_x = 1, dilation = 1;
  std::int64_t pad_y = 0, pad_x = 0;  // on both sides

  Shape out() const;  // throws where it would be empty
  std::int64_t weights() const { return filters * size_y * size_x * (in.c / groups); }
  std::int64_t multiply_adds() const;  // of one forward pass, taps in the padding included
};

// What is to follow the convolution: activation(conv + bias).
struct Epilogue {
  bool bias = false;
  Activation activation = activations::Linear{};
};

enum class ConvDirection : std::uint8_t { forward, backward_data, backward_weights };

class ConvPlan {
 public:
  virtual ~ConvPlan() = default;
  // Which parts of the epilogue forward() does itself; the rest is the caller's launch.
  virtual Epilogue fused() const = 0;
  virtual std::int64_t workspace() const = 0;  // bytes, the same buffer for every call below
  // Bytes of the weights that set_weights() keeps, in the layouts and types of the algorithms.
  virtual std::int64_t packed_weights() const = 0;
  // Names of the chosen implementations, "forward jit:avx2, ...".
  virtual std::string description() const = 0;
  // The chosen algorithm, as Tuning names it; "" where the direction is not planned or the device
  // has no choice.
  virtual std::string algorithm(ConvDirection) const { return ""; }
  // All that the direction could take, with these options and within the limit of the workspace.
  virtual std::vector<std::string> algorithms(ConvDirection) const { return {}; }

  // Packs `weights`; call it after every change of them and before forward or backward_data.
  virtual void set_weights(const Stream&, const float* weights, void* workspace) = 0;
  virtual void forward(const Stream&, TensorView in, const float* bias, TensorView out,
                       void* workspace) = 0;
  // Training plans only. add: in_gradient += ..., otherwise it is overwritten.
  virtual void backward_data(const Stream&, TensorView out_gradient, TensorView in_gradient,
                             bool add, void* workspace) = 0;
  // Adds to weight_gradient (OHWI).
  virtual void backward_weights(const Stream&, TensorView in, TensorView out_gradient,
                                float* weight_gradient, void* workspace) = 0;
  // Both of the same out_gradient, which a plan may then prepare but once.
  virtual void backward(const Stream& s, TensorView in, TensorView out_gradient,
                        float* weight_gradient, TensorView in_gradient, bool add, void* workspace) {
    backward_weights(s, in, out_gradient, weight_gradient, workspace);
    backward_data(s, out_gradient, in_gradient, add, workspace);
  }
};

// A library's convolution alone, on data of its own in the layouts that the library prefers: the
// baseline of `darknet bench`.
class BaselineConv {
 public:
  virtual ~BaselineConv() = default;
  virtual bool runs(ConvDirection) const = 0;  // whether the options ask for it
  virtual std::int64_t workspace() const = 0;  // bytes; several may share one
  virtual std::string description() const = 0;
  virtual void run(ConvDirection, void* workspace) = 0;
};

enum class PoolKind : std::uint8_t { max, average };

// Darknet's pooling geometry: out = (in + padding - size) / stride + 1, the window of output i
// starts at i*stride - padding/2 (integer division); what lies outside takes no part.
struct PoolSpec {
  Shape in;
  PoolKind kind = PoolKind::max;
  std::int64_t size = 2, stride_y = 2, stride_x = 2, padding = 1;
  Shape out() const;  // throws where it would be empty
};

class PoolPlan {
 public:
  virtual ~PoolPlan() = default;
  virtual std::int64_t workspace() const = 0;
  virtual std::int64_t saved() const = 0;  // bytes to keep from forward to backward; 0 at inference
  virtual std::string description() const = 0;
  virtual void forward(const Stream&, TensorView in, TensorView out, void* saved,
                       void* workspace) = 0;
  virtual void backward(const Stream&, TensorView out_gradient, TensorView in_gradient, bool add,
                        const void* saved, void* workspace) = 0;
};

// C[m x n] = op(A) op(B) + beta C, all row-major and dense; op transposes where asked.
struct GemmSpec {
  std::int64_t m = 0, n = 0, k = 0;
  bool transpose_a = false, transpose_b = false;  // A is k x m, B is n x k in memory
  float beta = 0;
  bool exact = false;  // no TF32
};

class GemmPlan {
 public:
  virtual ~GemmPlan() = default;
  virtual std::int64_t workspace() const = 0;
  virtual void run(const Stream&, const float* a, const float* b, float* c, void* workspace) = 0;
};

class Tuning;  // core/tuning.h

// What an 8-bit integer q, 0 to 255, stands for: (q - zero_point) * scale.
struct IntegerScale {
  float scale = 1;              // above 0
  std::int32_t zero_point = 0;  // 0 to 255
  friend bool operator==(const IntegerScale&, const IntegerScale&) = default;
};

// How a convolution computes in 8-bit integers. An input x stands as the integer
// round(x / scale) + zero_point, 0 to 255; the weights of a filter as integers times a scale of
// their own, without zero point. Sums are 32-bit integers; bias and activation are f32.
struct ConvQuantization {
  float scale = 1;              // of the input, above 0
  std::int32_t zero_point = 0;  // the integer of x = 0
  std::vector<float> ranges;    // of each filter: the magnitude of its largest integer, not below 0
};

struct PlanOptions {
  Mode mode = Mode::inference;
  bool exact = false;           // direct convolution only; no TF32
  bool deterministic = false;   // CUDA: only algorithms with bitwise reproducible results
  bool input_gradient = true;   // whether backward_data will be called (not for the first layer)
  bool weight_gradient = true;  // whether backward_weights will be called (not with dont_update)
  // Weights with a gradient change after each forward and backward pass. A plan may then keep none
  // of its own and read those of set_weights(), which have to stay where they are.
  bool weights_used_once = false;
  // Element type of in and out and of their gradients. Weights, biases and their gradients are f32;
  // set_weights packs, and rounds to this type.
  DType precision = DType::f32;
  bool f32_output = false;  // out and its gradient are f32 all the same (convolutions only)
  // Choices that go before the device's rule where they can be taken; null: none. Outlives the
  // plan.
  const Tuning* tuning = nullptr;
  // Inference in f32: compute in 8-bit integers where the library has more than reference code for
  // it. Null: no. Outlives the plan. With it a convolution, and [maxpool] without it, may be
  // planned with precision u8: its input then holds such integers already.
  const ConvQuantization* int8 = nullptr;
  // Of a layer that adds integers: the scales of those inputs that hold them. Empty: there are
  // none, and the output holds none.
  std::span<const std::optional<IntegerScale>> integer_inputs;
  // Of a convolution in 8-bit integers, or a layer that adds them: `out` holds integers of this
  // scale. Null: f32. Convolutions only where Ops::writes_int8() says so.
  const IntegerScale* integer_output = nullptr;

  DType output() const {
    if (integer_output) return DType::u8;
    return f32_output ? DType::f32 : precision;
  }
};

// Plans are shared: captured graphs hold what a plan owns, so that who keeps graphs keeps plans.
class Ops {
 public:
  virtual ~Ops() = default;
  virtual std::shared_ptr<ConvPlan> conv(const ConvSpec&, const Epilogue&, const PlanOptions&) = 0;
  // as_planned: with the algorithm that conv() chooses, else plain direct convolution. Null where
  // the device has none.
  virtual std::unique_ptr<BaselineConv> baseline_conv(const ConvSpec&, const Epilogue&,
                                                      const PlanOptions&, bool /*as_planned*/) {
    return nullptr;
  }
  // Null where the device's library has none of this geometry; kernels/pool.h is then used.
  virtual std::shared_ptr<PoolPlan> pool(const PoolSpec&, const PlanOptions&) = 0;
  virtual std::shared_ptr<GemmPlan> gemm(const GemmSpec&) = 0;
  // Library and version, "oneDNN 2.6.3 (avx2)"; of a GPU also which card that device is.
  virtual std::string name(const Device&) const = 0;
  // Throws with the reason where the device cannot compute in `precision`; otherwise returns a
  // warning for the user, or "".
  virtual std::string accept_precision(DType precision, const Device&) const {
    if (precision != DType::f32) fail("this device computes in f32 only");
    return "";
  }
  // Throws with the reason where PlanOptions::int8 cannot be followed; otherwise returns a warning
  // for the user, or "".
  virtual std::string accept_int8() const { fail("8-bit integers are for the CPU"); }
  // Whether a convolution in 8-bit integers has more than reference code, so that its input may
  // hold integers (PlanOptions::precision u8).
  virtual bool reads_int8(const ConvSpec&, const Epilogue&) const { return false; }
  // Whether a convolution in 8-bit integers does all of the epilogue itself, and fast, so that it
  // can write integers (PlanOptions::integer_output).
  virtual bool writes_int8(const ConvSpec&, const Epilogue&) const { return false; }
};

// The CPU's other Ops: a reference implementation in plain loops, for checks.
Ops& reference_ops();

}  // namespace darknet
