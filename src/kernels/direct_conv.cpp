#include "kernels/direct_conv.h"

#include "core/for_each.h"

namespace darknet {
namespace {

// The convolution, as kernels take it. Filters are OHWI, channels those of one group.
struct DirectConvGeometry {
  Shape in, out;
  std::int64_t size_y, size_x, stride_y, stride_x, dilation, pad_y, pad_x;
  std::int64_t group_in, group_out;  // channels and filters of a group

  DN_HD std::int64_t weight(std::int64_t filter, std::int64_t ky, std::int64_t kx) const {
    return ((filter * size_y + ky) * size_x + kx) * group_in;
  }
  // f(input pixel, ky, kx) for every tap of an output pixel that lies in the image.
  template <class F>
  DN_HD void for_taps(std::int64_t out_pixel, F f) const {
    const std::int64_t x = out_pixel % out.w, y = out_pixel / out.w % out.h;
    const std::int64_t image = out_pixel / out.w / out.h;
    for (std::int64_t ky = 0; ky < size_y; ++ky)
      for (std::int64_t kx = 0; kx < size_x; ++kx) {
        const std::int64_t iy = y * stride_y - pad_y + ky * dilation;
        const std::int64_t ix = x * stride_x - pad_x + kx * dilation;
        if (iy >= 0 && ix >= 0 && iy < in.h && ix < in.w)
          f((image * in.h + iy) * in.w + ix, ky, kx);
      }
  }
};

struct DirectForward {
  DirectConvGeometry g;
  View<const float> in;
  const float* weights;
  View<float> out;
  DN_HD void operator()(std::int64_t pixel, std::int64_t filter) const {
    const std::int64_t first = filter / g.group_out * g.group_in;
    float sum = 0;
    g.for_taps(pixel, [&](std::int64_t p, std::int64_t ky, std::int64_t kx) {
      const float* const w = weights + g.weight(filter, ky, kx);
      for (std::int64_t c = 0; c < g.group_in; ++c) sum += w[c] * in.at(p, first + c);
    });
    out.at(pixel, filter) = sum;
  }
};

struct BackwardData {
  DirectConvGeometry g;
  const float* weights;
  View<const float> out_gradient;
  View<float> in_gradient;
  bool add;
  // The outputs that read this pixel: those where stride divides what is left of a tap.
  DN_HD void operator()(std::int64_t pixel, std::int64_t channel) const {
    const std::int64_t x = pixel % g.in.w, y = pixel / g.in.w % g.in.h;
    const std::int64_t image = pixel / g.in.w / g.in.h;
    const std::int64_t group = channel / g.group_in, c = channel % g.group_in;
    float sum = 0;
    for (std::int64_t ky = 0; ky < g.size_y; ++ky)
      for (std::int64_t kx = 0; kx < g.size_x; ++kx) {
        const std::int64_t from_y = y + g.pad_y - ky * g.dilation;
        const std::int64_t from_x = x + g.pad_x - kx * g.dilation;
        if (from_y < 0 || from_x < 0 || from_y % g.stride_y != 0 || from_x % g.stride_x != 0)
          continue;
        const std::int64_t oy = from_y / g.stride_y, ox = from_x / g.stride_x;
        if (oy >= g.out.h || ox >= g.out.w) continue;
        const std::int64_t p = (image * g.out.h + oy) * g.out.w + ox;
        for (std::int64_t k = group * g.group_out; k < (group + 1) * g.group_out; ++k)
          sum += weights[g.weight(k, ky, kx) + c] * out_gradient.at(p, k);
      }
    float& to = in_gradient.at(pixel, channel);
    to = add ? to + sum : sum;
  }
};

struct BackwardWeights {
  DirectConvGeometry g;
  View<const float> in, out_gradient;
  float* weight_gradient;
  DN_HD void operator()(std::int64_t i) const {  // one weight
    const std::int64_t c = i % g.group_in, tap = i / g.group_in % (g.size_y * g.size_x);
    const std::int64_t filter = i / g.group_in / (g.size_y * g.size_x);
    const std::int64_t ky = tap / g.size_x, kx = tap % g.size_x;
    const std::int64_t channel = filter / g.group_out * g.group_in + c;
    double sum = 0;  // over a whole batch
    for (std::int64_t p = 0; p < g.out.pixels(); ++p) {
      const std::int64_t x = p % g.out.w, y = p / g.out.w % g.out.h, image = p / g.out.w / g.out.h;
      const std::int64_t iy = y * g.stride_y - g.pad_y + ky * g.dilation;
      const std::int64_t ix = x * g.stride_x - g.pad_x + kx * g.dilation;
      if (iy < 0 || ix < 0 || iy >= g.in.h || ix >= g.in.w) continue;
      sum += static_cast<double>(out_gradient.at(p, filter)) *
             in.at((image * g.in.h + iy) * g.in.w + ix, channel);
    }
    weight_gradient[i] += static_cast<float>(sum);
  }
};

class LaunchedConv final : public ConvPlan {
 public:
  explicit LaunchedConv(const ConvSpec& s)
      : geometry_{.in = s.in,
                  .out = s.out(),
                  .size_y = s.size_y,
                  .size_x = s.size_x,
                  .stride_y = s.stride_y,
                  .stride_x = s.stride_x,
                  .dilation = s.dilation,
                  .pad_y = s.pad_y,
                  .pad_x = s.pad_x,
                  .group_in = s.in.c / s.groups,
                  .group_out = s.filters / s.groups},
        weight_count_(s.weights()) {}

  Epilogue fused() const override { return {}; }
  std::int64_t workspace() const override { return 0; }
  std::int64_t packed_weights() const override { return 0; }
  std::string description() const override { return "plain launches"; }
  void set_weights(const Stream&, const float* weights, void*) override { weights_ = weights; }
  void forward(const Stream& s, TensorView in, const float*, TensorView out, void*) override {
    for_each_pixel(s, geometry_.out, DirectForward{geometry_, in.as<>(), weights_, out.as<>()});
  }
  void backward_data(const Stream& s, TensorView out_gradient, TensorView in_gradient, bool add,
                     void*) override {
    for_each_pixel(s, geometry_.in,
                   BackwardData{geometry_, weights_, out_gradient.as<>(), in_gradient.as<>(), add});
  }
  void backward_weights(const Stream& s, TensorView in, TensorView out_gradient,
                        float* weight_gradient, void*) override {
    for_each(s, weight_count_,
             BackwardWeights{geometry_, in.as<>(), out_gradient.as<>(), weight_gradient});
  }

 private:
  DirectConvGeometry geometry_;
  std::int64_t weight_count_;
  const float* weights_ = nullptr;
};

}  // namespace

std::shared_ptr<ConvPlan> make_launched_conv(const ConvSpec& spec) {
  return std::make_unique<LaunchedConv>(spec);
}

}  // namespace darknet
