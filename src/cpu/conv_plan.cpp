#include <algorithm>
#include <array>
#include <optional>
#include <type_traits>

#include "core/index.h"
#include "core/tuning.h"
#include "cpu/conv_choice.h"
#include "cpu/int8_conv.h"
#include "cpu/plans.h"
#include "cpu/reorder.h"
#include "cpu/widened_weight_gradient.h"
#include "cpu/winograd.h"

namespace darknet {
namespace {

using namespace onednn;

dnnl::memory memory_at(const Desc& d, const void* p) { return {d, engine(), const_cast<void*>(p)}; }

class CpuConvPlan final : public ConvPlan {
 public:
  CpuConvPlan(const ConvSpec& spec, const Epilogue& epilogue, const PlanOptions& options);

  Epilogue fused() const override { return fused_; }
  std::int64_t workspace() const override { return workspace_; }
  std::int64_t packed_weights() const override { return packed_weights_; }
  std::string description() const override { return description_; }
  std::string algorithm(ConvDirection d) const override { return algorithms_[to_size(d)]; }
  std::vector<std::string> algorithms(ConvDirection d) const override {
    if (algorithm(d).empty()) return {};
    return algorithms_of(d, spec_, wanted_, options_);
  }
  void set_weights(const Stream&, const float* weights, void* workspace) override;
  void forward(const Stream&, TensorView in, const float* bias, TensorView out,
               void* workspace) override;
  void backward_data(const Stream&, TensorView out_gradient, TensorView in_gradient, bool add,
                     void* workspace) override;
  void backward_weights(const Stream&, TensorView in, TensorView out_gradient,
                        float* weight_gradient, void* workspace) override;
  void backward(const Stream&, TensorView in, TensorView out_gradient, float* weight_gradient,
                TensorView in_gradient, bool add, void* workspace) override;

 private:
  // One direction: the primitive, and the layouts it wants for what comes in and goes out.
  struct Direction {
    std::optional<dnnl::primitive> primitive;
    Desc source, weights, destination, scratch;
    std::int64_t source_at = 0, weights_at = 0, destination_at = 0, scratch_at = 0;
  };
  template <class Pd>
  Direction direction(const Pd& pd, Desc source, Desc weights, Desc destination);
  void note(ConvDirection direction, const std::string& name, const std::string& algorithm,
            bool tuned);
  template <class Pd>
  void note(ConvDirection direction, const Chosen<Pd>& chosen) {
    note(direction, chosen.pd.impl_info_str(), chosen.algorithm, chosen.tuned);
  }
  // Makes Winograd's algorithm of this direction, if it is chosen, and says whether.
  template <class Conv>
  bool make_winograd(ConvDirection direction, std::optional<Conv>& conv);
  void make_forward();
  void make_backward_data();
  void make_backward_weights();
  ForwardDesc forward_hint() const;
  // `destination`: out_gradient in the layout that the direction wants.
  void run_data(const void* destination, const TensorView& in_gradient, bool add, void* workspace);
  void run_weights(const TensorView& in, const void* destination, float* weight_gradient,
                   void* workspace);
  const void* bring(const Reorder& reorder, const void* from, void* workspace,
                    std::int64_t area) const;

