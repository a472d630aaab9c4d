#include "cpu/int8_conv.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>

#include "core/for_each.h"
#include "core/index.h"
#include "core/parts.h"
#include "cpu/conv_choice.h"
#include "cpu/reorder.h"

namespace darknet {
namespace {

using namespace onednn;
using Type = dnnl::memory::data_type;

constexpr float kMaxInput = 255;
// A filter's range, and the product of the scales of input and weights, are at least this: below it
// its weights count as 0, for what is divided by them would overflow.
constexpr float kMinScale = 1e-30f;

// With the padding in the tensor itself, where it has the integer of 0, unless that is 0.
ConvSpec padded(const ConvSpec& s, std::int32_t zero_point) {
  ConvSpec p = s;
  if (zero_point == 0) return p;
  p.in.h += 2 * s.pad_y, p.in.w += 2 * s.pad_x;
  p.pad_y = p.pad_x = 0;
  return p;
}

// One row of the padded input, from T: float or integers.
template <class T>
struct QuantiseRow {
  View<const T> in;
  std::uint8_t* out;
  std::int64_t pad_y, pad_x;
  float inverse_scale;
  std::int32_t zero_point;

  void operator()(std::int64_t row) const {
    const std::int64_t rows = in.shape.h + 2 * pad_y, c = in.shape.c;
    const std::int64_t n = row / rows, y = row % rows - pad_y, width = in.shape.w * c;
    std::uint8_t* to = out + row * (in.shape.w + 2 * pad_x) * c;
    const auto zero = static_cast<std::uint8_t>(zero_point);
    if (y < 0 || y >= in.shape.h) {
      std::fill_n(to, width + 2 * pad_x * c, zero);
      return;
    }
    std::fill_n(to, pad_x * c, zero);
    convert(&in.at(in.pixel(n, y, 0), 0), to + pad_x * c, width);
    std::fill_n(to + pad_x * c + width, pad_x * c, zero);
  }

  void convert(const std::uint8_t* from, std::uint8_t* to, std::int64_t count) const {
    std::memcpy(to, from, to_size(count));
  }
  void convert(const float* from, std::uint8_t* to, std::int64_t count) const {
    const float inverse = inverse_scale, offset = static_cast<float>(zero_point) + .5f;
    for (std::int64_t i = 0; i < count; ++i) {
      const float q = from[i] * inverse + offset;
      const float low = q > 0 ? q : 0;  // NaN too: an integer cannot stand for it
      to[i] =
          static_cast<std::uint8_t>(static_cast<std::int32_t>(low < kMaxInput ? low : kMaxInput));
    }
  }
};

class Int8Conv final : public ConvPlan {
 public:
  Int8Conv(const ConvSpec& spec, const Epilogue& epilogue, const PlanOptions& options);
  bool is_reference() const { return onednn::is_reference(desc_->impl_info_str()); }

  Epilogue fused() const override { return fused_; }
  std::int64_t workspace() const override { return parts_.total(); }
  std::int64_t packed_weights() const override { return packed_.bytes(); }
  std::string description() const override { return cat("int8 forward ", desc_->impl_info_str()); }
  void set_weights(const Stream&, const float* weights, void* workspace) override;
  void forward(const Stream&, TensorView in, const float* bias, TensorView out,
               void* workspace) override;
  void backward_data(const Stream&, TensorView, TensorView, bool, void*) override { no_gradient(); }
  void backward_weights(const Stream&, TensorView, TensorView, float*, void*) override {
    no_gradient();
  }

 private:
  [[noreturn]] static void no_gradient() {
    fail("a convolution in 8-bit integers has no gradient");
  }
  bool reads_in_place() const { return source_type_ == DType::u8 && padded_.in == spec_.in; }
  void set_output(const IntegerScale&, const Epilogue& epilogue);
  void make_scales();
  dnnl::primitive_attr attributes() const;
  void make_primitive();
  // The integers of `in` with their padding: `in` itself, or what is written to the workspace.
  void* source(const Stream&, const TensorView& in, void* workspace) const;
  template <class T>
  void quantise(const Stream&, const TensorView& in, std::uint8_t* to) const;
  std::vector<std::int8_t> integers(const float* weights);
  void set_bias(const float* bias, float* to) const;

