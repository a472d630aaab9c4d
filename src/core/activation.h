// Activation functions: the list, their formulas and their derivatives. Names are the cfg's
// (`activation=`). The launches that apply them are in kernels/activate.h; plans may fuse some of
// them, and leave those that they do not know to these launches.
#pragma once
#include <cstdint>
#include <string_view>
#include <type_traits>
#include <variant>
#include "core/hd.h"
#include "core/math.h"
#include "core/named_list.h"

namespace darknet {

// What a derivative is computed from. A layer keeps the input only where it must.
enum class DerivativeFrom : std::uint8_t {
  input,   // x
  output,  // y = value(x)
  sign     // of x, which is that of y: either will do
};

// An activation is a struct like these and its name in the list below. value(x) is the function,
// derivative(v) its derivative from what `from` says.
namespace activations {

struct Linear {
  static constexpr std::string_view name = "linear";
  static constexpr DerivativeFrom from = DerivativeFrom::sign;
  template <class T>
  DN_HD T value(T x) const {
    return x;
  }
  template <class T>
  DN_HD T derivative(T) const {
    return 1;
  }
};
struct Leaky {  // slope .1: Darknet
  static constexpr std::string_view name = "leaky";
  static constexpr DerivativeFrom from = DerivativeFrom::sign;
  template <class T>
  DN_HD T value(T x) const {
    return x > 0 ? x : T(.1f) * x;
  }
  template <class T>
  DN_HD T derivative(T v) const {
    return v > 0 ? T(1) : T(.1f);
  }
};
struct Relu {
  static constexpr std::string_view name = "relu";
  static constexpr DerivativeFrom from = DerivativeFrom::sign;
  template <class T>
  DN_HD T value(T x) const {
    return x > 0 ? x : T(0);
  }
  template <class T>
  DN_HD T derivative(T v) const {
    return v > 0 ? T(1) : T(0);
  }
};
struct Logistic {
  static constexpr std::string_view name = "logistic";
  static constexpr DerivativeFrom from = DerivativeFrom::output;
  template <class T>
  DN_HD T value(T x) const {
    return math::fast_sigmoid(x);
  }
  template <class T>
  DN_HD T derivative(T y) const {
    return y * (1 - y);
  }
};
struct Tanh {
  static constexpr std::string_view name = "tanh";
  static constexpr DerivativeFrom from = DerivativeFrom::output;
  template <class T>
  DN_HD T value(T x) const {
    return math::fast_tanh(x);
  }
  template <class T>
  DN_HD T derivative(T y) const {
    return 1 - y * y;
  }
};
// x tanh(softplus(x)) (Misra 2019); tanh(softplus(x)) = n / (n + 2) with n = e^x (e^x + 2).
struct Mish {
  static constexpr std::string_view name = "mish";
  static constexpr DerivativeFrom from = DerivativeFrom::input;
  template <class T>
  DN_HD T value(T x) const {
    const T e = exp(x), n = e * (e + 2);
    return x * (n / (n + 2));
  }
  template <class T>
  DN_HD T derivative(T x) const {  // t + x (1 - t^2) sigmoid(x)
    const T e = exp(x), n = e * (e + 2), t = n / (n + 2);
    return t + x * (1 - t * t) * (e / (1 + e));
  }
  template <class T>
  DN_HD static T exp(T x) {  // from x = 10 on the tanh is 1 in float
    return math::fast_exp(math::min(x, T(20)));
  }
};
struct Swish {  // x sigmoid(x)
  static constexpr std::string_view name = "swish";
  static constexpr DerivativeFrom from = DerivativeFrom::input;
  template <class T>
  DN_HD T value(T x) const {
    return x * math::fast_sigmoid(x);
  }
  template <class T>
  DN_HD T derivative(T x) const {
    const T s = math::fast_sigmoid(x);
    return s + x * s * (1 - s);
  }
};

// They have no settings: two of a type are equal.
template <class F>
requires std::is_empty_v<F>
constexpr bool operator==(const F&, const F&) { return true; }

}  // namespace activations

using Activation =
    std::variant<activations::Linear, activations::Leaky, activations::Relu, activations::Logistic,
                 activations::Tanh, activations::Mish, activations::Swish>;

inline bool is_linear(const Activation& a) {
  return std::holds_alternative<activations::Linear>(a);
}
// Whether the output is enough for the derivative. For the others a layer keeps the input.
inline bool derivative_from_output(const Activation& a) {
  return std::visit([](const auto& f) { return f.from != DerivativeFrom::input; }, a);
}

}  // namespace darknet
