#include "tests/emulator/operations.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cfenv>
#include <cmath>
#include <cstring>
#include <initializer_list>
#include <limits>
#include <type_traits>

#include "tests/emulator/block.h"
#include "tests/emulator/half.h"

namespace emulator {
namespace {

// The types of registers that are no types of C++.
struct Half {
  std::uint16_t bits;
};
struct BFloat {
  std::uint16_t bits;
};

float widen(Half h) { return from_half(h.bits); }
float widen(BFloat b) { return from_bfloat(b.bits); }
float widen(float x) { return x; }
double widen(double x) { return x; }

template <class T>
T narrow(double x) {
  return static_cast<T>(x);
}
template <>
Half narrow<Half>(double x) {
  return {to_half(x)};
}
template <>
BFloat narrow<BFloat>(double x) {
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
bool get<bool>(std::uint64_t word) {
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

template <class F>
void for_lanes(LaneMask lanes, F f) {
  if (lanes == kAllLanes) {
    for (int lane = 0; lane < kLanes; ++lane) f(lane);
  } else {
    for (; lanes; lanes &= lanes - 1) f(std::countr_zero(lanes));
  }
}

template <class T, class F>
void unary(Warp& w, const Instruction& i, LaneMask lanes) {
  std::uint64_t* const to = w.slot(i.to[0]);
  const std::uint64_t* const a = w.slot(i.from[0]);
  for_lanes(lanes, [&](int l) { to[l] = put(F{}(get<T>(a[l]))); });
}

template <class T, class F>
void binary(Warp& w, const Instruction& i, LaneMask lanes) {
  std::uint64_t* const to = w.slot(i.to[0]);
  const std::uint64_t *const a = w.slot(i.from[0]), *const b = w.slot(i.from[1]);
  for_lanes(lanes, [&](int l) { to[l] = put(F{}(get<T>(a[l]), get<T>(b[l]))); });
}

template <class T, class C, class F>
void ternary(Warp& w, const Instruction& i, LaneMask lanes) {
  std::uint64_t* const to = w.slot(i.to[0]);
  const std::uint64_t *const a = w.slot(i.from[0]), *const b = w.slot(i.from[1]),
                             *const c = w.slot(i.from[2]);
  for_lanes(lanes, [&](int l) { to[l] = put(F{}(get<T>(a[l]), get<T>(b[l]), get<C>(c[l]))); });
}

// The same with another rounding than to nearest: variant is that of <cfenv>.
template <Execute execute>
void rounded(Warp& w, const Instruction& i, LaneMask lanes) {
  std::fesetround(i.variant);
  execute(w, i, lanes);
  std::fesetround(FE_TONEAREST);
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

// A shift by n, which is no operand of the type itself.
template <class T, class F>
void shift(Warp& w, const Instruction& i, LaneMask lanes) {
  std::uint64_t* const to = w.slot(i.to[0]);
  const std::uint64_t *const a = w.slot(i.from[0]), *const n = w.slot(i.from[1]);
  for_lanes(lanes, [&](int l) { to[l] = put(F{}(get<T>(a[l]), get<std::uint32_t>(n[l]))); });
}

enum Comparison : std::int32_t {
  kLess,
  kLessEqual,
  kGreater,
  kGreaterEqual,
  kEqual,
  kNotEqual,
  kOrdered,
  kUnordered,
  kComparisons
};
constexpr std::int32_t kOrUnordered = 16;  // "ltu": true of a NaN too

template <class T>
bool compare(std::int32_t variant, T a, T b) {
  const bool unordered = a != a || b != b;
  if (unordered && variant & kOrUnordered) return true;
  switch (variant & (kOrUnordered - 1)) {
    case kLess:
      return a < b;
    case kLessEqual:
      return a <= b;
    case kGreater:
      return a > b;
    case kGreaterEqual:
      return a >= b;
    case kEqual:
      return a == b;
    case kNotEqual:
      return a != b && !unordered;
    case kOrdered:
      return !unordered;
    default:
      return unordered;
  }
}

enum class Combine : std::uint8_t { none, and_, or_, xor_ };

template <class T, Combine combine>
void set_predicate(Warp& w, const Instruction& i, LaneMask lanes) {
  std::uint64_t* const to = w.slot(i.to[0]);
  std::uint64_t* const other = i.to[1] >= 0 ? w.slot(i.to[1]) : nullptr;
  const std::uint64_t *const a = w.slot(i.from[0]), *const b = w.slot(i.from[1]);
  const std::uint64_t* const c = combine == Combine::none ? a : w.slot(i.from[2]);
  const auto combined = [](bool x, bool y) {
    return combine == Combine::and_ ? x && y : combine == Combine::or_ ? x || y : x != y;
  };
  for_lanes(lanes, [&](int l) {
    bool holds = compare(i.variant, get<T>(a[l]), get<T>(b[l])), opposite = !holds;
    if (combine != Combine::none) {
      const bool with = get<bool>(c[l]);
      holds = combined(holds, with), opposite = combined(opposite, with);
    }
    if (other) other[l] = opposite;
    to[l] = holds;
  });
}

void select(Warp& w, const Instruction& i, LaneMask lanes) {
  std::uint64_t* const to = w.slot(i.to[0]);
  const std::uint64_t *const a = w.slot(i.from[0]), *const b = w.slot(i.from[1]),
                             *const p = w.slot(i.from[2]);
  for_lanes(lanes, [&](int l) { to[l] = get<bool>(p[l]) ? a[l] : b[l]; });
}

// Also a vector put together from registers, or taken apart.
void move(Warp& w, const Instruction& i, LaneMask lanes) {
  const std::uint64_t* const a = w.slot(i.from[0]);
  std::uint64_t* const to = w.slot(i.to[0]);
  if (i.to[1] < 0 && i.from[1] < 0) {
    for_lanes(lanes, [&](int l) { to[l] = a[l]; });
    return;
  }
  const int bits = 8 * i.bytes / i.elements;
  const std::uint64_t mask = (std::uint64_t{1} << bits) - 1;
  for_lanes(lanes, [&](int l) {
    const std::uint64_t whole = a[l];
    std::uint64_t sum = 0;
    for (int k = 0; k < i.elements; ++k) {
      const auto at = static_cast<std::size_t>(k);
      if (i.to[1] >= 0)
        w.slot(i.to[at])[l] = whole >> k * bits & mask;
      else
        sum |= (w.slot(i.from[at])[l] & mask) << k * bits;
    }
    if (i.to[1] < 0) to[l] = sum;
  });
}

template <std::uint64_t window, bool subtract>
void convert_address(Warp& w, const Instruction& i, LaneMask lanes) {
  std::uint64_t* const to = w.slot(i.to[0]);
  const std::uint64_t* const a = w.slot(i.from[0]);
  for_lanes(lanes, [&](int l) { to[l] = subtract ? a[l] & ~window : a[l] | window; });
}

enum Rounding : std::int32_t { kNone, kNearest, kTowardsZero, kDown, kUp };
constexpr std::int32_t kSaturate = 16;

double rounded_to_integer(std::int32_t rounding, double x) {
  switch (rounding) {
    case kNearest:
      return std::nearbyint(x);
    case kTowardsZero:
      return std::trunc(x);
    case kDown:
      return std::floor(x);
    case kUp:
      return std::ceil(x);
    default:
      return x;
  }
}

template <class To>
To saturated(double x) {  // to the range of an integer; a NaN becomes 0
  using Limits = std::numeric_limits<To>;
  if (x <= static_cast<double>(Limits::min())) return Limits::min();
  if (x >= std::ldexp(1., Limits::digits)) return Limits::max();
  return static_cast<To>(x);
}

template <class To, class From>
To converted(const Instruction& i, From x) {
  const std::int32_t rounding = i.variant & (kSaturate - 1);
  if constexpr (is_real<From>) {
    const double wide = widen(x);
    if constexpr (!is_real<To>) {
      if (std::isnan(wide))
        return sizeof(From) < 8 && sizeof(To) < 8
                   ? To{0}
                   : static_cast<To>(std::uint64_t{1} << (8 * sizeof(To) - 1));
      return saturated<To>(rounded_to_integer(rounding, wide));
    }
    if (i.variant & kSaturate) return narrow<To>(std::isnan(wide) ? 0 : std::clamp(wide, 0., 1.));
    return narrow<To>(rounded_to_integer(rounding, wide));
  } else if constexpr (std::is_same_v<To, Half> || std::is_same_v<To, BFloat>) {
    return narrow<To>(static_cast<double>(x));
  } else {
    return static_cast<To>(x);
  }
}

template <class To, class From>
void convert(Warp& w, const Instruction& i, LaneMask lanes) {
  std::uint64_t* const to = w.slot(i.to[0]);
  const std::uint64_t* const a = w.slot(i.from[0]);
  for_lanes(lanes, [&](int l) { to[l] = put(converted<To>(i, get<From>(a[l]))); });
}

// Two numbers of 32 bits to one word of two: the first becomes the upper half.
template <class To>
void convert_pair(Warp& w, const Instruction& i, LaneMask lanes) {
  std::uint64_t* const to = w.slot(i.to[0]);
  const std::uint64_t *const a = w.slot(i.from[0]), *const b = w.slot(i.from[1]);
  for_lanes(lanes, [&](int l) {
    to[l] =
        std::uint64_t{narrow<To>(get<float>(a[l])).bits} << 16 | narrow<To>(get<float>(b[l])).bits;
  });
}

void permute_bytes(Warp& w, const Instruction& i, LaneMask lanes) {
  std::uint64_t* const to = w.slot(i.to[0]);
  const std::uint64_t *const a = w.slot(i.from[0]), *const b = w.slot(i.from[1]),
                             *const s = w.slot(i.from[2]);
  for_lanes(lanes, [&](int l) {
    const std::uint64_t both = b[l] << 32 | (a[l] & 0xFFFFFFFF);
    std::uint64_t result = 0;
    for (int k = 0; k < 4; ++k) {
      const auto choice = static_cast<int>(s[l] >> 4 * k & 15);
      std::uint64_t byte = both >> 8 * (choice & 7) & 0xFF;
      if (choice & 8) byte = byte & 0x80 ? 0xFF : 0;
      result |= byte << 8 * k;
    }
    to[l] = result;
  });
}

template <bool left>
void funnel_shift(Warp& w, const Instruction& i, LaneMask lanes) {  // .wrap
  std::uint64_t* const to = w.slot(i.to[0]);
  const std::uint64_t *const a = w.slot(i.from[0]), *const b = w.slot(i.from[1]),
                             *const n = w.slot(i.from[2]);
  for_lanes(lanes, [&](int l) {
    const std::uint64_t both = b[l] << 32 | (a[l] & 0xFFFFFFFF);
    to[l] = left ? both << (n[l] & 31) >> 32 : (both >> (n[l] & 31)) & 0xFFFFFFFF;
  });
}

enum class Space : std::uint8_t { global, shared, local, parameter, generic };

template <Space space>
unsigned char* locate(Warp& w, Address at, std::int32_t bytes, bool write, int lane) {
  Block& block = w.block();
  switch (space) {
    case Space::global:
      return block.global(at, bytes, write);
    case Space::shared:
      return block.shared(at & ~kWindowMask, bytes, write, w.thread(lane));
    case Space::local:
      return block.generic((at & ~kWindowMask) | kLocalWindow, bytes, write, w, lane);
    case Space::parameter:
      return block.parameter(at & ~kWindowMask, bytes);
    case Space::generic:
      break;
  }
  return block.generic(at, bytes, write, w, lane);
}

template <Space space, class T>
void load(Warp& w, const Instruction& i, LaneMask lanes) {
  const std::uint64_t* const base = w.slot(i.address);
  for_lanes(lanes, [&](int l) {
    const Address at = base[l] + static_cast<Address>(i.offset);
    const unsigned char* p = locate<space>(w, at, i.bytes * i.elements, false, l);
    for (std::size_t k = 0; k < static_cast<std::size_t>(i.elements); ++k, p += sizeof(T)) {
      T value;
      std::memcpy(&value, p, sizeof value);
      w.slot(i.to[k])[l] = put(value);
    }
  });
}

template <Space space, class T>
void store(Warp& w, const Instruction& i, LaneMask lanes) {
  const std::uint64_t* const base = w.slot(i.address);
  for_lanes(lanes, [&](int l) {
    const Address at = base[l] + static_cast<Address>(i.offset);
    unsigned char* p = locate<space>(w, at, i.bytes * i.elements, true, l);
    for (std::size_t k = 0; k < static_cast<std::size_t>(i.elements); ++k, p += sizeof(T))
      std::memcpy(p, &w.slot(i.from[k])[l], sizeof(T));
  });
}

// f.operator()<T>() for the type of a name, among the kinds asked for; else null.
template <class F>
Execute with_integer(std::string_view type, F f) {
  if (type == "u8" || type == "b8") return f.template operator()<std::uint8_t>();
  if (type == "s8") return f.template operator()<std::int8_t>();
  if (type == "u16" || type == "b16") return f.template operator()<std::uint16_t>();
  if (type == "s16") return f.template operator()<std::int16_t>();
  if (type == "u32" || type == "b32") return f.template operator()<std::uint32_t>();
  if (type == "s32") return f.template operator()<std::int32_t>();
  if (type == "u64" || type == "b64") return f.template operator()<std::uint64_t>();
  if (type == "s64") return f.template operator()<std::int64_t>();
  return nullptr;
}
template <class F>
Execute with_float(std::string_view type, F f) {
  if (type == "f32") return f.template operator()<float>();
  if (type == "f64") return f.template operator()<double>();
  return nullptr;
}
template <class F>
Execute with_number(std::string_view type, F f) {
  if (const Execute e = with_integer(type, f)) return e;
  return with_float(type, f);
}

bool is_type(std::string_view s) { return bytes_of_type(s) > 0; }
bool is_integer(std::string_view type) {
  return type[0] == 'u' || type[0] == 's' || type[0] == 'b';
}

bool has(const Opcode& o, std::string_view word) {
  return std::find(o.begin() + 1, o.end(), word) != o.end();
}
// Whether the words between the name and the types are among these.
bool only(const Opcode& o, std::initializer_list<std::string_view> known) {
  return std::all_of(o.begin() + 1, o.end(), [&](std::string_view word) {
    return is_type(word) || std::find(known.begin(), known.end(), word) != known.end();
  });
}

int directed_rounding(const Opcode& o) {
  return has(o, "rz") ? FE_TOWARDZERO : has(o, "rm") ? FE_DOWNWARD : has(o, "rp") ? FE_UPWARD : -1;
}

// An operation of one type on floats, with its rounding.
template <class T, template <class, class> class Shape, class F>
Operation with_rounding(const Opcode& o) {
  if (const int mode = directed_rounding(o); mode >= 0)
    return {rounded<Shape<T, F>::run>, Cost::other, mode};
  return {Shape<T, F>::run, Cost::other};
}
template <class T, class F>
struct BinaryShape {
  static void run(Warp& w, const Instruction& i, LaneMask lanes) { binary<T, F>(w, i, lanes); }
};
template <class T, class F>
struct TernaryShape {
  static void run(Warp& w, const Instruction& i, LaneMask lanes) { ternary<T, T, F>(w, i, lanes); }
};
template <template <class, class> class Shape, class F>
Operation float_operation(const Opcode& o) {
  if (!only(o, {"rn", "rz", "rm", "rp"})) return {};
  if (o.back() == "f32") return with_rounding<float, Shape, F>(o);
  if (o.back() == "f64") return with_rounding<double, Shape, F>(o);
  return {};
}

template <class F>
Operation sum(const Opcode& o) {
  if (!is_integer(o.back())) return float_operation<BinaryShape, F>(o);
  if (!only(o, {})) return {};
  return {with_integer(o.back(), []<class T>() -> Execute { return binary<T, F>; })};
}

Operation product(const Opcode& o) {
  if (!is_integer(o.back())) return float_operation<BinaryShape, Mul>(o);
  if (!only(o, {"lo", "hi", "wide"})) return {};
  const std::string_view type = o.back();
  if (has(o, "wide"))
    return {with_integer(type, []<class T>() -> Execute {
      if constexpr (sizeof(T) == 2 || sizeof(T) == 4)
        return binary<T, MulWide>;
      else
        return nullptr;
    })};
  if (has(o, "hi"))
    return {with_integer(type, []<class T>() -> Execute {
      if constexpr (sizeof(T) > 1)
        return binary<T, MulHigh>;
      else
        return nullptr;
    })};
  return {with_integer(type, []<class T>() -> Execute { return binary<T, Mul>; })};
}

Operation product_sum(const Opcode& o) {
  if (!is_integer(o.back())) return float_operation<TernaryShape, Fma>(o);
  if (!only(o, {"lo", "hi", "wide"})) return {};
  const std::string_view type = o.back();
  if (has(o, "wide"))
    return {with_integer(type, []<class T>() -> Execute {
      if constexpr (sizeof(T) == 2 || sizeof(T) == 4)
        return ternary<T, Wide<T>, MulAddWide>;
      else
        return nullptr;
    })};
  if (has(o, "hi"))
    return {with_integer(type, []<class T>() -> Execute {
      if constexpr (sizeof(T) > 1)
        return ternary<T, T, MulAddHigh>;
      else
        return nullptr;
    })};
  return {with_integer(type, []<class T>() -> Execute { return ternary<T, T, MulAdd>; })};
}

Operation quotient(const Opcode& o) {
  if (!only(o, {"rn", "full", "approx"})) return {};
  const std::string_view type = o.back();
  if (is_integer(type))
    return {with_integer(type, []<class T>() -> Execute { return binary<T, Div>; }),
            bytes_of_type(type) == 8 ? Cost::divide_64 : Cost::divide_32};
  return {with_float(type, []<class T>() -> Execute { return binary<T, Div>; }),
          has(o, "rn") ? Cost::divide_float : Cost::other};
}

// A function of one float: correctly rounded, or approximated.
template <class F>
Operation function(const Opcode& o) {
  if (!only(o, {"rn", "approx", "ftz"})) return {};
  const bool flushes = has(o, "ftz");
  return {with_float(o.back(),
                     [flushes]<class T>() -> Execute {
                       return flushes ? unary<T, Flushed<F>> : unary<T, F>;
                     }),
          has(o, "rn") ? Cost::divide_float : Cost::other};
}
template <class F>
Operation approximation(const Opcode& o) {
  if (o.back() != "f32" || !only(o, {"approx", "ftz"})) return {};
  return {has(o, "ftz") ? unary<float, Flushed<F>> : unary<float, F>};
}

template <class F>
Operation plain(const Opcode& o) {  // of one number
  if (!only(o, {})) return {};
  return {with_number(o.back(), []<class T>() -> Execute { return unary<T, F>; })};
}
template <class F>
Operation extremum(const Opcode& o) {
  if (!only(o, {})) return {};
  return {with_number(o.back(), []<class T>() -> Execute { return binary<T, F>; })};
}
template <class F>
Operation bits(const Opcode& o) {
  if (o.back() == "pred") return {binary<bool, F>};
  return {with_integer(o.back(), []<class T>() -> Execute { return binary<T, F>; })};
}
template <class F>
Operation shift_operation(const Opcode& o) {
  return {with_integer(o.back(), []<class T>() -> Execute { return shift<T, F>; })};
}
template <class F>
Operation count_bits(const Opcode& o) {
  if (o.back() == "b32") return {unary<std::uint32_t, F>};
  if (o.back() == "b64") return {unary<std::uint64_t, F>};
  return {};
}

Operation set_predicate_operation(const Opcode& o) {
  if (o.size() < 3) return {};
  constexpr std::array<std::string_view, kComparisons> kWords{"lt", "le", "gt",  "ge",
                                                              "eq", "ne", "num", "nan"};
  std::string_view word = o[1];
  if (word == "lo") word = "lt";
  if (word == "ls") word = "le";
  if (word == "hi") word = "gt";
  if (word == "hs") word = "ge";
  std::int32_t variant = 0;
  if (word.size() == 3 && word.ends_with('u')) {
    variant = kOrUnordered;
    word.remove_suffix(1);
  }
  const auto found = std::find(kWords.begin(), kWords.end(), word);
  if (found == kWords.end()) return {};
  variant |= static_cast<std::int32_t>(found - kWords.begin());
  const std::string_view combine = o.size() > 3 ? o[2] : "";
  const auto with = [&]<Combine c>() -> Operation {
    return {with_number(o.back(), []<class T>() -> Execute { return set_predicate<T, c>; }),
            Cost::other, variant};
  };
  if (combine.empty()) return with.template operator()<Combine::none>();
  if (combine == "and") return with.template operator()<Combine::and_>();
  if (combine == "or") return with.template operator()<Combine::or_>();
  if (combine == "xor") return with.template operator()<Combine::xor_>();
  return {};
}

template <class F>
Execute with_any(std::string_view type, F f) {
  if (const Execute e = with_number(type, f)) return e;
  if (type == "f16") return f.template operator()<Half>();
  if (type == "bf16") return f.template operator()<BFloat>();
  return nullptr;
}

Operation conversion(const Opcode& o) {
  if (!only(o, {"rn", "rni", "rzi", "rmi", "rpi", "sat", "bf16x2", "f16x2"})) return {};
  if (o.size() >= 3 && o[o.size() - 2] == "bf16x2") return {convert_pair<BFloat>};
  if (o.size() >= 3 && o[o.size() - 2] == "f16x2") return {convert_pair<Half>};
  const std::string_view to = o[o.size() - 2], from = o.back();
  if (!is_type(to)) return {};
  std::int32_t variant = has(o, "rni")   ? kNearest
                         : has(o, "rzi") ? kTowardsZero
                         : has(o, "rmi") ? kDown
                         : has(o, "rpi") ? kUp
                                         : kNone;
  if (has(o, "sat")) {
    if (is_integer(to) && is_integer(from)) return {};
    variant |= kSaturate;
  }
  return {with_any(to,
                   [&]<class To>() -> Execute {
                     return with_any(from,
                                     []<class From>() -> Execute { return convert<To, From>; });
                   }),
          Cost::other, variant};
}

Operation address_conversion(const Opcode& o) {
  const bool to = has(o, "to");  // from generic to the space
  if (has(o, "global") || has(o, "const")) return {move};
  if (has(o, "shared"))
    return {to ? convert_address<kSharedWindow, true> : convert_address<kSharedWindow, false>};
  if (has(o, "local"))
    return {to ? convert_address<kLocalWindow, true> : convert_address<kLocalWindow, false>};
  if (has(o, "param"))
    return {to ? convert_address<kParameterWindow, true>
               : convert_address<kParameterWindow, false>};
  return {};
}

template <bool loads>
Operation transfer(const Opcode& o) {
  if (!only(o, {"global", "shared", "local", "param", "const", "nc", "volatile", "v2", "v4"}))
    return {};
  const auto in = [&]<Space space>(Cost cost) -> Operation {
    const auto of = []<class T>() -> Execute {
      if constexpr (loads)
        return load<space, T>;
      else
        return store<space, T>;
    };
    return {with_number(o.back(), of), cost};
  };
  if (has(o, "global") || has(o, "const"))
    return in.template operator()<Space::global>(Cost::global_memory);
  if (has(o, "shared")) return in.template operator()<Space::shared>(Cost::shared_memory);
  if (has(o, "local")) return in.template operator()<Space::local>(Cost::other);
  if (has(o, "param"))
    return loads ? in.template operator()<Space::parameter>(Cost::parameter) : Operation{};
  return in.template operator()<Space::generic>(Cost::global_memory);
}

}  // namespace

int bytes_of_type(std::string_view type) {
  if (type == "pred") return 1;
  if (type.size() < 2 || (type[0] != 'u' && type[0] != 's' && type[0] != 'b' && type[0] != 'f'))
    return 0;
  if (type == "bf16" || type == "f16") return 2;
  const std::string_view bits = type.substr(1);
  const bool real = type[0] == 'f';
  if (bits == "8" && !real) return 1;
  if (bits == "16" && !real) return 2;
  if (bits == "32") return 4;
  return bits == "64" ? 8 : 0;
}

Operation find_operation(const Opcode& o) {
  const std::string_view name = o[0];
  if (name == "ld" || name == "ldu") return transfer<true>(o);
  if (name == "st") return transfer<false>(o);
  if (name == "mov") return {move};
  if (name == "cvta") return address_conversion(o);
  if (name == "cvt") return conversion(o);
  if (name == "setp") return set_predicate_operation(o);
  if (name == "selp") return {select};
  if (name == "add") return sum<Add>(o);
  if (name == "sub") return sum<Sub>(o);
  if (name == "mul") return product(o);
  if (name == "mad" || name == "fma") return product_sum(o);
  if (name == "div") return quotient(o);
  if (name == "rem")
    return {with_integer(o.back(), []<class T>() -> Execute { return binary<T, Rem>; }),
            bytes_of_type(o.back()) == 8 ? Cost::divide_64 : Cost::divide_32};
  if (name == "min") return extremum<Min>(o);
  if (name == "max") return extremum<Max>(o);
  if (name == "abs") return plain<Abs>(o);
  if (name == "neg") return plain<Neg>(o);
  if (name == "copysign")
    return {with_float(o.back(), []<class T>() -> Execute { return binary<T, CopySign>; })};
  if (name == "and") return bits<And>(o);
  if (name == "or") return bits<Or>(o);
  if (name == "xor") return bits<Xor>(o);
  if (name == "not") {
    if (o.back() == "pred") return {unary<bool, Not>};
    return {with_integer(o.back(), []<class T>() -> Execute { return unary<T, Not>; })};
  }
  if (name == "shl") return shift_operation<ShiftLeft>(o);
  if (name == "shr") return shift_operation<ShiftRight>(o);
  if (name == "shf" && has(o, "wrap"))
    return {has(o, "l") ? funnel_shift<true> : funnel_shift<false>};
  if (name == "prmt" && o.size() == 2) return {permute_bytes};
  if (name == "clz") return count_bits<LeadingZeros>(o);
  if (name == "popc") return count_bits<PopulationCount>(o);
  if (name == "sqrt") return function<Sqrt>(o);
  if (name == "rcp") return function<Reciprocal>(o);
  if (name == "rsqrt") return function<ReciprocalSqrt>(o);
  if (name == "ex2") return approximation<Exp2>(o);
  if (name == "lg2") return approximation<Log2>(o);
  if (name == "sin") return approximation<Sine>(o);
  if (name == "cos") return approximation<Cosine>(o);
  if (name == "tanh") return approximation<Tanh>(o);
  return {};
}

}  // namespace emulator
