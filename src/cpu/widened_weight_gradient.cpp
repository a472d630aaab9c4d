#include "cpu/widened_weight_gradient.h"

#include "core/copy.h"
#include "core/parts.h"
#include "cpu/plans.h"

namespace darknet {
namespace {

constexpr std::int64_t kMaxCopies = std::int64_t{32} << 20;  // bytes, but at least of one image

std::int64_t f32_bytes(const Shape& s) { return s.size() * std::int64_t{sizeof(float)}; }

// The batch has `spec.in.n` images.
ConvSpec of_some_images(ConvSpec spec) {
  const std::int64_t batch = spec.in.n;
  spec.in.n = 1;
  const std::int64_t room = kMaxCopies / (f32_bytes(spec.in) + f32_bytes(spec.out()));
  for (std::int64_t n = 2; n <= room && n <= batch; ++n)
    if (batch % n == 0) spec.in.n = n;
  return spec;
}

TensorView f32_view(void* data, const Shape& s) { return {data, DType::f32, s, s.c}; }

}  // namespace

WidenedWeightGradient::WidenedWeightGradient(const ConvSpec& spec, const PlanOptions& options)
    : spec_(of_some_images(spec)) {
  Parts parts;
  parts.take(f32_bytes(spec_.in));
  out_at_ = parts.take(f32_bytes(spec_.out()));
  plan_at_ = parts.total();
  PlanOptions f32 = options;
  f32.precision = DType::f32;
  f32.input_gradient = false;
  f32.weights_used_once = true;
  plan_ = make_cpu_conv(spec_, {}, f32);
}

std::string WidenedWeightGradient::description() const {
  return plan_->algorithm(ConvDirection::backward_weights) + " in f32";
}

void WidenedWeightGradient::run(const Stream& s, const TensorView& in,
                                const TensorView& out_gradient, float* gradient,
                                void* workspace) const {
  const TensorView some_in = f32_view(workspace, spec_.in);
  const TensorView some_out = f32_view(part(workspace, out_at_), spec_.out());
  const std::int64_t n = spec_.in.n;
  for (std::int64_t first = 0; first < in.shape.n; first += n) {
    copy_pixels(s, in.images(first, n), some_in);
    copy_pixels(s, out_gradient.images(first, n), some_out);
    plan_->backward_weights(s, some_in, some_out, gradient, part(workspace, plan_at_));
  }
}

}  // namespace darknet
