// Activation functions: the closed list, their formulas and their derivatives. Names are the cfg's
// (`activation=`). The launches that apply them are in kernels/activate.h; plans may fuse them.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include "core/hd.h"
#include "core/math.h"

namespace darknet {

enum class Activation : std::uint8_t { linear, leaky, relu, logistic, tanh, mish, swish };

std::string_view to_string(Activation);
std::optional<Activation> activation_by_name(std::string_view);  // nullopt: unknown
std::string activation_names();  // "linear, leaky, ...", for messages

// Whether the derivative is a function of the output y alone. For the others a layer keeps x.
constexpr bool derivative_from_output(Activation a) {
  return a != Activation::mish && a != Activation::swish;
}

namespace activations {

// value(x); gradient(x, y) with y = value(x). Those with derivative_from_output ignore x.
struct Linear {
  template <class T>
  DN_HD T value(T x) const {
    return x;
  }
  template <class T>
  DN_HD T gradient(T, T) const {
    return 1;
  }
};
struct Leaky {  // slope .1: Darknet
  template <class T>
  DN_HD T value(T x) const {
    return x > 0 ? x : T(.1f) * x;
  }
  template <class T>
  DN_HD T gradient(T, T y) const {
    return y > 0 ? T(1) : T(.1f);
  }
};
struct Relu {
  template <class T>
  DN_HD T value(T x) const {
    return x > 0 ? x : T(0);
  }
  template <class T>
  DN_HD T gradient(T, T y) const {
    return y > 0 ? T(1) : T(0);
  }
};
struct Logistic {
  template <class T>
  DN_HD T value(T x) const {
    return math::fast_sigmoid(x);
  }
  template <class T>
  DN_HD T gradient(T, T y) const {
    return y * (1 - y);
  }
};
struct Tanh {
  template <class T>
  DN_HD T value(T x) const {
    return math::fast_tanh(x);
  }
  template <class T>
  DN_HD T gradient(T, T y) const {
    return 1 - y * y;
  }
};
struct Mish {  // x tanh(softplus(x)) (Misra 2019); tanh(softplus(x)) = n / (n + 2), n = e^x (e^x +
               // 2)
  template <class T>
  DN_HD T value(T x) const {
    const T e = exp(x), n = e * (e + 2);
    return x * (n / (n + 2));
  }
  template <class T>
  DN_HD T gradient(T x, T) const {  // t + x (1 - t^2) sigmoid(x)
    const T e = exp(x), n = e * (e + 2), t = n / (n + 2);
    return t + x * (1 - t * t) * (e / (1 + e));
  }
  template <class T>
  DN_HD static T exp(T x) {  // from x = 10 on the tanh is 1 in float
    return math::fast_exp(math::min(x, T(20)));
  }
};
struct Swish {  // x sigmoid(x)
  template <class T>
  DN_HD T value(T x) const {
    return x * math::fast_sigmoid(x);
  }
  template <class T>
  DN_HD T gradient(T x, T) const {
    const T s = math::fast_sigmoid(x);
    return s + x * s * (1 - s);
  }
};

using Any = std::variant<Linear, Leaky, Relu, Logistic, Tanh, Mish, Swish>;  // in enum order
Any functor(Activation);  // for std::visit, outside the loop

}  // namespace activations
}  // namespace darknet
