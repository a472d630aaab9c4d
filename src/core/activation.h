// Activation functions: the list, their formulas and their derivatives. Names are the cfg's
// (`activation=`); an alias is another one. The launches that apply them are in kernels/activate.h;
// plans may fuse some of them, and leave those that they do not know to these launches.
#pragma once
#include <cstdint>
#include <optional>
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
  static constexpr std::string_view alias = "revleaky";  // AlexeyAB: the same at inference
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
  static constexpr std::string_view alias = "silu";  // PyTorch, YOLOR
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

// Other activations of the Darknet forks, which few networks use.
struct Relu6 {
  static constexpr std::string_view name = "relu6";
  static constexpr DerivativeFrom from = DerivativeFrom::output;
  template <class T>
  DN_HD T value(T x) const {
    return math::clamp(x, T(0), T(6));
  }
  template <class T>
  DN_HD T derivative(T y) const {
    return y > 0 && y < 6 ? T(1) : T(0);
  }
};
struct HardMish {  // x above 0, x (x / 2 + 1) above -2
  static constexpr std::string_view name = "hard_mish";
  static constexpr DerivativeFrom from = DerivativeFrom::input;
  template <class T>
  DN_HD T value(T x) const {
    const T below = math::clamp(x, T(-2), T(0));
    return math::max(x, T(0)) + below * (below / 2 + 1);
  }
  template <class T>
  DN_HD T derivative(T x) const {
    return x > 0 ? T(1) : x > -2 ? x + 1 : T(0);
  }
};
struct Gelu {  // by the tanh (Hendrycks and Gimpel 2016), with Darknet's digits
  static constexpr std::string_view name = "gelu";
  static constexpr DerivativeFrom from = DerivativeFrom::input;
  static constexpr float kLinear = .797885f, kCubic = .035677f;
  template <class T>
  DN_HD T value(T x) const {
    return T(.5f) * x * (1 + tanh(x));
  }
  template <class T>
  DN_HD T derivative(T x) const {  // Darknet's takes the output for the input
    const T t = tanh(x);
    return T(.5f) * (1 + t + x * (1 - t * t) * (T(kLinear) + 3 * T(kCubic) * x * x));
  }
  template <class T>
  DN_HD static T tanh(T x) {
    return math::fast_tanh(x * (T(kLinear) + T(kCubic) * x * x));
  }
};
struct Elu {
  static constexpr std::string_view name = "elu";
  static constexpr DerivativeFrom from = DerivativeFrom::output;
  template <class T>
  DN_HD T value(T x) const {
    return x >= 0 ? x : math::fast_exp(math::min(x, T(0))) - 1;
  }
  template <class T>
  DN_HD T derivative(T y) const {
    return y >= 0 ? T(1) : y + 1;
  }
};
struct Selu {
  static constexpr std::string_view name = "selu";
  static constexpr DerivativeFrom from = DerivativeFrom::output;
  static constexpr float kScale = 1.0507f, kAlpha = 1.6732f;
  template <class T>
  DN_HD T value(T x) const {
    return T(kScale) * (x >= 0 ? x : T(kAlpha) * (math::fast_exp(math::min(x, T(0))) - 1));
  }
  template <class T>
  DN_HD T derivative(T y) const {
    return y >= 0 ? T(kScale) : y + T(kScale) * T(kAlpha);
  }
};
struct Relie {  // a leaky slope of .01
  static constexpr std::string_view name = "relie";
  static constexpr DerivativeFrom from = DerivativeFrom::sign;
  template <class T>
  DN_HD T value(T x) const {
    return x > 0 ? x : T(.01f) * x;
  }
  template <class T>
  DN_HD T derivative(T v) const {
    return v > 0 ? T(1) : T(.01f);
  }
};
struct Ramp {  // relu(x) + .1 x
  static constexpr std::string_view name = "ramp";
  static constexpr DerivativeFrom from = DerivativeFrom::sign;
  template <class T>
  DN_HD T value(T x) const {
    return math::max(x, T(0)) + T(.1f) * x;
  }
  template <class T>
  DN_HD T derivative(T v) const {
    return (v > 0 ? T(1) : T(0)) + T(.1f);
  }
};
struct Loggy {  // 2 sigmoid(x) - 1
  static constexpr std::string_view name = "loggy";
  static constexpr DerivativeFrom from = DerivativeFrom::output;
  template <class T>
  DN_HD T value(T x) const {
    return math::fast_tanh(x / 2);
  }
  template <class T>
  DN_HD T derivative(T y) const {
    return (1 - y * y) / 2;
  }
};
struct Hardtan {
  static constexpr std::string_view name = "hardtan";
  static constexpr DerivativeFrom from = DerivativeFrom::output;
  template <class T>
  DN_HD T value(T x) const {
    return math::clamp(x, T(-1), T(1));
  }
  template <class T>
  DN_HD T derivative(T y) const {
    return y > -1 && y < 1 ? T(1) : T(0);
  }
};
struct Lhtan {  // slope 1 from 0 to 1, .001 outside
  static constexpr std::string_view name = "lhtan";
  static constexpr DerivativeFrom from = DerivativeFrom::input;
  template <class T>
  DN_HD T value(T x) const {
    const T inside = math::clamp(x, T(0), T(1));
    return inside + T(.001f) * (x - inside);
  }
  template <class T>
  DN_HD T derivative(T x) const {
    return x > T(0) && x < T(1) ? T(1) : T(.001f);
  }
};
struct Plse {  // slope .125 from -4 to 4, where it goes from 0 to 1; .01 outside
  static constexpr std::string_view name = "plse";
  static constexpr DerivativeFrom from = DerivativeFrom::input;
  template <class T>
  DN_HD T value(T x) const {
    const T inside = math::clamp(x, T(-4), T(4));
    return T(.125f) * inside + T(.5f) + T(.01f) * (x - inside);
  }
  template <class T>
  DN_HD T derivative(T x) const {
    return x > -4 && x < 4 ? T(.125f) : T(.01f);
  }
};
struct Stair {  // rises by 1 from every odd number to the next, and is flat elsewhere
  static constexpr std::string_view name = "stair";
  static constexpr DerivativeFrom from = DerivativeFrom::input;
  template <class T>
  DN_HD T value(T x) const {
    const T step = math::floor(x / 2);
    return step + math::max(x - 2 * step - 1, T(0));
  }
  template <class T>
  DN_HD T derivative(T x) const {
    return x - 2 * math::floor(x / 2) > 1 ? T(1) : T(0);
  }
};

