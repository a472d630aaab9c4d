#include <functional>
#include <memory>
#include <optional>

#include "core/index.h"
#include "core/tuning.h"
#include "cpu/conv_choice.h"
#include "cpu/plans.h"
#include "cpu/reorder.h"
#include "cpu/winograd.h"

namespace darknet {
namespace {

using namespace onednn;

dnnl::memory memory_at(const Desc& d, void* p) { return {d, engine(), p}; }

// One direction with everything it reads. What the library writes and its scratchpad lie in the
// workspace; Winograd's algorithm writes to an array of its own.
struct BaselineDirection {
  std::function<void(void*)> winograd;  // called with the workspace; empty: the primitive runs
  dnnl::primitive primitive;
  Desc output, scratch;
  int output_argument = 0;
  std::unordered_map<int, dnnl::memory> arguments;
  std::int64_t scratch_at = 0;
};

class CpuBaselineConv final : public BaselineConv {
 public:
  CpuBaselineConv(const ConvSpec& spec, const Epilogue& epilogue, const PlanOptions& options,
                  ConvSource source);
  bool runs(ConvDirection direction) const override { return slot(direction).has_value(); }
  std::int64_t workspace() const override { return workspace_; }
  std::string description() const override { return description_; }
  void run(ConvDirection direction, void* workspace) override;

 private:
  std::optional<BaselineDirection>& slot(ConvDirection d) { return directions_[to_size(d)]; }
  const std::optional<BaselineDirection>& slot(ConvDirection d) const {
    return directions_[to_size(d)];
  }
  void* filled(const Desc& desc, float value);
  template <class Pd>
  BaselineDirection direction(const Pd& pd, ConvDirection of, const Desc& output, int argument);
  // Makes Winograd's algorithm of this direction, if it is chosen, and says whether.
  bool make_winograd(ConvDirection direction, const Epilogue& fused, ConvSource source);
  void note(ConvDirection direction, const std::string& implementation);
  void make_forward(const Epilogue& fused, ConvSource source);
  void make_backward_data(ConvSource source);
  void make_backward_weights(ConvSource source);

