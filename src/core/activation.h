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
    return math::sigmoid(x);
  }
  template <class T>
  DN_HD T gradient(T, T y) const {
    return y * (1 - y);
  }
};
struct Tanh {
  template <class T>
  DN_HD T value(T x) const {
    return math::tanh(x);
  }
  template <class T>
  DN_HD T gradient(T, T y) const {
    return 1 - y * y;
  }
};
struct Mish {  // x tanh(softplus(x)) (Misra 2019)
  template <class T>
  DN_HD T value(T x) const {
    return x * tanh_softplus(x);
  }
  template <class T>
  DN_HD T gradient(T x, T) const {
    const T t = tanh_softplus(x);
    return t + x * (1 - t * t) * math::sigmoid(x);
  }
  // tanh(softplus(x)) = n / (n + 2) with n = e^x (e^x + 2); from x = 10 on it is 1 in float.
  template <class T>
  DN_HD static T tanh_softplus(T x) {
    const T e = math::exp(math::min(x, T(20))), n = e * (e + 2);
    return n / (n + 2);
  }
};
struct Swish {  // x sigmoid(x)
  template <class T>
  DN_HD T value(T x) const {
    return x * math::sigmoid(x);
  }
  template <class T>
  DN_HD T gradient(T x, T) const {
    const T s = math::sigmoid(x);
    return s + x * s * (1 - s);
  }
};

using Any = std::variant<Linear, Leaky, Relu, Logistic, Tanh, Mish, Swish>;  // in enum order
Any functor(Activation);  // for std::visit, outside the loop

}  // namespace activations
}  // namespace darknet