// They have no settings: two of a type are equal.
template <class F>
requires std::is_empty_v<F>
constexpr bool operator==(const F&, const F&) { return true; }

}  // namespace activations

using Activation =
    std::variant<activations::Linear, activations::Leaky, activations::Relu, activations::Logistic,
                 activations::Tanh, activations::Mish, activations::Swish, activations::Relu6,
                 activations::HardMish, activations::Gelu, activations::Elu, activations::Selu,
                 activations::Relie, activations::Ramp, activations::Loggy, activations::Hardtan,
                 activations::Lhtan, activations::Plse, activations::Stair>;

inline bool is_linear(const Activation& a) {
  return std::holds_alternative<activations::Linear>(a);
}
// The slope below 0 of an activation that is the identity above. None: it is another function.
inline std::optional<float> negative_slope(const Activation& a) {
  return std::visit(
      []<class F>(const F& f) -> std::optional<float> {
        if constexpr (F::from == DerivativeFrom::sign)
          if (f.derivative(1.f) == 1) return f.derivative(-1.f);
        return std::nullopt;
      },
      a);
}
// Whether the output is enough for the derivative. For the others a layer keeps the input.
inline bool derivative_from_output(const Activation& a) {
  return std::visit([](const auto& f) { return f.from != DerivativeFrom::input; }, a);
}

}  // namespace darknet
