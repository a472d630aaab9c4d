// The library work of a network as plain loops with sums in double, in every element type: what
// `darknet check` holds the real plans against. Slow, obvious, and made of nothing that they are
// made of.
#include <vector>

#include "core/index.h"
#include "core/ops.h"

namespace darknet {
namespace {

// The elements of a tensor as floats: itself, or a copy of one of 16 bits, which put_back() rounds.
class Floats {
 public:
  explicit Floats(const TensorView& of) : home_(of) {
    if (of.dtype == DType::f32) {
      view = of.as<>();
      return;
    }
    copy_.resize(to_size(of.shape.size()));
    view = {copy_.data(), of.shape, of.shape.c};
    each_element([](auto& half, float& wide) { wide = half; });
  }
  void put_back() {
    if (!copy_.empty()) each_element([](auto& half, float& wide) { half = wide; });
  }
  View<float> view;

 private:
  template <class F>
  void each_element(const F& f) {
    with_element(home_.dtype, [&](auto element) {
      const auto from = home_.as<decltype(element)>();
      for (std::int64_t p = 0; p < home_.shape.pixels(); ++p)
        for (std::int64_t c = 0; c < home_.shape.c; ++c) f(from.at(p, c), view.at(p, c));
    });
  }
  TensorView home_;
  std::vector<float> copy_;
};

// Loops over what a convolution connects: output pixel, kernel tap and input pixel.
class ReferenceConv final : public ConvPlan {
 public:
  ReferenceConv(const ConvSpec& spec, DType precision)
      : s_(spec), out_(spec.out()), precision_(precision) {}
  Epilogue fused() const override { return {}; }
  std::int64_t workspace() const override { return 0; }
  std::string description() const override { return "reference"; }
  std::int64_t packed_weights() const override {
    return s_.weights() * std::int64_t{sizeof(float)};
  }
  void set_weights(const Stream&, const float* weights, void*) override {
    weights_.assign(weights, weights + s_.weights());
    with_element(precision_, [&](auto element) {
      for (float& w : weights_) {
        element = w;
        w = element;
      }
    });
  }

  void forward(const Stream&, TensorView in, const float*, TensorView out, void*) override {
    const Floats from_in(in);
    Floats to_out(out);
    const View<const float> x = from_in.view;
    const View<float> y = to_out.view;
#pragma omp parallel for
    for (std::int64_t p = 0; p < out_.pixels(); ++p)
      for (std::int64_t o = 0; o < s_.filters; ++o) {
        double sum = 0;
        for_taps(p, [&](std::int64_t q, std::int64_t tap) {
          const float* const from = &x.at(q, first_input(o));
          const float* const w = tap_weights(o, tap);
          for (std::int64_t c = 0; c < inputs(); ++c) sum += double{from[c]} * w[c];
        });
        y.at(p, o) = static_cast<float>(sum);
      }
    to_out.put_back();
  }

  void backward_data(const Stream&, TensorView out_gradient, TensorView in_gradient, bool add,
                     void*) override {
    const Floats from_out(out_gradient);
    Floats to_in(in_gradient);
    const View<const float> g = from_out.view;
    const View<float> to = to_in.view;
#pragma omp parallel for
    for (std::int64_t n = 0; n < s_.in.n; ++n) {
      std::vector<double> sums(to_size(s_.in.features()));
      const std::int64_t of_image = out_.h * out_.w, in_image = s_.in.h * s_.in.w;
      for (std::int64_t p = n * of_image; p < (n + 1) * of_image; ++p)
        for_taps(p, [&](std::int64_t q, std::int64_t tap) {
          for (std::int64_t o = 0; o < s_.filters; ++o) {
            double* const sum = &sums[to_size((q - n * in_image) * s_.in.c + first_input(o))];
            const float* const w = tap_weights(o, tap);
            for (std::int64_t c = 0; c < inputs(); ++c) sum[c] += double{g.at(p, o)} * w[c];
          }
        });
      for (std::int64_t i = 0; i < s_.in.features(); ++i) {
        float& at = to.at(n * in_image + i / s_.in.c, i % s_.in.c);
        at = static_cast<float>(sums[to_size(i)] + (add ? at : 0));
      }
    }
    to_in.put_back();
  }

