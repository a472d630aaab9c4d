// The 16-bit element types of activations: storage only. They are loaded to float and rounded to
// the nearest, ties to even, when stored; NaN stays NaN. On the host that is plain integer code
// without branches, so that the compiler vectorises it; a GPU has instructions that give the same
// numbers.
#pragma once
#include <cstdint>
#include <cstring>
#include "core/hd.h"

namespace darknet {
namespace half_bits {

DN_HD inline std::uint32_t of(float x) {
  std::uint32_t bits = 0;
  std::memcpy(&bits, &x, sizeof bits);
  return bits;
}
DN_HD inline float as_float(std::uint32_t bits) {
  float x = 0;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

inline constexpr std::uint32_t kInfinity = 0x7F800000u;  // of a float, without its sign

DN_HD inline std::uint16_t to_bf16(float x) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  std::uint16_t converted = 0;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(converted) : "f"(x));
  return converted;
#else
  const std::uint32_t bits = of(x);
  const std::uint32_t rounded = (bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16;
  const std::uint32_t quiet = bits >> 16 | 0x40u;
  return static_cast<std::uint16_t>((bits & 0x7FFFFFFFu) > kInfinity ? quiet : rounded);
#endif
}

// Two in one word, which is one instruction of a GPU.
DN_HD inline std::uint32_t to_bf16_pair(float low, float high) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  std::uint32_t converted = 0;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(converted) : "f"(high), "f"(low));
  return converted;
#else
  return to_bf16(low) | std::uint32_t{to_bf16(high)} << 16;
#endif
}

// IEEE binary16 has 5 bits of exponent and 10 of fraction; below 2^-14 its steps are 2^-24.
DN_HD inline float from_f16(std::uint16_t h) {
#if defined(__CUDA_ARCH__)
  float converted = 0;
  asm("cvt.f32.f16 %0, %1;" : "=f"(converted) : "h"(h));
  return converted;
#else
  const std::uint32_t sign = std::uint32_t{h & 0x8000u} << 16, magnitude = h & 0x7FFFu;
  const float normal = as_float((magnitude << 13) + (112u << 23));       // 112 = 127 - 15
  const float tiny = static_cast<float>(magnitude) * (1.f / (1 << 24));  // exact
  const float special = as_float(kInfinity | magnitude << 13);
  const float value = magnitude < 0x400u ? tiny : magnitude < 0x7C00u ? normal : special;
  return as_float(of(value) | sign);
#endif
}

DN_HD inline std::uint16_t to_f16(float x) {
#if defined(__CUDA_ARCH__)
  std::uint16_t converted = 0;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(converted) : "f"(x));
  return converted;
#else
  const std::uint32_t bits = of(x), sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7FFFFFFFu;
  const std::uint32_t normal = (magnitude - (112u << 23) + 0xFFFu + (magnitude >> 13 & 1u)) >> 13;
  // Adding 0.5 leaves the multiple of 2^-24 in the fraction, rounded by the addition itself.
  const std::uint32_t tiny = of(as_float(magnitude) + .5f) - of(.5f);
  const std::uint32_t special =
      magnitude > kInfinity ? 0x7E00u | (magnitude >> 13 & 0x3FFu) : 0x7C00u;
  const std::uint32_t small = magnitude < (113u << 23) ? tiny : normal;
  return static_cast<std::uint16_t>(sign | (magnitude < 0x477FF000u ? small : special));  // 65520
#endif
}

DN_HD inline std::uint32_t to_f16_pair(float low, float high) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  std::uint32_t converted = 0;
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(converted) : "f"(high), "f"(low));
  return converted;
#else
  return to_f16(low) | std::uint32_t{to_f16(high)} << 16;
#endif
}

}  // namespace half_bits

struct BF16 {  // the upper half of a float
  std::uint16_t bits;
  // NOLINTNEXTLINE(google-explicit-constructor): read like the float it stands for
  DN_HD operator float() const { return half_bits::as_float(std::uint32_t{bits} << 16); }
  DN_HD BF16& operator=(float x) {
    bits = half_bits::to_bf16(x);
    return *this;
  }
  // The bits of two that lie one after the other.
  DN_HD static std::uint32_t pair(float first, float second) {
    return half_bits::to_bf16_pair(first, second);
  }
};

struct F16 {  // IEEE binary16
  std::uint16_t bits;
  // NOLINTNEXTLINE(google-explicit-constructor): read like the float it stands for
  DN_HD operator float() const { return half_bits::from_f16(bits); }
  DN_HD F16& operator=(float x) {
    bits = half_bits::to_f16(x);
    return *this;
  }
  // The bits of two that lie one after the other.
  DN_HD static std::uint32_t pair(float first, float second) {
    return half_bits::to_f16_pair(first, second);
  }
};

}  // namespace darknet