  ConvSpec spec_;
  PlanOptions options_;
  Epilogue wanted_, fused_;
  Desc user_source_, user_weights_, user_destination_;
  // A direction is computed by what is here, else by the library.
  std::optional<WinogradConv> winograd_forward_, winograd_data_;
  std::optional<WinogradWeightGradient> winograd_weights_;
  std::optional<WidenedWeightGradient> widened_weights_;
  Direction forward_, data_, weights_;
  Reorder forward_in_, forward_out_, data_in_, data_out_, data_add_, weights_source_,
      weights_destination_, weights_out_;
  Reorder pack_forward_, pack_data_;
  Buffer packed_forward_, packed_data_;
  std::int64_t workspace_ = 0, packed_weights_ = 0, reorder_scratch_at_ = 0;
  std::string description_;
  std::array<std::string, 3> algorithms_;  // by ConvDirection
};

void CpuConvPlan::note(ConvDirection direction, const std::string& name,
                       const std::string& algorithm, bool tuned) {
  description_ +=
      cat(description_.empty() ? "" : ", ", name_of(direction), " ", name, tuned ? " (tuned)" : "");
  algorithms_[to_size(direction)] = algorithm;
}

template <class Conv>
bool CpuConvPlan::make_winograd(ConvDirection direction, std::optional<Conv>& conv) {
  const auto chosen = choose_winograd(direction, spec_, options_);
  if (!chosen) return false;
  if constexpr (std::is_same_v<Conv, WinogradConv>) {
    const bool used_once =
        options_.weights_used_once && options_.mode == Mode::training && options_.weight_gradient;
    using enum WinogradConv::Filters;
    conv.emplace(spec_, direction, chosen->m, used_once ? per_run : kept);
    packed_weights_ += conv->packed_weights();
  } else {
    conv.emplace(spec_, chosen->m);
  }
  note(direction, chosen->word(), chosen->word(), chosen->tuned);
  workspace_ = std::max(workspace_, conv->workspace());
  return true;
}

template <class Pd>
CpuConvPlan::Direction CpuConvPlan::direction(const Pd& pd, Desc source, Desc weights,
                                              Desc destination) {
  Direction d{.source = source,
              .weights = weights,
              .destination = destination,
              .scratch = pd.scratchpad_desc()};
  Parts areas;  // destination first: backward() leaves it from one direction to the other
  d.destination_at = areas.take(
      destination == user_destination_ ? 0 : static_cast<std::int64_t>(destination.get_size()));
  d.source_at =
      areas.take(source == user_source_ ? 0 : static_cast<std::int64_t>(source.get_size()));
  d.weights_at = areas.take(static_cast<std::int64_t>(weights.get_size()));
  d.scratch_at = areas.take(static_cast<std::int64_t>(d.scratch.get_size()));
  workspace_ = std::max(workspace_, areas.total());
  return d;
}

// What the library's backward passes want to see.
ForwardDesc CpuConvPlan::forward_hint() const {
  return choose_forward(spec_, {.bias = fused_.bias}, options_, ConvSource::planned).pd;
}

void CpuConvPlan::make_forward() {
  if (make_winograd(ConvDirection::forward, winograd_forward_)) return;
  const auto chosen = choose_forward(spec_, fused_, options_, ConvSource::planned);
  note(ConvDirection::forward, chosen);
  const ForwardDesc& pd = chosen.pd;
  forward_ = direction(pd, pd.src_desc(), pd.weights_desc(), pd.dst_desc());
  forward_.primitive.emplace(dnnl::convolution_forward(pd));
  forward_in_ = Reorder(user_source_, forward_.source);
  forward_out_ = Reorder(forward_.destination, user_destination_);
  pack_forward_ = Reorder(user_weights_, forward_.weights);
  packed_forward_ = Buffer({}, static_cast<std::int64_t>(forward_.weights.get_size()));
  packed_weights_ += packed_forward_.bytes();
}

void CpuConvPlan::make_backward_data() {
  if (make_winograd(ConvDirection::backward_data, winograd_data_)) return;
  const auto chosen = choose_backward_data(spec_, options_, forward_hint(), ConvSource::planned);
  note(ConvDirection::backward_data, chosen);
  const DataDesc& pd = chosen.pd;
  data_ = direction(pd, pd.diff_src_desc(), pd.weights_desc(), pd.diff_dst_desc());
  data_.primitive.emplace(dnnl::convolution_backward_data(pd));
  data_in_ = Reorder(user_destination_, data_.destination);
  data_out_ = Reorder(data_.source, user_source_);
  data_add_ = Reorder(data_.source, user_source_, true);
  if (!data_out_.needed()) {  // adding needs a place of its own for the result
    data_.source_at = part_bytes(workspace_);
    workspace_ = data_.source_at + static_cast<std::int64_t>(data_.source.get_size());
  }
  pack_data_ = Reorder(user_weights_, data_.weights);
  packed_data_ = Buffer({}, static_cast<std::int64_t>(data_.weights.get_size()));
  packed_weights_ += packed_data_.bytes();
}

void CpuConvPlan::make_backward_weights() {
  if (make_winograd(ConvDirection::backward_weights, winograd_weights_)) return;
  if (widens_weight_gradient(spec_, options_)) {
    widened_weights_.emplace(spec_, options_);
    note(ConvDirection::backward_weights, widened_weights_->description(), "", false);
    workspace_ = std::max(workspace_, widened_weights_->workspace());
    packed_weights_ += widened_weights_->packed_weights();
    return;
  }
  const auto chosen = choose_backward_weights(spec_, options_, forward_hint(), ConvSource::planned);
  note(ConvDirection::backward_weights, chosen);
  const WeightsDesc& pd = chosen.pd;
  weights_ = direction(pd, pd.src_desc(), pd.diff_weights_desc(), pd.diff_dst_desc());
  weights_.primitive.emplace(dnnl::convolution_backward_weights(pd));
  weights_source_ = Reorder(user_source_, weights_.source);
  weights_destination_ = Reorder(user_destination_, weights_.destination);
  weights_out_ = Reorder(weights_.weights, user_weights_, true);
}

CpuConvPlan::CpuConvPlan(const ConvSpec& spec, const Epilogue& epilogue, const PlanOptions& options)
    : spec_(spec),
      options_(options),
      wanted_(epilogue),
      fused_(fused_epilogue(spec, epilogue, options, ConvSource::planned)),
      user_source_(nhwc(spec.in, options.precision)),
      user_weights_(user_weights(spec)),
      user_destination_(nhwc(spec.out(), options.output())) {
  checked("convolution", about(spec), [&] {
    make_forward();
    if (options.mode != Mode::training) return;
    if (options.input_gradient) make_backward_data();
    if (options.weight_gradient) make_backward_weights();
  });
  reorder_scratch_at_ = part_bytes(workspace_);
  std::int64_t max = 0;
  for (const Reorder* r :
       {&forward_in_, &forward_out_, &data_in_, &data_out_, &data_add_, &weights_source_,
        &weights_destination_, &weights_out_, &pack_forward_, &pack_data_})
    max = std::max(max, r->scratch_bytes());
  workspace_ = reorder_scratch_at_ + max;
}

const void* CpuConvPlan::bring(const Reorder& reorder, const void* from, void* workspace,
                               std::int64_t area) const {
  if (!reorder.needed()) return from;
  reorder.run(from, part(workspace, area), part(workspace, reorder_scratch_at_));
  return part(workspace, area);
}

void require_dense(const TensorView& v) {
  if (!v.contiguous()) fail("a convolution of a slice of channels");
}

void CpuConvPlan::set_weights(const Stream& s, const float* weights, void* workspace) {
  for (auto* const conv : {&winograd_forward_, &winograd_data_})
    if (*conv) (*conv)->set_weights(s, weights);
  void* const scratch = part(workspace, reorder_scratch_at_);
  checked("reorder of weights", about(spec_), [&] {
    for (const auto& [pack, buffer] :
         {std::pair{&pack_forward_, &packed_forward_}, {&pack_data_, &packed_data_}}) {
      if (pack->needed())
        pack->run(weights, buffer->data(), scratch);
      else if (buffer->bytes() > 0)
        memory(DeviceType::cpu).copy({}, buffer->data(), weights, to_size(buffer->bytes()));
    }
    stream().wait();
  });
}

void CpuConvPlan::forward(const Stream& s, TensorView in, const float* bias, TensorView out,
                          void* workspace) {
  require_dense(in), require_dense(out);
  if (winograd_forward_)
    return winograd_forward_->run(
        s, in.as().data, out.as().data,
        {.bias = fused_.bias ? bias : nullptr, .slope = negative_slope(fused_.activation).value()},
        workspace);
  checked("convolution", about(spec_), [&] {
    const void* source = bring(forward_in_, in.data, workspace, forward_.source_at);
    void* const destination =
        forward_out_.needed() ? part(workspace, forward_.destination_at) : out.data;
    std::unordered_map<int, dnnl::memory> arguments{
        {DNNL_ARG_SRC, memory_at(forward_.source, source)},
        {DNNL_ARG_WEIGHTS, memory_at(forward_.weights, packed_forward_.data())},
        {DNNL_ARG_DST, memory_at(forward_.destination, destination)},
        {DNNL_ARG_SCRATCHPAD, memory_at(forward_.scratch, part(workspace, forward_.scratch_at))}};
    if (fused_.bias)
      arguments.insert(
          {DNNL_ARG_BIAS,
           memory_at(Desc({spec_.filters}, dnnl::memory::data_type::f32, Tag::a), bias)});
    forward_.primitive->execute(stream(), arguments);
    if (forward_out_.needed())
      forward_out_.run(destination, out.data, part(workspace, reorder_scratch_at_));
    stream().wait();
  });
}

void CpuConvPlan::run_data(const void* destination, const TensorView& in_gradient, bool add,
                           void* workspace) {
  require_dense(in_gradient);
  const bool apart = add || data_out_.needed();
  void* const source = apart ? part(workspace, data_.source_at) : in_gradient.data;
  data_.primitive->execute(
      stream(),
      {{DNNL_ARG_DIFF_DST, memory_at(data_.destination, destination)},
       {DNNL_ARG_WEIGHTS, memory_at(data_.weights, packed_data_.data())},
       {DNNL_ARG_DIFF_SRC, memory_at(data_.source, source)},
       {DNNL_ARG_SCRATCHPAD, memory_at(data_.scratch, part(workspace, data_.scratch_at))}});
  if (apart)
    (add ? data_add_ : data_out_)
        .run(source, in_gradient.data, part(workspace, reorder_scratch_at_));
  stream().wait();
}

void CpuConvPlan::run_weights(const TensorView& in, const void* destination, float* weight_gradient,
                              void* workspace) {
  require_dense(in);
  const void* source = bring(weights_source_, in.data, workspace, weights_.source_at);
  void* const result = part(workspace, weights_.weights_at);
  weights_.primitive->execute(
      stream(),
      {{DNNL_ARG_SRC, memory_at(weights_.source, source)},
       {DNNL_ARG_DIFF_DST, memory_at(weights_.destination, destination)},
       {DNNL_ARG_DIFF_WEIGHTS, memory_at(weights_.weights, result)},
       {DNNL_ARG_SCRATCHPAD, memory_at(weights_.scratch, part(workspace, weights_.scratch_at))}});
  weights_out_.run(result, weight_gradient, part(workspace, reorder_scratch_at_));
  stream().wait();
}

void CpuConvPlan::backward_data(const Stream& s, TensorView out_gradient, TensorView in_gradient,
                                bool add, void* workspace) {
  require_dense(out_gradient);
  if (winograd_data_) {
    require_dense(in_gradient);
    return winograd_data_->run(s, out_gradient.as().data, in_gradient.as().data, {.add = add},
                               workspace);
  }
  checked("backward data", about(spec_), [&] {
    run_data(bring(data_in_, out_gradient.data, workspace, data_.destination_at), in_gradient, add,
             workspace);
  });
}

void CpuConvPlan::backward_weights(const Stream& s, TensorView in, TensorView out_gradient,
                                   float* weight_gradient, void* workspace) {
  require_dense(out_gradient);
  if (winograd_weights_) {
    require_dense(in);
    return winograd_weights_->run(s, in.as().data, out_gradient.as().data, weight_gradient,
                                  workspace);
  }
  if (widened_weights_) {
    require_dense(in);
    return widened_weights_->run(s, in, out_gradient, weight_gradient, workspace);
  }
  checked("backward weights", about(spec_), [&] {
    run_weights(in,
                bring(weights_destination_, out_gradient.data, workspace, weights_.destination_at),
                weight_gradient, workspace);
  });
}

void CpuConvPlan::backward(const Stream& s, TensorView in, TensorView out_gradient,
                           float* weight_gradient, TensorView in_gradient, bool add,
                           void* workspace) {
  const bool both = data_.primitive && weights_.primitive;
  if (!both || !(data_.destination == weights_.destination))
    return ConvPlan::backward(s, in, out_gradient, weight_gradient, in_gradient, add, workspace);
  require_dense(out_gradient);
  checked("backward", about(spec_), [&] {
    const void* const destination =
        bring(data_in_, out_gradient.data, workspace, data_.destination_at);
    run_weights(in, destination, weight_gradient, workspace);
    run_data(destination, in_gradient, add, workspace);
  });
}

}  // namespace

std::shared_ptr<ConvPlan> make_cpu_conv(const ConvSpec& spec, const Epilogue& epilogue,
                                        const PlanOptions& options) {
  if (spec.groups <= 0 || spec.in.c % spec.groups != 0 || spec.filters % spec.groups != 0)
    fail("groups=", spec.groups, " divides neither or only one of ", spec.in.c, " channels and ",
         spec.filters, " filters");
  if (options.int8)
    if (auto plan = make_int8_conv(spec, epilogue, options)) return plan;
  return std::make_unique<CpuConvPlan>(spec, epilogue, options);
}

}  // namespace darknet