  ConvSpec spec_;
  PlanOptions options_;
  std::vector<Buffer> inputs_;
  std::optional<BaselineDirection> directions_[3];
  std::int64_t workspace_ = 0;
  std::string description_;
};

// A ramp around `value`: neither zeros nor denormals, which some processors compute at other
// speeds.
void* CpuBaselineConv::filled(const Desc& desc, float value) {
  Buffer& b = inputs_.emplace_back(Device{}, static_cast<std::int64_t>(desc.get_size()));
  with_element(is_bf16(desc) ? DType::bf16 : DType::f32, [&](auto element) {
    auto* const data = static_cast<decltype(element)*>(b.data());
    const std::int64_t n = b.bytes() / std::int64_t{sizeof(element)};
    for (std::int64_t i = 0; i < n; ++i)
      data[i] = value * (static_cast<float>(i % 251) - 125.5f) / 125.f;
  });
  return b.data();
}

bool CpuBaselineConv::make_winograd(ConvDirection direction, const Epilogue& fused,
                                    ConvSource source) {
  const auto chosen =
      source == ConvSource::planned ? choose_winograd(direction, spec_, options_) : std::nullopt;
  if (!chosen) return false;
  note(direction, chosen->word());
  const auto values = [this](const Shape& s, float value) {
    return static_cast<float*>(filled(nhwc(s, DType::f32), value));
  };
  float* const in = values(spec_.in, 1);
  float* const out = values(spec_.out(), 1);
  float* const weights = values({1, 1, 1, spec_.weights()}, .02f);
  const auto use = [&](const auto& conv, auto run) {
    workspace_ = std::max(workspace_, conv->workspace());
    slot(direction) = BaselineDirection{.winograd = std::move(run)};
  };
  if (direction == ConvDirection::backward_weights) {
    const auto conv = std::make_shared<WinogradWeightGradient>(spec_, chosen->m);
    use(conv, [=](void* workspace) { conv->run({}, in, out, weights, workspace); });
    return true;
  }
  const auto conv = std::make_shared<WinogradConv>(spec_, direction, chosen->m);
  conv->set_weights({}, weights);
  if (direction == ConvDirection::backward_data) {
    use(conv, [=](void* workspace) { conv->run({}, out, in, {}, workspace); });
    return true;
  }
  const winograd::Finish finish{
      .bias = fused.bias ? values(vector_shape(spec_.filters), .1f) : nullptr,
      .slope = negative_slope(fused.activation).value()};
  use(conv, [=](void* workspace) { conv->run({}, in, out, finish, workspace); });
  return true;
}

void CpuBaselineConv::note(ConvDirection direction, const std::string& implementation) {
  description_ += cat(description_.empty() ? "" : ", ", name_of(direction), " ", implementation);
}

template <class Pd>
BaselineDirection CpuBaselineConv::direction(const Pd& pd, ConvDirection of, const Desc& output,
                                             int argument) {
  note(of, pd.impl_info_str());
  BaselineDirection d{.winograd = {},
                      .primitive = dnnl::primitive(pd.get()),
                      .output = output,
                      .scratch = pd.scratchpad_desc(),
                      .output_argument = argument,
                      .arguments = {}};
  Parts areas;
  areas.take(static_cast<std::int64_t>(output.get_size()));
  d.scratch_at = areas.take(static_cast<std::int64_t>(d.scratch.get_size()));
  workspace_ = std::max(workspace_, areas.total());
  return d;
}

void CpuBaselineConv::make_forward(const Epilogue& fused, ConvSource source) {
  if (make_winograd(ConvDirection::forward, fused, source)) return;
  const ForwardDesc pd = choose_forward(spec_, fused, options_, source).pd;
  BaselineDirection d = direction(pd, ConvDirection::forward, pd.dst_desc(), DNNL_ARG_DST);
  d.arguments = {{DNNL_ARG_SRC, memory_at(pd.src_desc(), filled(pd.src_desc(), 1))},
                 {DNNL_ARG_WEIGHTS, memory_at(pd.weights_desc(), filled(pd.weights_desc(), .02f))}};
  if (fused.bias)
    d.arguments.insert({DNNL_ARG_BIAS, memory_at(pd.bias_desc(), filled(pd.bias_desc(), .1f))});
  slot(ConvDirection::forward) = std::move(d);
}

void CpuBaselineConv::make_backward_data(ConvSource source) {
  if (make_winograd(ConvDirection::backward_data, {}, source)) return;
  const ForwardDesc hint = choose_forward(spec_, {}, options_, source).pd;
  const DataDesc pd = choose_backward_data(spec_, options_, hint, source).pd;
  BaselineDirection d =
      direction(pd, ConvDirection::backward_data, pd.diff_src_desc(), DNNL_ARG_DIFF_SRC);
  d.arguments = {{DNNL_ARG_DIFF_DST, memory_at(pd.diff_dst_desc(), filled(pd.diff_dst_desc(), 1))},
                 {DNNL_ARG_WEIGHTS, memory_at(pd.weights_desc(), filled(pd.weights_desc(), .02f))}};
  slot(ConvDirection::backward_data) = std::move(d);
}

void CpuBaselineConv::make_backward_weights(ConvSource source) {
  if (make_winograd(ConvDirection::backward_weights, {}, source)) return;
  const ForwardDesc hint = choose_forward(spec_, {}, options_, source).pd;
  const WeightsDesc pd = choose_backward_weights(spec_, options_, hint, source).pd;
  BaselineDirection d =
      direction(pd, ConvDirection::backward_weights, pd.diff_weights_desc(), DNNL_ARG_DIFF_WEIGHTS);
  d.arguments = {{DNNL_ARG_SRC, memory_at(pd.src_desc(), filled(pd.src_desc(), 1))},
                 {DNNL_ARG_DIFF_DST, memory_at(pd.diff_dst_desc(), filled(pd.diff_dst_desc(), 1))}};
  slot(ConvDirection::backward_weights) = std::move(d);
}

CpuBaselineConv::CpuBaselineConv(const ConvSpec& spec, const Epilogue& epilogue,
                                 const PlanOptions& options, ConvSource source)
    : spec_(spec), options_(options) {
  checked("convolution", about(spec), [&] {
    make_forward(fused_epilogue(spec, epilogue, options, source), source);
    if (options.mode != Mode::training) return;
    if (options.input_gradient) make_backward_data(source);
    if (options.weight_gradient) make_backward_weights(source);
  });
}

void CpuBaselineConv::run(ConvDirection direction, void* workspace) {
  if (!runs(direction)) fail("a convolution alone without this direction");
  BaselineDirection& d = *slot(direction);
  if (d.winograd) return d.winograd(workspace);
  checked("convolution", about(spec_), [&] {
    d.arguments.insert_or_assign(d.output_argument, memory_at(d.output, workspace));
    d.arguments.insert_or_assign(DNNL_ARG_SCRATCHPAD,
                                 memory_at(d.scratch, part(workspace, d.scratch_at)));
    d.primitive.execute(stream(), d.arguments);
    stream().wait();
  });
}

}  // namespace

std::unique_ptr<BaselineConv> make_cpu_baseline_conv(const ConvSpec& spec, const Epilogue& epilogue,
                                                     const PlanOptions& options, bool as_planned) {
  return std::make_unique<CpuBaselineConv>(spec, epilogue, options,
                                           as_planned ? ConvSource::planned : ConvSource::library);
}

}  // namespace darknet
