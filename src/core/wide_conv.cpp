#include "core/wide_conv.h"

#include "core/copy.h"
#include "core/parts.h"

namespace darknet {
namespace {

class WideConv final : public ConvPlan {
 public:
  WideConv(std::shared_ptr<ConvPlan> plan, const ConvSpec& spec, const PlanOptions& options)
      : plan_(std::move(plan)) {
    parts_.take(plan_->workspace());
    in_at_ = parts_.take(spec.in.size() * size_of(DType::f32));
    if (!options.f32_output) out_at_ = parts_.take(spec.out().size() * size_of(DType::f32));
  }

  Epilogue fused() const override { return plan_->fused(); }
  std::int64_t workspace() const override { return parts_.total(); }
  std::int64_t packed_weights() const override { return plan_->packed_weights(); }
  std::string description() const override { return "f32 " + plan_->description(); }
  void set_weights(const Stream& s, const float* weights, void* workspace) override {
    plan_->set_weights(s, weights, workspace);
  }

  void forward(const Stream& s, TensorView in, const float* bias, TensorView out,
               void* workspace) override {
    const TensorView y = place(out, out_at_, workspace);
    plan_->forward(s, wide(s, in, in_at_, workspace), bias, y, workspace);
    if (y.data != out.data) copy_pixels(s, y, out);
  }

  void backward_data(const Stream& s, TensorView out_gradient, TensorView in_gradient, bool add,
                     void* workspace) override {
    const TensorView g = wide(s, out_gradient, out_at_, workspace);
    const TensorView to = place(in_gradient, in_at_, workspace);
    const bool aside = to.data != in_gradient.data;
    plan_->backward_data(s, g, to, add && !aside, workspace);
    if (aside) put_pixels(s, to, in_gradient, add);
  }

  void backward_weights(const Stream& s, TensorView in, TensorView out_gradient,
                        float* weight_gradient, void* workspace) override {
    const TensorView x = wide(s, in, in_at_, workspace);
    plan_->backward_weights(s, x, wide(s, out_gradient, out_at_, workspace), weight_gradient,
                            workspace);
  }

 private:
  // The tensor itself where it is f32, or its place in the workspace.
  static TensorView place(const TensorView& t, std::int64_t at, void* workspace) {
    if (t.dtype == DType::f32) return t;
    return {part(workspace, at), DType::f32, t.shape, t.shape.c};
  }
  static TensorView wide(const Stream& s, const TensorView& t, std::int64_t at, void* workspace) {
    const TensorView to = place(t, at, workspace);
    if (to.data != t.data) copy_pixels(s, t, to);
    return to;
  }

  std::shared_ptr<ConvPlan> plan_;
  Parts parts_;  // of the workspace
  std::int64_t in_at_ = 0, out_at_ = 0;
};

}  // namespace

std::shared_ptr<ConvPlan> widened(std::shared_ptr<ConvPlan> f32_plan, const ConvSpec& spec,
                                  const PlanOptions& options) {
  return std::make_unique<WideConv>(std::move(f32_plan), spec, options);
}

}  // namespace darknet
