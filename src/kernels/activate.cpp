#include "kernels/activate.h"

#include "core/for_each.h"

namespace darknet {
namespace {

template <class F>
struct Activate {
  F f;
  View<const float> in;
  View<float> out;
  DN_HD void operator()(std::int64_t p, std::int64_t c) const {
    out.at(p, c) = f.value(in.at(p, c));
  }
};

template <class F>
struct ActivateBias {
  F f;
  View<const float> in;
  const float* bias;
  View<float> out;
  DN_HD void operator()(std::int64_t p, std::int64_t c) const {
    out.at(p, c) = f.value(in.at(p, c) + bias[c]);
  }
};

template <class F>
struct ActivationBackward {
  F f;
  View<const float> known;
  View<float> gradient;
  DN_HD void operator()(std::int64_t p, std::int64_t c) const {
    const float v = known.at(p, c);
    gradient.at(p, c) *= f.gradient(v, v);
  }
};

// reduce_channels visits every element once, so it may also write that element.
template <class F>
struct ActivationBiasBackward {
  F f;
  View<const float> known;
  View<float> gradient;
  DN_HD Sums<1> operator()(std::int64_t p, std::int64_t c) const {
    const float v = known.at(p, c), g = gradient.at(p, c) * f.gradient(v, v);
    gradient.at(p, c) = g;
    return {{g}};
  }
};

struct Value {
  View<const float> x;
  DN_HD Sums<1> operator()(std::int64_t p, std::int64_t c) const { return {{x.at(p, c)}}; }
};

struct AddTo {
  float* to;
  DN_HD void operator()(std::int64_t c, const double* sums) const {
    to[c] += static_cast<float>(sums[0]);
  }
};

}  // namespace

void activate(const Stream& s, Activation a, View<const float> in, const float* bias,
              View<float> out) {
  std::visit(
      [&](auto f) {
        if (bias)
          for_each_pixel(s, out.shape, ActivateBias<decltype(f)>{f, in, bias, out});
        else
          for_each_pixel(s, out.shape, Activate<decltype(f)>{f, in, out});
      },
      activations::functor(a));
}

void activation_backward(const Stream& s, Activation a, View<const float> known,
                         View<float> gradient) {
  if (a == Activation::linear) return;
  std::visit(
      [&](auto f) {
        for_each_pixel(s, gradient.shape, ActivationBackward<decltype(f)>{f, known, gradient});
      },
      activations::functor(a));
}

std::int64_t activation_bias_scratch(const Shape& s) { return reduce_channels_scratch(s, 1); }

void activation_bias_backward(const Stream& s, Activation a, View<const float> known,
                              View<float> gradient, float* bias_gradient, void* scratch) {
  const AddTo finish{bias_gradient};
  if (a == Activation::linear)
    return reduce_channels<1>(s, gradient.shape, Value{gradient}, finish, scratch);
  std::visit(
      [&](auto f) {
        const ActivationBiasBackward<decltype(f)> each{f, known, gradient};
        reduce_channels<1>(s, gradient.shape, each, finish, scratch);
      },
      activations::functor(a));
}

}  // namespace darknet
