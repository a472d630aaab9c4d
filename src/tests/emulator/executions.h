// Instructions on the lanes of a warp, as functions of the type Execute. Included by operations.cpp
// alone.
#pragma once
#include <algorithm>
#include <bit>
#include <cfenv>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#include "tests/emulator/arithmetic.h"
#include "tests/emulator/block.h"
#include "tests/emulator/kernel.h"

namespace emulator {

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
inline constexpr std::int32_t kOrUnordered = 16;  // "ltu": true of a NaN too

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

inline void select(Warp& w, const Instruction& i, LaneMask lanes) {
  std::uint64_t* const to = w.slot(i.to[0]);
  const std::uint64_t *const a = w.slot(i.from[0]), *const b = w.slot(i.from[1]),
                             *const p = w.slot(i.from[2]);
  for_lanes(lanes, [&](int l) { to[l] = get<bool>(p[l]) ? a[l] : b[l]; });
}

// Also a vector put together from registers, or taken apart.
inline void move(Warp& w, const Instruction& i, LaneMask lanes) {
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
inline constexpr std::int32_t kSaturate = 16;

inline double rounded_to_integer(std::int32_t rounding, double x) {
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

inline void permute_bytes(Warp& w, const Instruction& i, LaneMask lanes) {
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

}  // namespace emulator
