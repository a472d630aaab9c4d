#include "kernels/activate.h"

#include "core/for_each.h"
#include "kernels/with_functor.h"

namespace darknet {
namespace {

template <class F, class T>
struct Activate {
  F f;
  View<const T> in;
  View<T> out;
  DN_HD void operator()(std::int64_t p, std::int64_t c) const {
    const float x = in.at(p, c);
    out.at(p, c) = f.value(x);
  }
};

template <class F, class T>
struct ActivateBias {
  F f;
  View<const T> in;
  const float* bias;
  View<T> out;
  DN_HD void operator()(std::int64_t p, std::int64_t c) const {
    out.at(p, c) = f.value(in.at(p, c) + bias[c]);
  }
};

template <class F, class T>
struct ActivationBackward {
  F f;
  View<const T> known;
  View<T> gradient;
  DN_HD void operator()(std::int64_t p, std::int64_t c) const {
    const float v = known.at(p, c);
    gradient.at(p, c) = gradient.at(p, c) * f.derivative(v);
  }
};

// reduce_channels visits every element once, so it may also write that element.
template <class F, class T>
struct ActivationBiasBackward {
  F f;
  View<const T> known;
  View<T> gradient;
  DN_HD Sums<1> operator()(std::int64_t p, std::int64_t c) const {
    const float v = known.at(p, c), g = gradient.at(p, c) * f.derivative(v);
    gradient.at(p, c) = g;
    return {{g}};
  }
};

template <class T>
struct Value {
  View<const T> x;
  DN_HD Sums<1> operator()(std::int64_t p, std::int64_t c) const { return {{x.at(p, c)}}; }
};

struct AddTo {
  float* to;
  DN_HD void operator()(std::int64_t c, const double* sums) const {
    to[c] += static_cast<float>(sums[0]);
  }
};

}  // namespace

void activate(const Stream& s, const Activation& a, const TensorView& in, const float* bias,
              const TensorView& out) {
  with_functor(a, out.dtype, [&](auto f, auto element) {
    using F = decltype(f);
    using T = decltype(element);
    if (bias)
      for_each_pixel(s, out.shape, ActivateBias<F, T>{f, in.as<T>(), bias, out.as<T>()});
    else
      for_each_pixel(s, out.shape, Activate<F, T>{f, in.as<T>(), out.as<T>()});
  });
}

void activation_backward(const Stream& s, const Activation& a, const TensorView& known,
                         const TensorView& gradient) {
  if (is_linear(a)) return;
  with_functor(a, gradient.dtype, [&](auto f, auto element) {
    using T = decltype(element);
    const ActivationBackward<decltype(f), T> each{f, known.as<T>(), gradient.as<T>()};
    for_each_pixel(s, gradient.shape, each);
  });
}

std::int64_t activation_bias_scratch(const Shape& s) { return reduce_channels_scratch(s, 1); }

void activation_bias_backward(const Stream& s, const Activation& a, const TensorView& known,
                              const TensorView& gradient, float* bias_gradient, void* scratch) {
  const AddTo finish{bias_gradient};
  if (is_linear(a))
    return with_element(gradient.dtype, [&](auto element) {
      const Value<decltype(element)> value{gradient.as<decltype(element)>()};
      reduce_channels<1>(s, gradient.shape, value, finish, scratch);
    });
  with_functor(a, gradient.dtype, [&](auto f, auto element) {
    using T = decltype(element);
    const ActivationBiasBackward<decltype(f), T> each{f, known.as<T>(), gradient.as<T>()};
    reduce_channels<1>(s, gradient.shape, each, finish, scratch);
  });
}

}  // namespace darknet