  void backward_weights(const Stream&, TensorView in, TensorView out_gradient, float* gradient,
                        void*) override {
    const Floats from_in(in), from_out(out_gradient);
    const View<const float> x = from_in.view, g = from_out.view;
    const std::int64_t of_filter = s_.size_y * s_.size_x * inputs();
#pragma omp parallel for
    for (std::int64_t o = 0; o < s_.filters; ++o) {
      std::vector<double> sums(to_size(of_filter));
      for (std::int64_t p = 0; p < out_.pixels(); ++p)
        for_taps(p, [&](std::int64_t q, std::int64_t tap) {
          const float* const from = &x.at(q, first_input(o));
          double* const sum = &sums[to_size(tap * inputs())];
          for (std::int64_t c = 0; c < inputs(); ++c) sum[c] += double{g.at(p, o)} * from[c];
        });
      for (std::int64_t i = 0; i < of_filter; ++i)
        gradient[o * of_filter + i] += static_cast<float>(sums[to_size(i)]);
    }
  }

 private:
  std::int64_t inputs() const { return s_.in.c / s_.groups; }
  std::int64_t first_input(std::int64_t filter) const {
    return filter / (s_.filters / s_.groups) * inputs();
  }
  const float* tap_weights(std::int64_t filter, std::int64_t tap) const {
    return weights_.data() + (filter * s_.size_y * s_.size_x + tap) * inputs();
  }
  // take(input pixel, tap) for every tap of output pixel p that lies in the image.
  template <class Take>
  void for_taps(std::int64_t p, const Take& take) const {
    const std::int64_t n = p / (out_.h * out_.w), y = p / out_.w % out_.h, x = p % out_.w;
    for (std::int64_t ky = 0; ky < s_.size_y; ++ky)
      for (std::int64_t kx = 0; kx < s_.size_x; ++kx) {
        const std::int64_t v = y * s_.stride_y - s_.pad_y + ky * s_.dilation;
        const std::int64_t u = x * s_.stride_x - s_.pad_x + kx * s_.dilation;
        if (v < 0 || v >= s_.in.h || u < 0 || u >= s_.in.w) continue;
        take((n * s_.in.h + v) * s_.in.w + u, ky * s_.size_x + kx);
      }
  }

  ConvSpec s_;
  Shape out_;
  DType precision_;
  std::vector<float> weights_;  // OHWI, values of `precision_`
};

class ReferenceGemm final : public GemmPlan {
 public:
  explicit ReferenceGemm(const GemmSpec& spec) : s_(spec) {}
  std::int64_t workspace() const override { return 0; }
  void run(const Stream&, const float* a, const float* b, float* c, void*) override {
    for (std::int64_t i = 0; i < s_.m; ++i)
      for (std::int64_t j = 0; j < s_.n; ++j) {
        double sum = 0;
        for (std::int64_t k = 0; k < s_.k; ++k)
          sum += double{a[s_.transpose_a ? k * s_.m + i : i * s_.k + k]} *
                 b[s_.transpose_b ? j * s_.k + k : k * s_.n + j];
        float& at = c[i * s_.n + j];
        at = static_cast<float>(sum + (s_.beta == 0 ? 0 : double{s_.beta} * at));
      }
  }

 private:
  GemmSpec s_;
};

class ReferenceOps final : public Ops {
 public:
  std::shared_ptr<ConvPlan> conv(const ConvSpec& s, const Epilogue&,
                                 const PlanOptions& o) override {
    return std::make_unique<ReferenceConv>(s, o.precision);
  }
  std::shared_ptr<PoolPlan> pool(const PoolSpec&, const PlanOptions&) override { return nullptr; }
  std::shared_ptr<GemmPlan> gemm(const GemmSpec& s) override {
    return std::make_unique<ReferenceGemm>(s);
  }
  std::string accept_precision(DType, const Device&) const override { return ""; }
  std::string name(const Device&) const override {
    return "reference implementation, sums in double";
  }
};

}  // namespace

Ops& reference_ops() {
  static ReferenceOps ops;
  return ops;
}

}  // namespace darknet
