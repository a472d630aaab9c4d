#include "kernels/activate.h"

#include "core/elementwise.h"
#include "kernels/with_functor.h"

namespace darknet {
namespace {

template <class F>
struct Activate {
  F f;
  DN_HD float operator()(float x) const { return f.value(x); }
};

template <class F>
struct ActivateBias {
  F f;
  const float* bias;
  struct Channel {
    float bias;
  };
  DN_HD Channel channel(std::int64_t c) const { return {bias[c]}; }
  DN_HD float operator()(const Channel& k, float x) const { return f.value(x + k.bias); }
};

template <class F>
struct ActivationBackward {
  F f;
  DN_HD float operator()(float known, float gradient) const {
    return gradient * f.derivative(known);
  }
};

}  // namespace

void activate(const Stream& s, const Activation& a, const TensorView& in, const float* bias,
              const TensorView& out) {
  with_functor(a, out.dtype, [&](auto f, auto element) {
    using F = decltype(f);
    using T = decltype(element);
    if (bias)
      map_pixels(s, ActivateBias<F>{f, bias}, out.as<T>(), input<T>(in));
    else
      map_pixels(s, Activate<F>{f}, out.as<T>(), input<T>(in));
  });
}

void activate_rest(const Stream& s, const Epilogue& wanted, const Epilogue& done,
                   const TensorView& out, const float* bias) {
  if (done.bias == wanted.bias && done.activation == wanted.activation) return;
  activate(s, wanted.activation, out, wanted.bias && !done.bias ? bias : nullptr, out);
}

void activation_backward(const Stream& s, const Activation& a, const TensorView& known,
                         const TensorView& gradient) {
  if (is_linear(a)) return;
  with_functor(a, gradient.dtype, [&](auto f, auto element) {
    using T = decltype(element);
    map_pixels(s, ActivationBackward<decltype(f)>{f}, gradient.as<T>(), input<T>(known),
               input<T>(gradient));
  });
}

std::int64_t activation_bias_scratch(const Shape& s) { return reduce_channels_scratch(s, 1); }

void activation_bias_backward(const Stream& s, const Activation& a, const TensorView& known,
                              const TensorView& gradient, float* bias_gradient, void* scratch) {
  activation_backward(s, a, known, gradient);
  with_element(gradient.dtype, [&](auto element) {
    reduce_channels<1>(s, gradient.shape, SumOfValues{}, AddTo{bias_gradient}, scratch,
                       input<decltype(element)>(gradient));
  });
}

}  // namespace darknet
