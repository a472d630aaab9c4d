#include <algorithm>

#include "cpu/onednn.h"
#include "cpu/plans.h"
#include "cpu/reorder.h"

namespace darknet {
namespace {

using namespace onednn;

class CpuPoolPlan final : public PoolPlan {
 public:
  CpuPoolPlan(const PoolSpec& spec, const PlanOptions& options);
  std::int64_t workspace() const override { return workspace_; }
  std::int64_t saved() const override { return static_cast<std::int64_t>(kept_.get_size()); }
  std::string description() const override { return description_; }
  void forward(const Stream&, TensorView in, TensorView out, void* saved, void* workspace) override;
  void backward(const Stream&, TensorView out_gradient, TensorView in_gradient, bool add,
                const void* saved, void* workspace) override;

 private:
  void make_backward(dnnl::algorithm algorithm, const Dims& kernel, const Geometry& geometry,
                     const dnnl::pooling_forward::primitive_desc& hint);

  PoolSpec spec_;
  Desc source_, destination_, kept_, scratch_, backward_scratch_;
  std::optional<dnnl::pooling_forward> forward_;
  std::optional<dnnl::pooling_backward> backward_;
  Reorder add_;
  std::int64_t workspace_ = 0, result_at_ = 0, reorder_scratch_at_ = 0;
  std::string description_;
};

std::string about(const PoolSpec& s) {
  return cat(to_string(s.in), " window ", s.size, "/", s.stride_y);
}

CpuPoolPlan::CpuPoolPlan(const PoolSpec& spec, const PlanOptions& options)
    : spec_(spec),
      source_(nhwc(spec.in, options.precision)),
      destination_(nhwc(spec.out(), options.precision)) {
  const bool training = options.mode == Mode::training;
  const auto algorithm = spec.kind == PoolKind::max ? dnnl::algorithm::pooling_max : kPoolAverage;
  const Dims kernel{spec.size, spec.size};
  const std::int64_t before = spec.padding / 2, after = spec.padding - before;
  const Geometry geometry{{spec.stride_y, spec.stride_x}, {0, 0}, {before, before}, {after, after}};
  checked("pooling", about(spec), [&] {
    const auto pd = pool_forward(
        training ? dnnl::prop_kind::forward_training : dnnl::prop_kind::forward_inference,
        algorithm, source_, destination_, kernel, geometry);
    description_ = cat("forward ", pd.impl_info_str());
    scratch_ = pd.scratchpad_desc();
    if (training && spec.kind == PoolKind::max) kept_ = pd.workspace_desc();
    forward_.emplace(pd);
    workspace_ = static_cast<std::int64_t>(scratch_.get_size());
    if (training && options.input_gradient) make_backward(algorithm, kernel, geometry, pd);
  });
}

void CpuPoolPlan::make_backward(dnnl::algorithm algorithm, const Dims& kernel,
                                const Geometry& geometry,
                                const dnnl::pooling_forward::primitive_desc& hint) {
  const auto pd = pool_backward(algorithm, source_, destination_, kernel, geometry, hint);
  description_ += cat(", backward ", pd.impl_info_str());
  backward_scratch_ = pd.scratchpad_desc();
  backward_.emplace(pd);
  add_ = Reorder(source_, source_, true);
  Parts areas;
  areas.take(static_cast<std::int64_t>(backward_scratch_.get_size()));
  result_at_ = areas.take(static_cast<std::int64_t>(source_.get_size()));
  reorder_scratch_at_ = areas.take(add_.scratch_bytes());
  workspace_ = std::max(workspace_, areas.total());
}

void CpuPoolPlan::forward(const Stream&, TensorView in, TensorView out, void* saved,
                          void* workspace) {
  if (!in.contiguous() || !out.contiguous()) fail("pooling of a slice of channels");
  checked("pooling", about(spec_), [&] {
    std::unordered_map<int, dnnl::memory> arguments{
        {DNNL_ARG_SRC, {source_, engine(), in.data}},
        {DNNL_ARG_DST, {destination_, engine(), out.data}},
        {DNNL_ARG_SCRATCHPAD, {scratch_, engine(), workspace}}};
    if (!is_empty(kept_)) arguments.insert({DNNL_ARG_WORKSPACE, {kept_, engine(), saved}});
    forward_->execute(stream(), arguments);
    stream().wait();
  });
}

void CpuPoolPlan::backward(const Stream&, TensorView out_gradient, TensorView in_gradient, bool add,
                           const void* saved, void* workspace) {
  if (!out_gradient.contiguous() || !in_gradient.contiguous())
    fail("pooling of a slice of channels");
  checked("pooling backward", about(spec_), [&] {
    void* const result = add ? part(workspace, result_at_) : in_gradient.data;
    std::unordered_map<int, dnnl::memory> arguments{
        {DNNL_ARG_DIFF_DST, {destination_, engine(), out_gradient.data}},
        {DNNL_ARG_DIFF_SRC, {source_, engine(), result}},
        {DNNL_ARG_SCRATCHPAD, {backward_scratch_, engine(), workspace}}};
    if (!is_empty(kept_))
      arguments.insert({DNNL_ARG_WORKSPACE, {kept_, engine(), const_cast<void*>(saved)}});
    backward_->execute(stream(), arguments);
    if (add) add_.run(result, in_gradient.data, part(workspace, reorder_scratch_at_));
    stream().wait();
  });
}

}  // namespace

std::shared_ptr<PoolPlan> make_cpu_pool(const PoolSpec& spec, const PlanOptions& options) {
  return std::make_unique<CpuPoolPlan>(spec, options);
}

}  // namespace darknet
