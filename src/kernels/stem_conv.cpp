#include "kernels/stem_conv.h"

#include <algorithm>
#include <optional>

#include "core/elementwise.h"
#include "core/parts.h"

namespace darknet {
namespace {

constexpr int kChannels = 3, kSize = 3;   // of the input and the kernels
constexpr std::int64_t kMaxFilters = 64;  // with more, a tensor core is busy enough
constexpr int kFilters = 4;               // filters that one thread computes
constexpr int kWide = 4;                  // input elements that are read at once
constexpr int kRun = 8;                   // forward: output pixels that one thread computes
constexpr int kTile = 4;  // weight gradient: output pixels whose inputs are read together
constexpr std::int64_t kSegment = 64;  // weight gradient: of a row, without interruption
// Weight gradient: sums of all threads that are written and then added up.
constexpr std::int64_t kMaxPartialSums = std::int64_t{4} << 20;

// Input pixels in a row that `pixels` outputs read.
DN_HD constexpr int span(int pixels, int stride) { return (pixels - 1) * stride + kSize; }

struct StemGeometry {
  int in_h = 0, in_w = 0, out_h = 0, out_w = 0;
  int pad_y = 0, pad_x = 0;
  int filters = 0;
};

// An output row, and where in it to begin. Rows are cut into parts of `length` pixels, counted
// through all images; 32 bits suffice, because no tensor has 2^31 elements.
struct RowPart {
  int image, y, x;
  DN_HD RowPart(const StemGeometry& g, std::uint32_t part, std::uint32_t length) {
    const std::uint32_t per_row = (static_cast<std::uint32_t>(g.out_w) + length - 1) / length;
    const std::uint32_t row = part / per_row, height = static_cast<std::uint32_t>(g.out_h);
    x = static_cast<int>(part % per_row * length);
    y = static_cast<int>(row % height);
    image = static_cast<int>(row / height);
  }
};
std::int64_t row_parts(const Shape& out, std::int64_t length) {
  return out.n * out.h * chunks_of(out.w, length);
}

// kPixels pixels of an input row, from pixel `x` on; zeros outside of the image. kAligned: the
// width is a multiple of 4 and the padding 1. Then every row, and the pixel after the first one
// that is asked for, begins at a multiple of kWide elements, and kWide elements are read at once.
template <int kPixels, bool kAligned>
struct Inputs {
  static constexpr int kLead = kAligned ? kWide - kChannels : 0;  // before the first pixel
  static constexpr int kCount = (kLead + kPixels * kChannels + kWide - 1) / kWide * kWide;
  float values[kCount];

  template <class T>
  DN_HD Inputs(const View<const T>& in, int image, int y, int x) {
    const View<const T> row{&in.at(in.pixel(image, y, 0), 0), {}, 1};
    const int first = x * kChannels - kLead, end = static_cast<int>(in.shape.w) * kChannels;
    constexpr int kN = kAligned ? kWide : 1;
    for (int i = 0; i < kCount; i += kN) {
      Vec<float, kN> some{};
      if (first + i >= 0 && first + i < end) some = convert<float>(load_vec<kN>(row, first + i, 0));
      for (int k = 0; k < kN; ++k) values[i + k] = some[k];
    }
  }
  DN_HD float at(int pixel, int channel) const {
    return values[kLead + pixel * kChannels + channel];
  }
};

// Weights from [filter][ky][kx][channel] to [ky][kx][channel][filter].
struct Pack {
  const float* weights;
  float* packed;
  std::int64_t filters;
  DN_HD void operator()(std::int64_t i) const {
    constexpr std::int64_t kTaps = std::int64_t{kSize} * kSize * kChannels;  // of a filter
    packed[i] = weights[i % filters * kTaps + i / filters];
  }
};

// activation(convolution + bias) of kRun pixels and kFilters filters.
template <class T, int kStride, bool kAligned>
struct StemForward {
  StemGeometry g;
  View<const T> in;
  View<const float> weights;  // [ky][kx * channel][filter]
  const float* bias;          // null: none
  float negative_slope;       // of the activation; 0 * NaN stays NaN
  View<T> out;

