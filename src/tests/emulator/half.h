// The 16-bit floating-point types of registers and tensors. Not the program's own (core/half.h),
// which is among what is tested.
#pragma once
#include <bit>
#include <cmath>
#include <cstdint>

namespace emulator {

inline float from_half(std::uint16_t bits) {
  return static_cast<float>(std::bit_cast<_Float16>(bits));
}
inline float from_bfloat(std::uint16_t bits) {
  return std::bit_cast<float>(std::uint32_t{bits} << 16);
}
// Both round to nearest, ties to even.
inline std::uint16_t to_half(double x) {
  return std::bit_cast<std::uint16_t>(static_cast<_Float16>(x));
}
inline std::uint16_t to_bfloat(double x) {
  if (std::isnan(x)) return 0x7FFF;
  const auto near = static_cast<float>(x);
  auto bits = std::bit_cast<std::uint32_t>(near);
  // To odd, so that the second rounding is the only one.
  if (double{near} != x && bits % 2 == 0) bits += std::fabs(double{near}) > std::fabs(x) ? ~0u : 1u;
  return static_cast<std::uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

}  // namespace emulator
