// What PTX's instructions compute of numbers. Included by operations.cpp alone.
#pragma once
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "tests/emulator/half.h"

namespace emulator {

// The types of registers that are no types of C++.
struct Half {
  std::uint16_t bits;
};
struct BFloat {
  std::uint16_t bits;
};

inline float widen(Half h) { return from_half(h.bits); }
inline float widen(BFloat b) { return from_bfloat(b.bits); }
inline float widen(float x) { return x; }
inline double widen(double x) { return x; }

template <class T>
T narrow(double x) {
  return static_cast<T>(x);
}
template <>
inline Half narrow<Half>(double x) {
  return {to_half(x)};
}
template <>
inline BFloat narrow<BFloat>(double x) {
  return {to_bfloat(x)};
}

template <class T>
constexpr bool is_real =
    std::is_floating_point_v<T> || std::is_same_v<T, Half> || std::is_same_v<T, BFloat>;

template <class T>
T get(std::uint64_t word) {
  T value;
  std::memcpy(&value, &word, sizeof value);
  return value;
}
template <>
inline bool get<bool>(std::uint64_t word) {
  return word & 1;
}
// Integers with the sign extended: registers may be wider than the instruction's type.
template <class T>
std::uint64_t put(T value) {
  if constexpr (std::is_integral_v<T>) {
    return static_cast<std::uint64_t>(static_cast<std::int64_t>(value));
  } else {
    std::uint64_t word = 0;
    std::memcpy(&word, &value, sizeof value);
    return word;
  }
}

template <class T>
using Unsigned = std::make_unsigned_t<T>;
template <class T>
using Wide = std::conditional_t<
    sizeof(T) == 2, std::conditional_t<std::is_signed_v<T>, std::int32_t, std::uint32_t>,
    std::conditional_t<sizeof(T) == 4,
                       std::conditional_t<std::is_signed_v<T>, std::int64_t, std::uint64_t>,
                       std::conditional_t<std::is_signed_v<T>, __int128, unsigned __int128>>>;

// Integers wrap around: computed without sign.
template <class T, class F>
T wrap(T a, T b, F f) {
  if constexpr (std::is_integral_v<T>)
    return static_cast<T>(f(static_cast<std::uint64_t>(a), static_cast<std::uint64_t>(b)));
  else
    return f(a, b);
}

struct Add {
  template <class T>
  T operator()(T a, T b) const {
    return wrap(a, b, [](auto x, auto y) { return x + y; });
  }
};
struct Sub {
  template <class T>
  T operator()(T a, T b) const {
    return wrap(a, b, [](auto x, auto y) { return x - y; });
  }
};
struct Mul {  // .lo of integers
  template <class T>
  T operator()(T a, T b) const {
    return wrap(a, b, [](auto x, auto y) { return x * y; });
  }
};
struct MulHigh {
  template <class T>
  T operator()(T a, T b) const {
    return static_cast<T>(Wide<T>(a) * Wide<T>(b) >> 8 * sizeof(T));
  }
};
struct MulWide {
  template <class T>
  auto operator()(T a, T b) const {
    return static_cast<Wide<T>>(Wide<T>(a) * Wide<T>(b));
  }
};
struct MulAdd {
  template <class T>
  T operator()(T a, T b, T c) const {
    return Add{}(Mul{}(a, b), c);
  }
};
struct MulAddWide {
  template <class T, class W>
  W operator()(T a, T b, W c) const {
    return Add{}(static_cast<W>(MulWide{}(a, b)), c);
  }
};
struct MulAddHigh {
  template <class T>
  T operator()(T a, T b, T c) const {
    return Add{}(MulHigh{}(a, b), c);
  }
};
struct Fma {
  template <class T>
  T operator()(T a, T b, T c) const {
    return std::fma(a, b, c);
  }
};
// Of integers, by zero: every bit set, and the dividend, as GPUs answer.
struct Div {
  template <class T>
  T operator()(T a, T b) const {
    if constexpr (std::is_integral_v<T>) {
      if (b == 0) return static_cast<T>(-1);
      if (std::is_signed_v<T> && b == static_cast<T>(-1)) return Sub{}(T{0}, a);
    }
    return static_cast<T>(a / b);
  }
};
struct Rem {
  template <class T>
  T operator()(T a, T b) const {
    if (b == 0) return a;
    if (std::is_signed_v<T> && b == static_cast<T>(-1)) return 0;
    return static_cast<T>(a % b);
  }
};
struct Min {
  template <class T>
  T operator()(T a, T b) const {
    if constexpr (std::is_floating_point_v<T>)  // -0 is below +0
      return a == b && std::signbit(a) ? a : std::fmin(a, b);
    else
      return std::min(a, b);
  }
};
struct Max {
  template <class T>
  T operator()(T a, T b) const {
    if constexpr (std::is_floating_point_v<T>)
      return a == b && std::signbit(a) ? b : std::fmax(a, b);
    else
      return std::max(a, b);
  }
};
struct And {
  template <class T>
  T operator()(T a, T b) const {
    return static_cast<T>(a & b);
  }
};
struct Or {
  template <class T>
  T operator()(T a, T b) const {
    return static_cast<T>(a | b);
  }
};
struct Xor {
  template <class T>
  T operator()(T a, T b) const {
    return static_cast<T>(a ^ b);
  }
};
struct Not {
  template <class T>
  T operator()(T a) const {
    if constexpr (std::is_same_v<T, bool>)
      return !a;
    else
      return static_cast<T>(~a);
  }
};
struct Neg {
  template <class T>
  T operator()(T a) const {
    if constexpr (std::is_integral_v<T>)
      return Sub{}(T{0}, a);
    else
      return -a;
  }
};
struct Abs {
  template <class T>
  T operator()(T a) const {
    if constexpr (std::is_floating_point_v<T>)
      return std::fabs(a);
    else
      return a < T{0} ? Neg{}(a) : a;
  }
};
struct CopySign {  // the sign of the first
  template <class T>
  T operator()(T a, T b) const {
    return std::copysign(b, a);
  }
};
// Shifts by as many bits as a type has, or more, leave no bit but the sign.
struct ShiftLeft {
  template <class T>
  T operator()(T a, std::uint32_t n) const {
    return n >= 8 * sizeof(T) ? T{0} : static_cast<T>(static_cast<std::uint64_t>(a) << n);
  }
};
struct ShiftRight {
  template <class T>
  T operator()(T a, std::uint32_t n) const {
    constexpr std::uint32_t bits = 8 * sizeof(T);
    if constexpr (std::is_signed_v<T>)
      return static_cast<T>(a >> std::min(n, bits - 1));
    else
      return n >= bits ? T{0} : static_cast<T>(a >> n);
  }
};
struct Sqrt {
  template <class T>
  T operator()(T a) const {
    return std::sqrt(a);
  }
};
struct Reciprocal {
  template <class T>
  T operator()(T a) const {
    return 1 / a;
  }
};
struct ReciprocalSqrt {
  template <class T>
  T operator()(T a) const {
    return 1 / std::sqrt(a);
  }
};
// Functions that a GPU approximates: here to the last bit of the host's library.
struct Exp2 {
  float operator()(float a) const { return std::exp2(a); }
};
struct Log2 {
  float operator()(float a) const { return std::log2(a); }
};
struct Sine {
  float operator()(float a) const { return std::sin(a); }
};
struct Cosine {
  float operator()(float a) const { return std::cos(a); }
};
struct Tanh {
  float operator()(float a) const { return std::tanh(a); }
};
// .ftz: subnormal numbers are zeros of their sign.
template <class F>
struct Flushed {
  template <class T>
  static T flush(T x) {
    return std::fpclassify(x) == FP_SUBNORMAL ? std::copysign(T{0}, x) : x;
  }
  template <class T>
  T operator()(T a) const {
    return flush(F{}(flush(a)));
  }
};

struct LeadingZeros {
  template <class T>
  std::uint32_t operator()(T a) const {
    return static_cast<std::uint32_t>(std::countl_zero(a));
  }
};
struct PopulationCount {
  template <class T>
  std::uint32_t operator()(T a) const {
    return static_cast<std::uint32_t>(std::popcount(a));
  }
};

}  // namespace emulator