  DN_HD void operator()(std::int64_t index) const {
    const auto i = static_cast<std::uint32_t>(index);
    const std::uint32_t groups = static_cast<std::uint32_t>(g.filters / kFilters);
    const int filter = static_cast<int>(i % groups) * kFilters;
    const RowPart at(g, i / groups, kRun);
    float sums[kRun][kFilters];
    for (int p = 0; p < kRun; ++p)  // NOLINT(modernize-loop-convert): as the loops below
      for (int k = 0; k < kFilters; ++k) sums[p][k] = bias ? bias[filter + k] : 0;
    for (int ky = 0; ky < kSize; ++ky) {
      const int y = at.y * kStride - g.pad_y + ky;
      if (y < 0 || y >= g.in_h) continue;
      const Inputs<span(kRun, kStride), kAligned> x(in, at.image, y, at.x * kStride - g.pad_x);
      for (int kx = 0; kx < kSize; ++kx)
        for (int c = 0; c < kChannels; ++c) {
          const auto w = load_vec<kFilters>(weights, (ky * kSize + kx) * kChannels + c, filter);
          for (int p = 0; p < kRun; ++p)
            for (int k = 0; k < kFilters; ++k) sums[p][k] += x.at(p * kStride + kx, c) * w[k];
        }
    }
    store(at, filter, sums);
  }

  DN_HD void store(const RowPart& at, int filter, const float (&sums)[kRun][kFilters]) const {
    const std::int64_t pixel = out.pixel(at.image, at.y, at.x);
    for (int p = 0; p < kRun; ++p) {
      if (at.x + p >= g.out_w) return;
      Vec<float, kFilters> y;
      for (int k = 0; k < kFilters; ++k)
        y[k] = sums[p][k] > 0 ? sums[p][k] : negative_slope * sums[p][k];
      store_vec<kFilters>(out, pixel + p, filter, convert<T>(y));
    }
  }
};

// The sums over some segments of rows, of kFilters filters and one row of their kernels.
template <class T, int kStride, bool kAligned>
struct WeightGradient {
  StemGeometry g;
  View<const T> in, out_gradient;
  std::uint32_t segments, chunks;  // a chunk has every chunks-th segment
  float* partial;                  // [chunk][filter][ky][kx][channel]

  DN_HD void operator()(std::int64_t index) const {
    const auto i = static_cast<std::uint32_t>(index);
    const std::uint32_t groups = static_cast<std::uint32_t>(g.filters / kFilters);
    const int filter = static_cast<int>(i % groups) * kFilters;
    const int ky = static_cast<int>(i / groups % kSize);
    const std::uint32_t chunk = i / groups / kSize;
    float sums[kSize][kChannels][kFilters] = {};
    for (std::uint32_t s = chunk; s < segments; s += chunks) add(s, filter, ky, sums);
    float* const to = partial + std::int64_t{chunk} * g.filters * kSize * kSize * kChannels;
    for (int k = 0; k < kFilters; ++k)
      for (int kx = 0; kx < kSize; ++kx)
        for (int c = 0; c < kChannels; ++c)
          to[(((filter + k) * kSize + ky) * kSize + kx) * kChannels + c] = sums[kx][c][k];
  }

  DN_HD void add(std::uint32_t segment, int filter, int ky,
                 float (&sums)[kSize][kChannels][kFilters]) const {
    const RowPart at(g, segment, kSegment);
    const int y = at.y * kStride - g.pad_y + ky;
    if (y < 0 || y >= g.in_h) return;
    const std::int64_t pixel = out_gradient.pixel(at.image, at.y, 0);
    const int end = math::min(at.x + static_cast<int>(kSegment), g.out_w);
    for (int x = at.x; x < end; x += kTile) {
      const Inputs<span(kTile, kStride), kAligned> inputs(in, at.image, y, x * kStride - g.pad_x);
      Vec<float, kFilters> gradients[kTile] = {};
      for (int p = 0; p < kTile; ++p)
        if (x + p < end)
          gradients[p] = convert<float>(load_vec<kFilters>(out_gradient, pixel + x + p, filter));
      for (int p = 0; p < kTile; ++p)
        for (int kx = 0; kx < kSize; ++kx)
          for (int c = 0; c < kChannels; ++c)
            for (int k = 0; k < kFilters; ++k)
              sums[kx][c][k] += inputs.at(p * kStride + kx, c) * gradients[p][k];
    }
  }
};

class StemConv final : public ConvPlan {
 public:
  StemConv(const ConvSpec& s, const Epilogue& epilogue, const PlanOptions& options,
           const Device& device)
      : spec_(s),
        geometry_{.in_h = static_cast<int>(s.in.h),
                  .in_w = static_cast<int>(s.in.w),
                  .out_h = static_cast<int>(s.out().h),
                  .out_w = static_cast<int>(s.out().w),
                  .pad_y = static_cast<int>(s.pad_y),
                  .pad_x = static_cast<int>(s.pad_x),
                  .filters = static_cast<int>(s.filters)},
        packed_(device, s.weights() * size_of(DType::f32)) {
    if (const auto slope = negative_slope(epilogue.activation)) {
      fused_ = epilogue;
      slope_ = *slope;
    }
    if (options.mode == Mode::inference || !options.weight_gradient) return;
    segments_ = row_parts(s.out(), kSegment);
    chunks_ = std::min(segments_, kMaxPartialSums / s.weights());
    parts_.take(partial_sums().size() * size_of(DType::f32));
    scratch_at_ = parts_.take(reduce_channels_scratch(partial_sums(), 1));
  }