  ConvSpec spec_, padded_;
  ConvQuantization quantization_;
  std::optional<IntegerScale> output_;  // none: f32
  DType source_type_;
  Epilogue fused_;
  float gain_ = 1;                               // of all that comes before the activation
  std::vector<float> weight_inverses_, scales_;  // by filter; 0: its weights count as 0
  std::vector<std::int64_t> weight_sums_;        // by filter, of its integers
  std::optional<ForwardDesc> desc_;
  std::optional<dnnl::convolution_forward> primitive_;
  Reorder pack_;
  Buffer packed_;
  Parts parts_;  // of the workspace
  std::int64_t source_at_ = 0, bias_at_ = 0, scratch_at_ = 0;
};

Int8Conv::Int8Conv(const ConvSpec& spec, const Epilogue& epilogue, const PlanOptions& options)
    : spec_(spec),
      padded_(padded(spec, options.int8->zero_point)),
      quantization_(*options.int8),
      source_type_(options.precision),
      fused_(fused_epilogue(spec, epilogue, options, ConvSource::library)) {
  fused_.bias = true;  // it also makes up for the zero point
  if (options.integer_output) set_output(*options.integer_output, epilogue);
  make_scales();
  checked("int8 convolution", about(spec), [&] { make_primitive(); });
  if (!reads_in_place()) source_at_ = parts_.take(padded_.in.size());
  bias_at_ = parts_.take(spec.filters * std::int64_t{sizeof(float)});
  scratch_at_ = parts_.take(std::max(
      pack_.scratch_bytes(), static_cast<std::int64_t>(desc_->scratchpad_desc().get_size())));
}

// What scales with its input scales with what its input was made of.
void Int8Conv::set_output(const IntegerScale& scale, const Epilogue& epilogue) {
  if (fused_.activation.index() != epilogue.activation.index())
    fail("integers cannot be written before their activation, ", name_of(epilogue.activation));
  output_ = scale;
  if (negative_slope(fused_.activation)) gain_ = 1 / scale.scale;
}

void Int8Conv::make_scales() {
  const auto limit = static_cast<float>(int8_weight_limit());
  for (const float range : quantization_.ranges) {
    const float scale = quantization_.scale * gain_ * range / limit;
    const bool zero = scale < kMinScale || range < kMinScale;
    weight_inverses_.push_back(zero ? 0 : limit / range);
    scales_.push_back(zero ? 1 : scale);
  }
}

dnnl::primitive_attr Int8Conv::attributes() const {
  dnnl::primitive_attr attributes = attributes_of(fused_);
  set_filter_scales(attributes, scales_, spec_.groups > 1);
  if (!output_) return attributes;
  const float factor = gain_ == 1 ? 1 / output_->scale : 1;
  if (factor == 1 && output_->zero_point == 0) return attributes;
  dnnl::post_ops ops = attributes.get_post_ops();
  append_eltwise(ops, dnnl::algorithm::eltwise_linear, factor,
                 static_cast<float>(output_->zero_point));
  attributes.set_post_ops(ops);
  return attributes;
}

void Int8Conv::make_primitive() {
  const ConvTensors tensors{.source = Desc(dims(padded_.in), Type::u8, Tag::nhwc),
                            .weights = any_weights(spec_, Type::s8),
                            .destination = nhwc(spec_.out(), output_ ? DType::u8 : DType::f32),
                            .bias = Desc({spec_.filters}, Type::f32, Tag::a)};
  desc_ = conv_forward(dnnl::prop_kind::forward_inference, dnnl::algorithm::convolution_direct,
                       tensors, geometry_of(padded_), attributes());
  primitive_.emplace(*desc_);
  pack_ = Reorder(user_weights(spec_, Type::s8), desc_->weights_desc());
  packed_ = Buffer({}, static_cast<std::int64_t>(desc_->weights_desc().get_size()));
}

// OHWI; also the sums.
std::vector<std::int8_t> Int8Conv::integers(const float* weights) {
  const std::int64_t of_filter = spec_.weights() / spec_.filters;
  const auto limit = static_cast<float>(int8_weight_limit());
  std::vector<std::int8_t> all;
  all.reserve(to_size(spec_.weights()));
  weight_sums_.clear();
  for (std::int64_t f = 0; f < spec_.filters; ++f) {
    std::int64_t sum = 0;
    for (std::int64_t i = 0; i < of_filter; ++i) {
      const float w = weights[f * of_filter + i] * weight_inverses_[to_size(f)];
      all.push_back(static_cast<std::int8_t>(std::lround(std::clamp(w, -limit, limit))));
      sum += all.back();
    }
    weight_sums_.push_back(sum);
  }
  return all;
}

void Int8Conv::set_weights(const Stream&, const float* weights, void* workspace) {
  const std::vector<std::int8_t> all = integers(weights);
  checked("reorder of weights", about(spec_), [&] {
    if (pack_.needed())
      pack_.run(all.data(), packed_.data(), part(workspace, scratch_at_));
    else
      std::copy(all.begin(), all.end(), static_cast<std::int8_t*>(packed_.data()));
    stream().wait();
  });
}

// Of sums over q instead of over q - zero_point.
void Int8Conv::set_bias(const float* bias, float* to) const {
  for (std::size_t f = 0; f < scales_.size(); ++f) {
    const auto excess = static_cast<float>(quantization_.zero_point * weight_sums_[f]);
    const float own = bias ? bias[f] * gain_ : 0;
    to[f] = kBiasBeforeScales ? own / scales_[f] - excess : own - excess * scales_[f];
  }
}

template <class T>
void Int8Conv::quantise(const Stream& s, const TensorView& in, std::uint8_t* to) const {
  const QuantiseRow<T> row{in.as<T>(),
                           to,
                           spec_.pad_y - padded_.pad_y,
                           spec_.pad_x - padded_.pad_x,
                           1 / quantization_.scale,
                           quantization_.zero_point};
  run_on_host(s, {.rows = in.shape.n * padded_.in.h, .grain = padded_.in.w * padded_.in.c}, row,
              IndexLoop<QuantiseRow<T>>::run);
}

void* Int8Conv::source(const Stream& s, const TensorView& in, void* workspace) const {
  if (in.dtype != source_type_) fail("a convolution in 8-bit integers was planned for other ones");
  if (reads_in_place()) return in.data;
  auto* const to = part<std::uint8_t>(workspace, source_at_);
  if (source_type_ == DType::u8)
    quantise<std::uint8_t>(s, in, to);
  else
    quantise<float>(s, in, to);
  return to;
}

void Int8Conv::forward(const Stream& s, TensorView in, const float* bias, TensorView out,
                       void* workspace) {
  if (!in.contiguous() || !out.contiguous()) fail("a convolution of a slice of channels");
  void* const source = this->source(s, in, workspace);
  auto* const own_bias = part<float>(workspace, bias_at_);
  set_bias(bias, own_bias);
  const auto at = [](const Desc& d, void* p) { return dnnl::memory(d, engine(), p); };
  checked("int8 convolution", about(spec_), [&] {
    std::unordered_map<int, dnnl::memory> arguments{
        {DNNL_ARG_SRC, at(desc_->src_desc(), source)},
        {DNNL_ARG_WEIGHTS, at(desc_->weights_desc(), packed_.data())},
        {DNNL_ARG_BIAS, at(desc_->bias_desc(), own_bias)},
        {DNNL_ARG_DST, at(desc_->dst_desc(), out.data)},
        {DNNL_ARG_SCRATCHPAD, at(desc_->scratchpad_desc(), part(workspace, scratch_at_))}};
    add_filter_scales(arguments, scales_);
    primitive_->execute(stream(), arguments);
    stream().wait();
  });
}

// Of no special case: 1 and 0 need fewer operations after the sums, and no padding in the tensor.
constexpr IntegerScale kAnyScale{.scale = .5f, .zero_point = 1};

// `output`: none: f32.
bool has_fast_code(const ConvSpec& spec, const Epilogue& epilogue, const IntegerScale* output) {
  const ConvQuantization q{.scale = kAnyScale.scale,
                           .zero_point = kAnyScale.zero_point,
                           .ranges = std::vector<float>(to_size(spec.filters), 1)};
  const PlanOptions options{.precision = DType::u8, .int8 = &q, .integer_output = output};
  return !Int8Conv(spec, epilogue, options).is_reference();
}

}  // namespace

int int8_weight_limit() { return uses_x86_isa(dnnl::cpu_isa::avx512_core_vnni) ? 127 : 64; }

bool int8_conv_reads_integers(const ConvSpec& spec, const Epilogue& epilogue) {
  return has_fast_code(spec, epilogue, nullptr);
}

bool int8_conv_writes_integers(const ConvSpec& spec, const Epilogue& epilogue) {
  const Epilogue fused = fused_epilogue(spec, epilogue, {}, ConvSource::library);
  return fused.activation.index() == epilogue.activation.index() &&
         has_fast_code(spec, epilogue, &kAnyScale);
}

std::shared_ptr<ConvPlan> make_int8_conv(const ConvSpec& spec, const Epilogue& epilogue,
                                         const PlanOptions& options) {
  const bool takes_integers = options.precision == DType::u8;
  if (options.mode == Mode::training || !(takes_integers || options.precision == DType::f32))
    fail("8-bit integers are for inference in f32");
  if (std::ssize(options.int8->ranges) != spec.filters)
    fail(options.int8->ranges.size(), " ranges for ", spec.filters, " filters");
  auto plan = std::make_shared<Int8Conv>(spec, epilogue, options);
  if (takes_integers || options.integer_output) return plan;
  return plan->is_reference() ? nullptr : plan;
}

}  // namespace darknet