  Epilogue fused() const override { return fused_; }
  std::int64_t workspace() const override { return parts_.total(); }
  std::int64_t packed_weights() const override { return packed_.bytes(); }
  std::string description() const override { return "direct, three channels"; }
  void set_weights(const Stream& s, const float* weights, void*) override {
    for_each(s, spec_.weights(), Pack{weights, packed().data, spec_.filters});
  }
  void forward(const Stream& s, TensorView in, const float* bias, TensorView out, void*) override {
    require_dense(in, out);
    with_kernel(in, [&](auto element, auto stride, auto aligned) {
      using T = decltype(element);
      for_each(
          s, row_parts(out.shape, kRun) * (spec_.filters / kFilters),
          StemForward<T, decltype(stride)::value, decltype(aligned)::value>{
              geometry_, in.as<T>(), packed(), fused_.bias ? bias : nullptr, slope_, out.as<T>()});
    });
  }
  void backward_data(const Stream&, TensorView, TensorView, bool, void*) override {
    fail("a stem convolution has no gradient of its input");
  }
  void backward_weights(const Stream& s, TensorView in, TensorView out_gradient,
                        float* weight_gradient, void* workspace) override {
    require_dense(in, out_gradient);
    if (chunks_ == 0) fail("a stem convolution that was planned without its weights' gradient");
    float* const partial = part<float>(workspace, 0);
    with_kernel(in, [&](auto element, auto stride, auto aligned) {
      using T = decltype(element);
      for_each(
          s, chunks_ * (spec_.filters / kFilters) * kSize,
          WeightGradient<T, decltype(stride)::value, decltype(aligned)::value>{
              geometry_, in.as<T>(), out_gradient.as<T>(), static_cast<std::uint32_t>(segments_),
              static_cast<std::uint32_t>(chunks_), partial});
    });
    const Shape shape = partial_sums();
    reduce_channels<1>(s, shape, SumOfValues{}, AddTo{weight_gradient},
                       part(workspace, scratch_at_),
                       View<const float>{partial, shape, spec_.weights()});
  }

 private:
  static void require_dense(const TensorView& a, const TensorView& b) {
    if (!a.contiguous() || !b.contiguous()) fail("a stem convolution of a slice of channels");
  }
  // launch(T{}, stride, aligned): the last two as constants.
  template <class Launch>
  void with_kernel(const TensorView& in, Launch launch) const {
    const bool aligned =
        spec_.pad_x == 1 && spec_.in.w % kWide == 0 &&
        reinterpret_cast<std::uintptr_t>(in.data) % alignof(Vec<float, kWide>) == 0;
    with_element(in.dtype, [&](auto element) {
      const auto with_stride = [&](auto stride) {
        aligned ? launch(element, stride, std::true_type{})
                : launch(element, stride, std::false_type{});
      };
      if (spec_.stride_x == 1)
        with_stride(std::integral_constant<int, 1>{});
      else
        with_stride(std::integral_constant<int, 2>{});
    });
  }
  Shape partial_sums() const { return {1, 1, chunks_, spec_.weights()}; }
  View<float> packed() const {
    return {static_cast<float*>(packed_.data()),
            {1, kSize, std::int64_t{kSize} * kChannels, spec_.filters},
            spec_.filters};
  }

  ConvSpec spec_;
  StemGeometry geometry_;
  Buffer packed_;
  Epilogue fused_;
  float slope_ = 1;
  std::int64_t segments_ = 0, chunks_ = 0, scratch_at_ = 0;
  Parts parts_;  // of the workspace
};

}  // namespace

bool is_stem_conv(const ConvSpec& s, const PlanOptions& o) {
  return s.in.c == kChannels && s.groups == 1 && s.size_y == kSize && s.size_x == kSize &&
         s.stride_y == s.stride_x && (s.stride_x == 1 || s.stride_x == 2) && s.dilation == 1 &&
         s.filters % kFilters == 0 && s.filters <= kMaxFilters && o.output() == o.precision &&
         (o.mode == Mode::inference || !o.input_gradient);
}

std::shared_ptr<ConvPlan> make_stem_conv(const ConvSpec& spec, const Epilogue& epilogue,
                                         const PlanOptions& options, const Device& device) {
  return std::make_shared<StemConv>(spec, epilogue, options, device);
}

}  // namespace darknet
